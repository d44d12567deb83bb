"""What the images and the compose files promise, read from the files alone."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from pydantic_settings import BaseSettings

from api.settings import ApiSettings
from llm_worker.settings import LlmSettings
from stt_worker.settings import SttSettings
from tts_worker.settings import TtsSettings

ROOT = Path(__file__).parents[3]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())

SETTINGS: dict[str, type[BaseSettings]] = {
    "api": ApiSettings,
    "stt-worker": SttSettings,
    "llm-worker": LlmSettings,
    "tts-worker": TtsSettings,
}
PACKAGES = {
    "api": "api/",
    "stt-worker": "stt-worker/stt_worker/",
    "llm-worker": "llm-worker/llm_worker/",
    "tts-worker": "tts-worker/tts_worker/",
}
METADATA = {"pyproject.toml", "README.md", "LICENSE"}

#: Fixed by the image: where things lie inside a container is nobody's choice.
IN_THE_IMAGE = {"DATA_DIR", "MODELS_DIR", "HEALTH_FILE", "API_HOST", "API_PORT"}

#: Read by the compose files and by no service.
OF_COMPOSE = {"API_BIND", "API_PORT", "BASE_IMAGE", "CASCADE_GID", "CASCADE_UID", "OLLAMA_IMAGE", "REDIS_IMAGE"} | {
    f"{name}_MEMORY" for name in ("API", "STT", "LLM", "TTS", "REDIS", "OLLAMA")
}

every_service = pytest.mark.parametrize("service", SETTINGS)


def dockerfile(service: str) -> str:
    return (ROOT / service / "Dockerfile").read_text()


def variables(service: str) -> set[str]:
    return {name.upper() for name in SETTINGS[service].model_fields}


@every_service
def test_an_image_holds_shared_and_its_own_package_and_nothing_else(service: str) -> None:
    """A service's image carries no other service's code."""
    copied = {source for line in re.findall(r"^COPY (.+)$", dockerfile(service), re.M) for source in line.split()[:-1]}
    assert copied == METADATA | {f"{service}/requirements.txt", "shared/", PACKAGES[service]}


@every_service
def test_an_image_builds_with_the_legacy_builder(service: str) -> None:
    """No Dockerfile uses what only BuildKit knows, and each takes another base image."""
    text = dockerfile(service)
    assert not re.search(r"--mount|--chmod|--link|<<|^# *syntax", text, re.M)
    assert text.index("ARG BASE_IMAGE=python:3.11-slim") < text.index("FROM ${BASE_IMAGE}")


@every_service
def test_an_image_is_not_root_and_says_whether_it_is_healthy(service: str) -> None:
    """Without compose, too, a container runs as a fixed user and has a health check that needs no curl."""
    text = dockerfile(service)
    assert re.findall(r"^USER (.+)$", text, re.M) == ["10001:10001"]
    assert re.search(r'^HEALTHCHECK .*\\\n +CMD \["python", ', text, re.M)


def test_the_architecture_is_four_services_and_one_redis() -> None:
    """What keeps running after `docker compose up` are the five boxes of the diagram."""
    running = {
        name
        for name, service in COMPOSE["services"].items()
        if service["restart"] == "unless-stopped" and "profiles" not in service
    }
    assert running == {*SETTINGS, "redis"}


def test_every_service_that_keeps_running_has_a_health_check() -> None:
    """A service's check stands in its Dockerfile, or in the compose file for an image that is not ours."""
    for name, service in COMPOSE["services"].items():
        if service["restart"] != "no":
            assert "healthcheck" in service or "HEALTHCHECK" in dockerfile(name), name


def test_only_the_api_is_published_and_only_to_this_machine() -> None:
    """Nobody outside may reach Redis, which needs no password by default; a worker with a fixed port could not be
    scaled."""
    published = {name: service["ports"] for name, service in COMPOSE["services"].items() if "ports" in service}
    assert published == {"api": ["${API_BIND:-127.0.0.1}:${API_PORT:-8000}:8000"]}
    assert not any("container_name" in service for service in COMPOSE["services"].values())


@every_service
def test_every_setting_reaches_its_container(service: str) -> None:
    """A variable in .env works with Docker as it does without; an unset one leaves the default to the settings."""
    environment = COMPOSE["services"][service]["environment"]
    assert set(environment) == variables(service) - IN_THE_IMAGE
    for name, value in environment.items():
        default = "redis://redis:6379/0" if name == "REDIS_URL" else ""
        assert value == f"${{{name}:-{default}}}"


@every_service
def test_the_image_fixes_the_places_inside_the_container(service: str) -> None:
    """A DATA_DIR from .env, meant for a run without Docker, does not reach a container."""
    for name in variables(service) & (IN_THE_IMAGE - {"MODELS_DIR"}):
        assert re.search(rf"^ENV .*\b{name}=", dockerfile(service), re.M), name


def test_the_compose_files_read_no_variable_that_nobody_knows() -> None:
    """Every `${NAME}` is a setting or one of the few that only compose reads."""
    text = "".join(path.read_text() for path in ROOT.glob("docker-compose*.yml"))
    known = OF_COMPOSE.union(*(variables(service) for service in SETTINGS))
    assert set(re.findall(r"\$\{(\w+)", text)) <= known


@pytest.mark.parametrize("service", COMPOSE["services"])
def test_a_container_can_do_little_harm(service: str) -> None:
    """Each starts without capabilities, gains none, and can take neither all memory nor all processes of its host."""
    options = COMPOSE["services"][service]
    assert options["cap_drop"] == ["ALL"]
    assert options["security_opt"] == ["no-new-privileges:true"]
    assert re.fullmatch(r"\$\{[A-Z]+_MEMORY:-\d+[mg]\}|\d+m", options["mem_limit"])
    assert 0 < options["pids_limit"] <= 512
    assert options.get("read_only") or service.startswith("ollama"), "only an image that is not ours may be written to"
    if "cap_add" in options:
        assert (options["restart"], options["network_mode"]) == ("no", "none"), "who may do more, hears nobody"


@every_service
def test_a_service_is_not_root_and_has_time_to_stop(service: str) -> None:
    """It runs as the owner of the volume, under an init, and is given longer to stop than a worker takes."""
    options = COMPOSE["services"][service]
    assert options["user"] == "${CASCADE_UID:-1000}:${CASCADE_GID:-1000}"
    assert options["init"]
    assert all("noexec" in tmpfs and "size=" in tmpfs for tmpfs in options["tmpfs"])
    grace_s = SttSettings.model_fields["shutdown_grace_s"].default
    assert int(options["stop_grace_period"].removesuffix("s")) > grace_s + 5


def test_redis_is_on_a_network_of_its_own() -> None:
    """Only the four services share it, and it leads nowhere else."""
    networks = {name: service.get("networks", ["default"]) for name, service in COMPOSE["services"].items()}
    assert networks["redis"] == ["queue"]
    assert COMPOSE["networks"]["queue"] == {"internal": True}
    assert {name for name, names in networks.items() if "queue" in names} == {*SETTINGS, "redis"}


@pytest.mark.parametrize("files", [["docker-compose.yml"], ["docker-compose.yml", "docker-compose.gpu.yml"]])
def test_compose_takes_the_files(files: list[str]) -> None:
    """docker-compose, where it is installed, finds no fault with them."""
    if not shutil.which("docker-compose"):
        pytest.skip("docker-compose is not installed here")
    options = [option for file in files for option in ("--file", file)]
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}
    result = subprocess.run(
        ["docker-compose", *options, "config", "--quiet"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
