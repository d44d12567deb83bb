"""The services as separate processes that a test can start and kill one by one."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from cli.local_stack.ports import free_port
from support.wait import wait_until

TESTS = Path(__file__).parents[1]
QUESTION = TESTS.parent / "cli" / "samples" / "question.wav"

#: Loading the engines of all stages takes seconds, and several times as long on a loaded CI machine.
_READY_TIMEOUT_S = 90
_STAGE_START_TIMEOUT_S = 30
_EXIT_TIMEOUT_S = 30

#: From the event that a stage has started until its engine surely computes.
_ENGINE_CALL_S = 0.2


class ServiceProcesses:
    """An API and workers on one Redis and one volume; the volume's folder is created."""

    def __init__(self, redis_url: str, data_dir: Path, **settings: str) -> None:
        data_dir.mkdir(parents=True, exist_ok=True)
        self.data_dir = data_dir
        self.url = f"http://127.0.0.1:{free_port()}"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("STT_", "LLM_", "TTS_"))}
        self._environment = {
            **inherited,
            "REDIS_URL": redis_url,
            "DATA_DIR": str(data_dir),
            "API_PORT": self.url.rpartition(":")[2],
            "STT_ENGINE": "slow",
            "LLM_ENGINE": "slow",
            "TTS_ENGINE": "slow",
            "PYTHONPATH": str(TESTS / "example_engines"),
            **settings,
        }
        self.own_settings: dict[str, dict[str, str]] = {}
        """Settings of single processes, by the name of the process."""
        self.client = httpx.Client(base_url=self.url, timeout=90)

    def start(self, *names: str) -> None:
        """Start processes, by default `api`, `stt`, `llm` and `tts`. A suffix numbers further ones: `stt-2`."""
        for name in names or ("api", "stt", "llm", "tts"):
            kind = name.partition("-")[0]
            module = kind if kind == "api" else f"{kind}_worker"
            environment = self._environment | self.own_settings.get(name, {})
            with self.log(name).open("ab") as log:
                self.processes[name] = subprocess.Popen(
                    [sys.executable, "-m", module], env=environment, stderr=log, stdout=log, cwd=self.data_dir
                )

    def log(self, name: str) -> Path:
        return self.data_dir.parent / f"{name}.log"

    def wait_until_ready(self, **workers: int) -> None:
        """Wait until each stage has at least one warm worker, or as many as `workers` states."""
        minimum = {"stt": 1, "llm": 1, "tts": 1} | workers

        def is_ready() -> bool:
            stages = self.client.get("/readyz").json()["stages"]
            return bool(stages) and all(stages[stage]["workers"] >= count for stage, count in minimum.items())

        wait_until(is_ready, _READY_TIMEOUT_S, poll_s=0.1, ignored=(httpx.HTTPError,), describe=self.logs)

    def ask(self, text: str, **fields: str) -> str:
        """Send a written question; return the job's id."""
        return self._submit_json("/ask", text=text, **fields)

    def speak(self, text: str, **fields: str) -> str:
        """Send a text to synthesize; return the job's id."""
        return self._submit_json("/speak", text=text, **fields)

    def _submit_json(self, path: str, **fields: str) -> str:
        response = self.client.post(path, json=fields)
        assert response.status_code == 202, response.text
        job_id: str = response.json()["job_id"]
        return job_id

    def upload(self, path: Path = QUESTION, **fields: str) -> str:
        """Upload a recording; return the job's id."""
        with path.open("rb") as file:
            response = self.client.post("/transcribe", files={"audio_file": file}, data=fields)
        assert response.status_code == 202, response.text
        job_id: str = response.json()["job_id"]
        return job_id

    def status(self, job_id: str, wait: float = 0) -> dict[str, Any]:
        status: dict[str, Any] = self.client.get(f"/status/{job_id}", params={"wait": wait}).json()
        return status

    def wait_until_ended(self, job_id: str) -> dict[str, Any]:
        """Wait until the job has completed, failed or been cancelled; return its status."""
        job = self.status(job_id, wait=60)
        assert job["status"] in ("completed", "failed", "cancelled"), (job, self.logs())
        return job

    def wait_until_started(self, job_id: str, stage: str) -> None:
        """Wait until the stage's engine computes on the job."""
        wait_until(
            lambda: stage in self.status(job_id)["timings"]["stages"],
            _STAGE_START_TIMEOUT_S,
            describe=lambda: f"{stage} has not started: {self.status(job_id)}",
        )
        time.sleep(_ENGINE_CALL_S)

    def delay(self, stage: str, seconds: float) -> None:
        """Set how long the `slow` engine of a stage takes, from its next task on."""
        (self.data_dir / f"delay-{stage}").write_text(str(seconds))

    def kill(self, name: str) -> None:
        """Kill a process with SIGKILL, and forget it."""
        process = self.processes.pop(name)
        process.kill()
        process.wait()

    def stop(self) -> None:
        """Stop all processes with SIGTERM, as an operator does; fail the test if one does not exit in time."""
        self.client.close()
        for process in self.processes.values():
            process.send_signal(signal.SIGTERM)
        for name, process in self.processes.items():
            try:
                process.wait(_EXIT_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise AssertionError(f"{name} did not stop: {self.logs()}") from None

    def logs(self) -> str:
        """The end of each process's log."""
        return "\n".join(path.read_text(errors="replace")[-3000:] for path in self.data_dir.parent.glob("*.log"))

    def files(self) -> list[str]:
        """The paths of all files of jobs, relative to the volume."""
        folders = ("input", "work", "output")
        found = [path for folder in folders for path in (self.data_dir / folder).rglob("*") if path.is_file()]
        return sorted(path.relative_to(self.data_dir).as_posix() for path in found)


@contextmanager
def run_services(redis_url: str, data_dir: Path, **settings: str) -> Iterator[ServiceProcesses]:
    """Run an API and a worker of each stage, ready for jobs, until the end of the block."""
    services = ServiceProcesses(redis_url, data_dir, **settings)
    try:
        services.start()
        services.wait_until_ready()
        yield services
    finally:
        services.stop()
