"""Import cycles."""

from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from support.rules.imports import import_graph
from support.rules.source import Violation


def check(root: Path) -> list[Violation]:
    """No module of the product imports itself through others."""
    try:
        TopologicalSorter(import_graph(root)).prepare()
    except CycleError as error:
        return [Violation(".", 0, "modules import each other: " + " <- ".join(error.args[1]))]
    return []
