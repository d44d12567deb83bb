"""Paths under the volume."""

import ast
from collections.abc import Iterator
from pathlib import Path

from support.rules.source import PRODUCT, Violation, files, parse, relative

#: The folders of the volume.
_FOLDERS = {"input", "work", "output", "cache"}

#: Names of stored files, as Redis keeps them.
_STORED_NAMES = {"audio_path", "AUDIO_PATH"}

#: Keys of dictionaries under which stored names are found.
_STORED_KEYS = {"path", "audio_path"}

_PATH_MAKERS = {"Path", "PurePath", "PurePosixPath", "pathlib.Path", "os.path.join", "open"}

#: By the start of a path, why its files may join paths under DATA_DIR.
_EXEMPT = {
    "shared/storage/": "owns the volume",
    "cli/local_stack/": "keeps the stack's address and Redis's data beside the folders of the jobs",
    "cli/commands/demo.py": "writes its log there, and shows a person where the answer is",
}


def check(root: Path) -> list[Violation]:
    """Only shared/storage joins paths under the volume, and no service uses DATA_DIR but to make its storage."""
    found: list[Violation] = []
    for path in files(root, PRODUCT, ".py"):
        name = relative(root, path)
        if name.startswith(tuple(_EXEMPT)):
            continue
        tree = parse(path)
        broken = list(_joins(tree))
        if not name.startswith("cli/"):  # starts and finds stacks by their DATA_DIR
            broken += _other_uses(tree)
        found += (Violation(name, line, f"{what}; ask the storage for the file") for line, what in broken)
    return found


def _joins(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        for part in _joined(node):
            if reason := _names_the_volume(part):
                yield part.lineno, f"joins a path under the volume ({reason})"


def _other_uses(tree: ast.Module) -> Iterator[tuple[int, str]]:
    allowed = {
        id(argument)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "LocalStorage"
        for argument in node.args
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr == "data_dir" and id(node) not in allowed:
            yield node.lineno, "uses DATA_DIR for something else than LocalStorage"


def _joined(node: ast.AST) -> list[ast.expr]:
    """The parts of a path that `node` joins or makes."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        return [node.left, node.right]
    if isinstance(node, ast.JoinedStr):
        slashes = any(isinstance(part, ast.Constant) and "/" in str(part.value) for part in node.values)
        return [part.value for part in node.values if slashes and isinstance(part, ast.FormattedValue)]
    if isinstance(node, ast.Call):
        function = ast.unparse(node.func)
        if function in _PATH_MAKERS or function.endswith(".joinpath"):
            return list(node.args)
    return []


def _names_the_volume(part: ast.expr) -> str:
    """Why `part` is a part of a path under the volume; empty if it is not."""
    if isinstance(part, ast.Constant) and isinstance(part.value, str):
        folder = part.value.strip("/").partition("/")[0]
        return f"the folder {folder}" if folder in _FOLDERS else ""
    for node in ast.walk(part):
        name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
        key = node.slice.value if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant) else None
        if name == "data_dir":
            return "data_dir"
        if name in _STORED_NAMES or key in _STORED_KEYS:
            return "a stored name"
    return ""
