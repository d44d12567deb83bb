"""Promises of the images and the compose files, read from the files alone."""

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

#: Paths and addresses inside a container, which the image fixes.
FIXED_BY_IMAGE = {"DATA_DIR", "MODELS_DIR", "HEALTH_FILE", "API_HOST", "API_PORT"}

#: Read by the compose files and by no service.
COMPOSE_VARIABLES = {
    "API_BIND",
    "API_PORT",
    "BASE_IMAGE",
    "CASCADE_GID",
    "CASCADE_UID",
    "OLLAMA_IMAGE",
    "REDIS_IMAGE",
} | {f"{name}_MEMORY" for name in ("API", "STT", "LLM", "TTS", "REDIS", "OLLAMA")}

every_service = pytest.mark.parametrize("service", SETTINGS)


def dockerfile(service: str) -> str:
    return (ROOT / service / "Dockerfile").read_text()


def variables(service: str) -> set[str]:
    return {name.upper() for name in SETTINGS[service].model_fields}


@every_service
def test_an_image_holds_only_shared_and_its_own_package(service: str) -> None:
    """An image copies the shared package and its own service's, and no other service's code."""
    copied = {source for line in re.findall(r"^COPY (.+)$", dockerfile(service), re.M) for source in line.split()[:-1]}
    assert copied == METADATA | {f"{service}/requirements.txt", "shared/", PACKAGES[service]}


@every_service
def test_an_image_builds_with_the_legacy_builder(service: str) -> None:
    """A Dockerfile uses nothing that only BuildKit supports, and its base image can be replaced."""
    text = dockerfile(service)
    assert not re.search(r"--mount|--chmod|--link|<<|^# *syntax", text, re.M)
    assert text.index("ARG BASE_IMAGE=python:3.11-slim") < text.index("FROM ${BASE_IMAGE}")


@every_service
def test_an_image_has_a_user_and_a_health_check(service: str) -> None:
    """An image runs as a fixed user without root rights and has a health check without curl, with compose or
    without."""
    text = dockerfile(service)
    assert re.findall(r"^USER (.+)$", text, re.M) == ["10001:10001"]
    assert re.search(r'^HEALTHCHECK .*\\\n +CMD \["python", ', text, re.M)


def test_the_architecture_is_four_services_and_one_redis() -> None:
    """The services that keep running after `docker compose up` are the four services and Redis."""
    running = {
        name
        for name, service in COMPOSE["services"].items()
        if service["restart"] == "unless-stopped" and "profiles" not in service
    }
    assert running == {*SETTINGS, "redis"}


def test_every_service_that_keeps_running_has_a_health_check() -> None:
    """A service that keeps running has a health check in its Dockerfile or, for a foreign image, in the compose
    file."""
    for name, service in COMPOSE["services"].items():
        if service["restart"] != "no":
            assert "healthcheck" in service or "HEALTHCHECK" in dockerfile(name), name


def test_only_the_api_is_published_and_only_to_this_machine() -> None:
    """Only the API has a published port, on the loopback address; Redis has no password by default, and a worker with a
    fixed port could not be scaled."""
    published = {name: service["ports"] for name, service in COMPOSE["services"].items() if "ports" in service}
    assert published == {"api": ["${API_BIND:-127.0.0.1}:${API_PORT:-8000}:8000"]}
    assert not any("container_name" in service for service in COMPOSE["services"].values())


@every_service
def test_every_setting_reaches_its_container(service: str) -> None:
    """A variable in .env reaches the service's container, and an unset one leaves the service its default."""
    environment = COMPOSE["services"][service]["environment"]
    assert set(environment) == variables(service) - FIXED_BY_IMAGE
    for name, value in environment.items():
        default = "redis://redis:6379/0" if name == "REDIS_URL" else ""
        assert value == f"${{{name}:-{default}}}"


@every_service
def test_the_image_fixes_the_paths_inside_the_container(service: str) -> None:
    """An image sets its own DATA_DIR and the like, so that a value from .env for a run without Docker does not reach
    it."""
    for name in variables(service) & (FIXED_BY_IMAGE - {"MODELS_DIR"}):
        assert re.search(rf"^ENV .*\b{name}=", dockerfile(service), re.M), name


def test_the_compose_files_read_only_known_variables() -> None:
    """Every `${NAME}` of a compose file is a setting or a variable that only compose reads."""
    text = "".join(path.read_text() for path in ROOT.glob("docker-compose*.yml"))
    known_variables = COMPOSE_VARIABLES.union(*(variables(service) for service in SETTINGS))
    assert set(re.findall(r"\$\{(\w+)", text)) <= known_variables


@pytest.mark.parametrize("service", COMPOSE["services"])
def test_a_container_has_few_privileges(service: str) -> None:
    """A container has no capabilities, cannot gain any, and has limits of memory and processes."""
    options = COMPOSE["services"][service]
    assert options["cap_drop"] == ["ALL"]
    assert options["security_opt"] == ["no-new-privileges:true"]
    assert re.fullmatch(r"\$\{[A-Z]+_MEMORY:-\d+[mg]\}|\d+m", options["mem_limit"])
    assert 0 < options["pids_limit"] <= 512
    assert options.get("read_only") or service.startswith("ollama"), "only a foreign image may be writable"
    if "cap_add" in options:
        assert (options["restart"], options["network_mode"]) == ("no", "none"), (
            "a container with a capability must have no network"
        )


@every_service
def test_a_service_is_not_root_and_has_time_to_stop(service: str) -> None:
    """A service runs as the volume's owner, under an init, and has more time to stop than a worker needs."""
    options = COMPOSE["services"][service]
    assert options["user"] == "${CASCADE_UID:-1000}:${CASCADE_GID:-1000}"
    assert options["init"]
    assert all("noexec" in tmpfs and "size=" in tmpfs for tmpfs in options["tmpfs"])
    grace_s = SttSettings.model_fields["shutdown_grace_s"].default
    assert int(options["stop_grace_period"].removesuffix("s")) > grace_s + 5


def test_redis_is_on_a_network_of_its_own() -> None:
    """Redis is reachable only from the four services, on a network without access to others."""
    networks = {name: service.get("networks", ["default"]) for name, service in COMPOSE["services"].items()}
    assert networks["redis"] == ["queue"]
    assert COMPOSE["networks"]["queue"] == {"internal": True}
    assert {name for name, names in networks.items() if "queue" in names} == {*SETTINGS, "redis"}


@pytest.mark.parametrize("files", [["docker-compose.yml"], ["docker-compose.yml", "docker-compose.gpu.yml"]])
def test_docker_compose_accepts_the_files(files: list[str]) -> None:
    """An installed docker-compose accepts the compose files without an error."""
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
