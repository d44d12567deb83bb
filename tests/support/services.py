"""The services as processes, one by one, so that a test can kill any of them."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx

from cli.local_stack.ports import free_port

TESTS = Path(__file__).parents[1]
QUESTION = TESTS.parent / "cli" / "samples" / "question.wav"


class ServiceProcesses:
    """An API and workers on one Redis and one volume."""

    def __init__(self, redis_url: str, data_dir: Path, **settings: str) -> None:
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
        """By process, what it alone is told."""
        self.client = httpx.Client(base_url=self.url, timeout=90)

    def start(self, *names: str) -> None:
        """Start processes: `api`, or a stage, with a number behind it where there are several (`stt-2`)."""
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
        """Until each stage has at least one warm worker, or as many as named."""
        wanted = {"stt": 1, "llm": 1, "tts": 1} | workers
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            try:
                stages = self.client.get("/readyz").json()["stages"]
                if stages and all(stages[stage]["workers"] >= count for stage, count in wanted.items()):
                    return
            except httpx.HTTPError:
                pass
            time.sleep(0.1)
        raise AssertionError(f"not ready: {self.logs()}")

    def upload(self, path: Path = QUESTION, **fields: str) -> str:
        with path.open("rb") as file:
            answer = self.client.post("/transcribe", files={"audio_file": file}, data=fields)
        assert answer.status_code == 202, answer.text
        job_id: str = answer.json()["job_id"]
        return job_id

    def status(self, job_id: str, wait: float = 0) -> dict[str, Any]:
        status: dict[str, Any] = self.client.get(f"/status/{job_id}", params={"wait": wait}).json()
        return status

    def ended(self, job_id: str) -> dict[str, Any]:
        job = self.status(job_id, wait=60)
        assert job["status"] in ("completed", "failed", "cancelled"), (job, self.logs())
        return job

    def until_working(self, job_id: str, stage: str) -> None:
        """Until the stage's engine computes on the job."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if stage in self.status(job_id)["timings"]["stages"]:
                time.sleep(0.2)
                return
            time.sleep(0.02)
        raise AssertionError(f"{stage} did not begin: {self.status(job_id)}")

    def delay(self, stage: str, seconds: float) -> None:
        (self.data_dir / f"delay-{stage}").write_text(str(seconds))

    def kill(self, name: str) -> None:
        """As `kill -9` does."""
        process = self.processes.pop(name)
        process.kill()
        process.wait()

    def stop(self) -> None:
        """As an operator does; whatever does not stop in time fails the test."""
        self.client.close()
        for process in self.processes.values():
            process.send_signal(signal.SIGTERM)
        for name, process in self.processes.items():
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise AssertionError(f"{name} did not stop: {self.logs()}") from None

    def logs(self) -> str:
        return "\n".join(path.read_text(errors="replace")[-3000:] for path in self.data_dir.parent.glob("*.log"))

    def files(self) -> list[str]:
        """Every file under the volume that belongs to a job."""
        folders = ("input", "work", "output")
        found = [path for folder in folders for path in (self.data_dir / folder).rglob("*") if path.is_file()]
        return sorted(path.relative_to(self.data_dir).as_posix() for path in found)
