"""Builds the images and runs the stack, from a copy of the tree, so that the repository stays clean."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.local_stack.ports import free_port
from docker.stack import Stack, compose_command
from support.requirements import missing

HERE = Path(__file__).parent
ROOT = HERE.parents[1]

#: Whoever has checked out the tree: here somebody who is neither root nor the default 1000.
SOMEBODY = 4321

#: What a configuration file would take for something else.
REDIS_PASSWORD = 'p4ss"w@rd\\1'

#: The same at each run, so that the engine's layers are found again.
PROJECT = "cascade-test"


@pytest.fixture(scope="session")
def images() -> dict[str, str]:
    """The base images: those that BASE_IMAGE and REDIS_IMAGE name, else stand-ins that are made here."""
    if not shutil.which("docker") or compose_command() is None:
        missing("docker and docker-compose are not installed: apt-get install docker.io docker-compose debootstrap")
    started = subprocess.run([HERE / "start_engine.sh"], capture_output=True, text=True, check=False)
    if started.returncode:
        missing(f"no Docker engine answers, and none can be started: {started.stderr}")
    named = {name: os.environ[name] for name in ("BASE_IMAGE", "REDIS_IMAGE") if name in os.environ}
    if len(named) == 2:
        return named
    if not shutil.which("debootstrap") or os.geteuid():
        missing("stand-in base images need root and debootstrap; or name images in BASE_IMAGE and REDIS_IMAGE")
    made = subprocess.run([HERE / "make_base_images.sh"], capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    return {"BASE_IMAGE": "cascade-base:standin", "REDIS_IMAGE": "cascade-redis:standin", **named}


@pytest.fixture(scope="session")
def tree(images: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what the images are built from, with an empty volume, the embedded engines and a password."""
    tree = tmp_path_factory.mktemp("stack") / "tree"
    shutil.copytree(
        ROOT, tree, ignore=shutil.ignore_patterns(".*cache", ".git", ".venv", ".env", "shared_data", "models", "tests")
    )
    owner = os.geteuid() or SOMEBODY
    (tree / "shared_data").mkdir()
    os.chown(tree / "shared_data", owner, -1)
    engines = {"STT_ENGINE": "pocketsphinx", "LLM_ENGINE": "offline", "TTS_ENGINE": "espeak"}
    owners = {"CASCADE_UID": owner, "CASCADE_GID": owner}
    settings = {**images, **engines, **owners, "API_PORT": free_port(), "REDIS_PASSWORD": REDIS_PASSWORD}
    (tree / ".env").write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    return tree


@pytest.fixture(scope="session")
def stack(tree: Path) -> Iterator[Stack]:
    """The whole stack, built and healthy."""
    settings = dict(line.split("=", 1) for line in (tree / ".env").read_text().splitlines())
    stack = Stack(tree, PROJECT, int(settings["API_PORT"]), int(settings["CASCADE_UID"]))
    stack.compose("down", "--volumes")  # what a run that was cut off has left
    stack.build()
    try:
        stack.up()
        yield stack
    finally:
        stack.down()
