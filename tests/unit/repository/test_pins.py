"""Pinned dependencies: each version is pinned exactly once and fits pyproject.toml.

`make audit` looks up known vulnerabilities. That needs advisory data from the network, and so is not a test.
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
    """The pinned requirements of this platform by name."""
    pinned = [Requirement(line) for line in lines(extra)]
    return {canonicalize_name(pin.name): pin for pin in pinned if pin.marker is None or pin.marker.evaluate()}


def required(extra: str) -> list[Requirement]:
    """The requirements of pyproject.toml for this platform."""
    named = [Requirement(line) for line in [*PROJECT["dependencies"], *PROJECT["optional-dependencies"][extra]]]
    third_party = [requirement for requirement in named if requirement.name != PROJECT["name"]]
    return [requirement for requirement in third_party if requirement.marker is None or requirement.marker.evaluate()]


@every_file
def test_every_line_is_one_exact_version(extra: str) -> None:
    """Every line of a requirements file is one exact version, without URLs or options, so that images are
    reproducible."""
    for line in lines(extra):
        requirement = Requirement(line)  # an option or a path raises here
        [specifier] = requirement.specifier
        assert specifier.operator == "==", line
        assert "*" not in specifier.version, line
        assert requirement.url is None, line


@every_file
def test_the_pins_satisfy_the_requirements(extra: str) -> None:
    """The pinned version of each requirement satisfies pyproject.toml; `make lock` updates it."""
    pinned = pins(extra)
    for requirement in required(extra):
        [pin] = pinned[canonicalize_name(requirement.name)].specifier
        assert requirement.specifier.contains(pin.version), f"{requirement} is pinned to {pin}: run make lock"


@pytest.mark.parametrize("extra", ["api", "stt", "llm", "tts"])
def test_the_images_hold_the_tested_versions(extra: str) -> None:
    """A service's pins are the versions that the tests run with."""
    tested = pins("dev")
    assert {name: pin.specifier for name, pin in pins(extra).items()} == {
        name: tested[name].specifier for name in pins(extra)
    }


def test_the_tests_run_with_the_pins() -> None:
    """The installed versions of the virtual environment are the pinned ones."""
    installed = {name: f"=={version(name)}" for name in pins("dev")}
    assert installed == {name: str(pin.specifier) for name, pin in pins("dev").items()}
