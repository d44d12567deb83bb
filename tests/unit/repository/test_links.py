"""Links between the repository's pages lead somewhere."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def pages() -> list[str]:
    listed = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=False)
    return listed.stdout.split() or [str(path.relative_to(ROOT)) for path in ROOT.glob("docs/**/*.md")]


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives a page's headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", pages())
def test_relative_links_of_a_page_lead_to_files_and_headings(name: str) -> None:
    """Every relative link of a page names an existing file, and its anchor a heading of that file."""
    page = ROOT / name
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)
    assert broken == []


@pytest.mark.parametrize("name", pages())
def test_code_paths_named_by_a_page_exist(name: str) -> None:
    """Every path in backticks that begins with a folder of the repository exists."""
    folders = "api|shared|stt-worker|llm-worker|tts-worker|cli|tests|bench|docs|deploy|docs_generator"
    named = re.findall(rf"`((?:{folders})/[\w./-]*\w/?)`", (ROOT / name).read_text())
    if name != "CHANGELOG.md":
        assert [path for path in named if not (ROOT / path).exists()] == []
