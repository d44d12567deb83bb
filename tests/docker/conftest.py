"""Images and a stack that are built from a copy of the tree, so that the repository stays clean."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.local_stack.ports import free_port
from docker.stack import Stack, compose_command
from support.requirements import skip_unless_ci

HERE = Path(__file__).parent
ROOT = HERE.parents[1]

#: The owner of the tree where the tests run as root: neither root nor the default 1000.
TREE_OWNER = 4321

#: Characters that have a meaning in a configuration file.
REDIS_PASSWORD = 'p4ss"w@rd\\1'

#: The same name at each run, so that Docker reuses the layers of the last one.
PROJECT = "cascade-test"


@pytest.fixture(scope="session")
def images() -> dict[str, str]:
    """The base images: those of BASE_IMAGE and REDIS_IMAGE, else stand-ins that are built now."""
    if not shutil.which("docker") or compose_command() is None:
        skip_unless_ci("docker or docker-compose is missing: apt-get install docker.io docker-compose debootstrap")
    engine = subprocess.run([HERE / "start_engine.sh"], capture_output=True, text=True, check=False)
    if engine.returncode:
        skip_unless_ci(f"no Docker engine runs, and none can be started: {engine.stderr}")
    configured = {name: os.environ[name] for name in ("BASE_IMAGE", "REDIS_IMAGE") if name in os.environ}
    if len(configured) == 2:
        return configured
    if not shutil.which("debootstrap") or os.geteuid():
        skip_unless_ci("stand-in base images need root and debootstrap; or name images in BASE_IMAGE and REDIS_IMAGE")
    build = subprocess.run([HERE / "make_base_images.sh"], capture_output=True, text=True, check=False)
    assert build.returncode == 0, build.stderr
    return {"BASE_IMAGE": "cascade-base:standin", "REDIS_IMAGE": "cascade-redis:standin", **configured}


@pytest.fixture(scope="session")
def tree(images: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the images' sources, with an empty volume, the embedded engines and a password."""
    tree = tmp_path_factory.mktemp("stack") / "tree"
    shutil.copytree(
        ROOT, tree, ignore=shutil.ignore_patterns(".*cache", ".git", ".venv", ".env", "shared_data", "models", "tests")
    )
    owner = os.geteuid() or TREE_OWNER
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
    stack.compose("down", "--volumes")  # remains of a run that was interrupted
    stack.build()
    try:
        stack.up()
        yield stack
    finally:
        stack.down()
