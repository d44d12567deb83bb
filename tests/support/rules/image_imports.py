"""Imports of each service that its image can serve."""

import re
import sys
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

from support.rules.imports import import_graph
from support.rules.source import PACKAGES, SERVICES, Violation


def check(root: Path) -> list[Violation]:
    """Every library that a service imports, also through `shared`, is in its image's requirements."""
    graph = import_graph(root)
    found: list[Violation] = []
    for service in SERVICES:
        package = PACKAGES[service]
        installed = _installed_modules(root / service / "requirements.txt")
        for module in sorted(_reachable(graph, package)):
            for name in sorted(graph[module]):
                if name in graph or name.partition(".")[0] in installed:
                    continue
                message = f"{module} imports {name}, which {service}/requirements.txt does not install"
                found.append(Violation(service, 0, message))
    return found


def _reachable(graph: dict[str, set[str]], package: str) -> set[str]:
    """The modules that are loaded by loading each module of `package`, their parent packages included."""
    waiting = {module for module in graph if module == package or module.startswith(f"{package}.")}
    reached: set[str] = set()
    while waiting:
        module = waiting.pop()
        reached.add(module)
        parents = {parent for name in (module, *graph[module]) if (parent := name.rpartition(".")[0])}
        waiting |= ((graph[module] | parents) & graph.keys()) - reached
    return reached


#: Reads the metadata of every installed package.
_distributions = cache(packages_distributions)


def _installed_modules(requirements: Path) -> set[str]:
    names = {_normalized(line.split("==")[0].split("[")[0]) for line in requirements.read_text().splitlines() if line}
    modules = {
        module
        for module, distributions in _distributions().items()
        if names.intersection(map(_normalized, distributions))
    }
    return modules | set(sys.stdlib_module_names)


def _normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name.strip()).lower()
