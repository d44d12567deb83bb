"""Pages that are generated from the code equal the code."""

import re
from pathlib import Path

import pytest

from docs_generator.docker_variables import DOCKER_VARIABLES
from docs_generator.pages import PAGES
from docs_generator.settings_catalogue import field_docstrings

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("name", PAGES)
def test_generated_page_equals_the_code(name: str) -> None:
    """A checked-in page equals the text that the code generates."""
    assert (ROOT / name).read_text() == PAGES[name](), "run `make docs` and commit the result"


def test_setting_without_a_docstring_is_refused() -> None:
    """A settings class with an undocumented field cannot be rendered."""
    with pytest.raises(ValueError, match=r"Some\.port"):
        field_docstrings(
            "class Some:\n    host: str = ''\n    '''Where.'''\n    port: int = 1\n    other: int = 2\n    '''Yes.'''\n"
        )


@pytest.mark.parametrize("name", DOCKER_VARIABLES)
def test_docker_variable_has_the_default_of_the_compose_file(name: str) -> None:
    """The documented default of a Docker variable is the one that docker-compose.yml falls back to."""
    text = (ROOT / "docker-compose.yml").read_text()
    assert set(re.findall(rf"\$\{{{name}:-([^}}]*)\}}", text)) == {DOCKER_VARIABLES[name].default}


def test_docker_variables_are_all_that_only_compose_reads() -> None:
    """Every variable that compose replaces and no service reads is documented, and no other."""
    replaced = {
        name for path in ROOT.glob("docker-compose*.yml") for name in re.findall(r"\$\{(\w+)", path.read_text())
    }
    example = set(re.findall(r"^# ([A-Z][A-Z0-9_]*)=", (ROOT / ".env.example").read_text(), re.M))
    services = example - set(DOCKER_VARIABLES)
    assert replaced - services == set(DOCKER_VARIABLES)
