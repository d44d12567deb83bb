"""The imports of the product, read from its syntax trees."""

import ast
from collections.abc import Iterator
from pathlib import Path

from support.rules.source import PACKAGES, module_name, parse


def import_graph(root: Path) -> dict[str, set[str]]:
    """By module of the product, the modules that it imports: of the product by their full names, others by their first
    name. Imports for type checkers alone are left out."""
    paths = {
        module_name(root, path): path
        for folder, package in PACKAGES.items()
        for path in sorted((root / folder / (package if "-" in folder else "")).rglob("*.py"))
    }
    return {
        module: {_target(name, paths) for name in _imported_names(parse(path))} - {module}
        for module, path in paths.items()
    }


def _target(name: str, modules: dict[str, Path]) -> str:
    """The module that an import of `name` loads; `name` may be a module's attribute."""
    if name in modules:
        return name
    parent = name.rpartition(".")[0]
    return parent if parent in modules else name.partition(".")[0]


def _imported_names(tree: ast.AST) -> Iterator[str]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        yield from _imported_names(node)
