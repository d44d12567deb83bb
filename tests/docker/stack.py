"""The stack in containers, for tests that build, start and kill it."""

import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import httpx

from shared.queue.stages import ENDED
from support.wait import wait_until

SERVICES = ("api", "stt-worker", "llm-worker", "tts-worker")
CONTAINERS = (*SERVICES, "redis")


def compose_command() -> list[str] | None:
    """The command line of compose: the older program or the newer plugin; None if neither is installed."""
    if shutil.which("docker-compose"):
        return ["docker-compose"]
    plugin = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
    return None if plugin.returncode else ["docker", "compose"]


def clean_environment() -> dict[str, str]:
    """The environment of docker, without the caller's variables that would override the `.env` file of a test."""
    return {name: value for name, value in os.environ.items() if name in ("PATH", "HOME") or name.startswith("DOCKER_")}


def run(*command: str, folder: Path | None = None) -> str:
    """Run a command and return its output; an AssertionError with the end of its output if it fails."""
    process = subprocess.run(command, cwd=folder, env=clean_environment(), capture_output=True, text=True, check=False)
    assert process.returncode == 0, f"{' '.join(command)}\n{process.stdout[-2000:]}\n{process.stderr[-4000:]}"
    return process.stdout


class Stack:
    """A compose project in a copy of the tree."""

    def __init__(self, folder: Path, project: str, port: int, uid: int) -> None:
        self.folder = folder
        self.uid = uid
        self._compose = [*(compose_command() or []), "--project-name", project]
        self.url = f"http://127.0.0.1:{port}"
        self._client = httpx.Client(base_url=self.url, timeout=30, trust_env=False)

    def compose(self, *arguments: str) -> str:
        return run(*self._compose, *arguments, folder=self.folder)

    def build(self) -> None:
        # The plugin builds in parallel by default.
        self.compose("build", *(["--parallel"] if self._compose[0] == "docker-compose" else []))

    def up(self, **scale: int) -> None:
        """Start the containers that are down, scaled by stage (`stt=2`), and wait until all are healthy."""
        options = [f"--scale={stage}-worker={count}" for stage, count in scale.items()]
        self.compose("up", "--detach", "--no-build", *options)
        deadline = time.monotonic() + 90
        for service in CONTAINERS:
            for container in self.containers(service):
                wait_until_healthy(container, deadline - time.monotonic())

    def down(self) -> None:
        self.compose("down", "--volumes", "--timeout", "5")
        self._client.close()

    def containers(self, service: str) -> list[str]:
        return self.compose("ps", "--quiet", service).split()

    def wait_for_worker(self, job_id: str, service: str) -> str:
        """Wait until a worker has started the job; return its container."""

        def worker() -> str | None:
            for container in self.containers(service):
                if any(job_id in line and "task_started" in line for line in logs(container).splitlines()):
                    return container
            return None

        container = wait_until(worker, poll_s=0.1, describe=lambda: f"no {service} has started {job_id}")
        assert container is not None
        return container

    def upload(self, recording: bytes) -> str:
        """Upload a recording; return the job's id."""
        response = self._client.post("/transcribe", files={"audio_file": ("question.wav", recording, "audio/wav")})
        assert response.status_code == 202, response.text
        return str(response.json()["job_id"])

    def wait_until_completed(self, job_id: str, timeout_s: float = 60) -> dict[str, Any]:
        """Wait until the job has completed; return its status."""

        def ended_job() -> dict[str, Any] | None:
            response = self._client.get(f"/status/{job_id}", params={"wait": 20}).raise_for_status()
            job: dict[str, Any] = response.json()
            return job if job["status"] in ENDED else None

        job = wait_until(ended_job, timeout_s, describe=lambda: f"{job_id} has not ended")
        assert job is not None
        assert job["status"] == "completed", job
        return job

    def answer_file(self, job_id: str) -> Path:
        """The path of the answer's audio on the host."""
        return self.folder / "shared_data" / "output" / f"{job_id}_response.wav"


def inspect(container: str) -> dict[str, Any]:
    """The description of a container by Docker."""
    descriptions: list[dict[str, Any]] = json.loads(run("docker", "inspect", container))
    return descriptions[0]


def wait_until_healthy(container: str, timeout_s: float) -> None:
    """Wait until the container's health check passes."""

    def health() -> dict[str, Any]:
        state: dict[str, Any] = inspect(container)["State"]["Health"]
        return state

    wait_until(
        lambda: health()["Status"] == "healthy",
        timeout_s,
        poll_s=0.5,
        describe=lambda: f"{container} is not healthy: {health()}\n{logs(container)}",
    )


def logs(container: str) -> str:
    """The last lines of both of a container's streams."""
    command = ["docker", "logs", "--tail", "200", container]
    process = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=True)
    return process.stdout.decode()
