"""The containers, as a test drives them."""

import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import httpx

SERVICES = ("api", "stt-worker", "llm-worker", "tts-worker")
CONTAINERS = (*SERVICES, "redis")


def compose_command() -> list[str] | None:
    """The command for compose on this machine: the old program or the newer plugin."""
    if shutil.which("docker-compose"):
        return ["docker-compose"]
    plugin = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
    return None if plugin.returncode else ["docker", "compose"]


def clean_environment() -> dict[str, str]:
    """The environment that docker needs, without variables of the caller that would override the `.env` of a test."""
    return {name: value for name, value in os.environ.items() if name in ("PATH", "HOME") or name.startswith("DOCKER_")}


def run(*command: str, folder: Path | None = None) -> str:
    """The command's output; an AssertionError with the end of what it said if it fails."""
    done = subprocess.run(command, cwd=folder, env=clean_environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout


class Stack:
    """One compose project, from a copy of the tree."""

    def __init__(self, folder: Path, project: str, port: int, uid: int) -> None:
        self.folder, self.uid = folder, uid
        self._compose = [*(compose_command() or []), "--project-name", project]
        self.url = f"http://127.0.0.1:{port}"
        self._client = httpx.Client(base_url=self.url, timeout=30, trust_env=False)

    def compose(self, *arguments: str) -> str:
        return run(*self._compose, *arguments, folder=self.folder)

    def build(self) -> None:
        # The plugin builds side by side by itself.
        self.compose("build", *(["--parallel"] if self._compose[0] == "docker-compose" else []))

    def up(self, **scale: int) -> None:
        """Start what does not run, with so many of a stage (`stt=2`), and wait until all are healthy."""
        options = [f"--scale={stage}-worker={count}" for stage, count in scale.items()]
        self.compose("up", "--detach", "--no-build", *options)
        deadline = time.monotonic() + 90
        for service in CONTAINERS:
            for container in self.containers(service):
                while (health := inspect(container)["State"]["Health"])["Status"] != "healthy":
                    assert time.monotonic() < deadline, f"{service} is not healthy: {health}\n{self.logs(container)}"
                    time.sleep(0.5)

    def down(self) -> None:
        self.compose("down", "--volumes", "--timeout", "5")
        self._client.close()

    def containers(self, service: str) -> list[str]:
        return self.compose("ps", "--quiet", service).split()

    def logs(self, container: str) -> str:
        """The last lines of a container, of standard output and standard error."""
        both = subprocess.run(
            ["docker", "logs", "--tail", "200", container], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=True
        )
        return both.stdout.decode()

    def worker_of(self, job_id: str, service: str) -> str:
        """The container that began the job's task first."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            for container in self.containers(service):
                if any(job_id in line and "task_started" in line for line in self.logs(container).splitlines()):
                    return container
            time.sleep(0.1)
        raise AssertionError(f"no {service} has begun {job_id}")

    def upload(self, recording: bytes) -> str:
        """The id of a new job."""
        answer = self._client.post("/transcribe", files={"audio_file": ("question.wav", recording, "audio/wav")})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["job_id"])

    def job(self, job_id: str) -> dict[str, Any]:
        answer: dict[str, Any] = self._client.get(f"/status/{job_id}").raise_for_status().json()
        return answer

    def completed(self, job_id: str, within_s: float = 60) -> dict[str, Any]:
        """The job, once it has completed."""
        deadline = time.monotonic() + within_s
        while True:
            job: dict[str, Any] = self._client.get(f"/status/{job_id}", params={"wait": 20}).raise_for_status().json()
            if job["status"] not in ("pending", "processing"):
                assert job["status"] == "completed", job
                return job
            assert time.monotonic() < deadline, job

    def answer(self, job_id: str) -> Path:
        """Where the spoken answer lies on the host."""
        return self.folder / "shared_data" / "output" / f"{job_id}_response.wav"


def inspect(container: str) -> dict[str, Any]:
    described: list[dict[str, Any]] = json.loads(run("docker", "inspect", container))
    return described[0]
