"""What is installed is what was chosen: every version is pinned, once, and the pins belong to pyproject.toml.

Known vulnerabilities are looked up by `make audit`, which needs the network's advisory data and so is no test.
"""

import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

FILES = {
    "api": "api/requirements.txt",
    "stt": "stt-worker/requirements.txt",
    "llm": "llm-worker/requirements.txt",
    "tts": "tts-worker/requirements.txt",
    "dev": "requirements-dev.txt",
}

every_file = pytest.mark.parametrize("extra", FILES)


def lines(extra: str) -> list[str]:
    return (ROOT / FILES[extra]).read_text().splitlines()


def pins(extra: str) -> dict[str, Requirement]:
    """By name, what is pinned for this machine."""
    pinned = [Requirement(line) for line in lines(extra)]
    return {canonicalize_name(pin.name): pin for pin in pinned if pin.marker is None or pin.marker.evaluate()}


def wanted(extra: str) -> list[Requirement]:
    """What pyproject.toml asks for, for this machine."""
    named = [Requirement(line) for line in [*PROJECT["dependencies"], *PROJECT["optional-dependencies"][extra]]]
    ours = [requirement for requirement in named if requirement.name != PROJECT["name"]]
    return [requirement for requirement in ours if requirement.marker is None or requirement.marker.evaluate()]


@every_file
def test_every_line_is_one_exact_version(extra: str) -> None:
    """No range, no wildcard, no address and no option: an image built tomorrow holds what today's holds."""
    for line in lines(extra):
        requirement = Requirement(line)  # which no option or path is
        [specifier] = requirement.specifier
        assert specifier.operator == "==", line
        assert "*" not in specifier.version, line
        assert requirement.url is None, line


@every_file
def test_the_pins_are_what_is_asked_for(extra: str) -> None:
    """Whoever changes pyproject.toml has run `make lock`."""
    pinned = pins(extra)
    for requirement in wanted(extra):
        [pin] = pinned[canonicalize_name(requirement.name)].specifier
        assert requirement.specifier.contains(pin.version), f"{requirement} is pinned to {pin}: run make lock"


@pytest.mark.parametrize("extra", ["api", "stt", "llm", "tts"])
def test_the_images_hold_what_is_tested(extra: str) -> None:
    """A service's pins are among those that the tests run with."""
    tested = pins("dev")
    assert {name: pin.specifier for name, pin in pins(extra).items()} == {
        name: tested[name].specifier for name in pins(extra)
    }


def test_the_tests_run_with_the_pins() -> None:
    """Nobody has upgraded the virtual environment by hand."""
    installed = {name: f"=={version(name)}" for name in pins("dev")}
    assert installed == {name: str(pin.specifier) for name, pin in pins("dev").items()}
