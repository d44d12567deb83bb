"""Sizes: short files, and folders that can be taken in at a glance."""

from collections import Counter
from pathlib import Path
from statistics import median

from support.rules.source import DEVELOPMENT, PRODUCT, Violation, files, relative

MAX_LINES = 300

#: The median file is shorter than this.
MEDIAN_LINES = 90

MAX_MODULES = 12


def check(root: Path) -> list[Violation]:
    """No file over 300 lines, a median under 90, and at most 12 modules in a folder of the product."""
    return _long_files(root) + _crowded_folders(root)


def _long_files(root: Path) -> list[Violation]:
    lengths = {
        relative(root, path): len(path.read_text(encoding="utf-8").splitlines())
        for path in files(root, PRODUCT + DEVELOPMENT, ".py", ".lua", ".js", ".css")
    }
    found = [
        Violation(name, 0, f"has {length} lines; {MAX_LINES} are the limit")
        for name, length in lengths.items()
        if length > MAX_LINES
    ]
    middle = median(lengths.values())
    if middle >= MEDIAN_LINES:
        found.append(Violation(".", 0, f"the median file has {middle} lines; it must have fewer than {MEDIAN_LINES}"))
    return found


def _crowded_folders(root: Path) -> list[Violation]:
    modules = Counter(relative(root, path.parent) for path in files(root, PRODUCT, ".py") if path.name != "__init__.py")
    return [
        Violation(folder, 0, f"has {count} modules; {MAX_MODULES} are the limit")
        for folder, count in modules.items()
        if count > MAX_MODULES
    ]
