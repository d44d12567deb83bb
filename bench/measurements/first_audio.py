"""Time to the first audio while a language model streams its answer, and the pipeline's own share of it."""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from statistics import median, quantiles
from urllib.parse import urlencode

import httpx
from rich.progress import track

from bench.lib.multipart_form import CONTENT_TYPE, HEAD, TAIL
from bench.lib.paced_llm_server import TOKENS_PER_S, running_llm_server
from bench.lib.redis_server import running_redis
from bench.lib.services import path_with_bench_engines, running, running_api
from bench.lib.table import print_table

ROOT = Path(__file__).parents[2]
QUESTION = ROOT / "cli" / "samples" / "question.wav"

#: The product's own engines with the tests' tiny models. The environment may name others.
ENGINES = {
    "STT_ENGINE": "faster-whisper",
    "STT_MODEL": str(ROOT / "tests" / "speech_models" / "tiny-whisper"),
    "TTS_ENGINE": "piper",
    "TTS_VOICE": str(ROOT / "tests" / "speech_models" / "tiny-piper" / "en_US-fixture-low.onnx"),
}

#: Jobs of the run with engines that take no time.
NULL_JOBS = 200

#: Length of a WAV file's header.
WAV_HEADER_BYTES = 44

TIMEOUT_S = 90


@dataclass
class Contender:
    """A strategy of splitting the answer into segments, and its measured times."""

    title: str
    module: str = "llm_worker"
    arguments: tuple[str, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    tts_workers: int = 1
    first_audio_s: list[float] = field(default_factory=list)
    """From the end of the upload to the first sample."""
    whole_wav_s: list[float] = field(default_factory=list)
    """From the end of the upload until the whole WAV is available."""


def measure_first_audio(arguments: argparse.Namespace) -> None:
    contenders = [
        Contender("cascade"),
        Contender("cascade, three TTS workers", tts_workers=3),
        Contender("in whole sentences", "bench.contenders.llm_in_sentences", ("1",)),
        Contender("three sentences at a time", "bench.contenders.llm_in_sentences", ("3",)),
        Contender("STREAMING=false", settings={"STREAMING": "false"}),
    ]
    engines = ENGINES | {name: os.environ[name] for name in ENGINES if os.environ.get(name)}
    with running_llm_server() as base_url:
        engines |= {"LLM_ENGINE": "openai", "OPENAI_BASE_URL": base_url}
        for _ in track(range(arguments.rounds), "first audio", transient=True):
            for contender in contenders:
                with _running_stack(contender, engines) as port:
                    first_s, whole_s = _run_turn(port)
                contender.first_audio_s.append(first_s)
                contender.whole_wav_s.append(whole_s)
    null_engines = {
        "STT_ENGINE": "null",
        "LLM_ENGINE": "null",
        "TTS_ENGINE": "null",
        "PYTHONPATH": path_with_bench_engines(),
    }
    with _running_stack(Contender("null"), null_engines) as port:
        overheads_s = [_run_turn(port)[0] for _ in track(range(NULL_JOBS), "overhead", transient=True)]
    _print(contenders, overheads_s, engines)


@contextmanager
def _running_stack(contender: Contender, settings: dict[str, str]) -> Iterator[int]:
    """The port of a complete stack, once everything is warm."""
    # In the working directory, since /tmp may be a RAM disk.
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=Path.cwd()) as directory, ExitStack() as stack:
        root = Path(directory)
        redis = stack.enter_context(running_redis(root))
        settings = settings | dict(contender.settings) | {"REDIS_URL": redis.url, "DATA_DIR": str(root / "volume")}
        port, _ = stack.enter_context(running_api(root / "volume", redis.url, RATE_LIMIT="off"))
        stack.enter_context(running("stt_worker", **settings))
        stack.enter_context(running(contender.module, *contender.arguments, **settings))
        for _ in range(contender.tts_workers):
            stack.enter_context(running("tts_worker", **settings))
        _wait_until_ready(port, contender.tts_workers)
        _run_turn(port)  # the first turn triggers all lazy loading
        yield port


def _wait_until_ready(port: int, tts_workers: int) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        stages = httpx.get(f"http://127.0.0.1:{port}/readyz").json()["stages"]
        if all(stages[stage]["workers"] >= count for stage, count in [("stt", 1), ("llm", 1), ("tts", tts_workers)]):
            return
        time.sleep(0.1)
    raise RuntimeError("The stack did not become ready.")


def _run_turn(port: int) -> tuple[float, float]:
    """Seconds from the end of the upload to the first sample, and until the job has completed."""
    body = HEAD + QUESTION.read_bytes() + TAIL
    connection = HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    connection.request("POST", "/transcribe", body, {"Content-Type": CONTENT_TYPE})
    uploaded_at = time.perf_counter()
    job = json.loads(_require_status(202, connection.getresponse()).read())
    connection.request("GET", job["audio_url"])
    audio = _require_status(200, connection.getresponse())
    audio.read(WAV_HEADER_BYTES + 1)
    first_audio_at = time.perf_counter()
    audio.read()
    connection.request("GET", job["status_url"] + "?" + urlencode({"wait": 20}))
    status = json.loads(connection.getresponse().read())["status"]
    completed_at = time.perf_counter()
    connection.close()
    if status != "completed":
        raise RuntimeError(f"The job is {status}.")
    return first_audio_at - uploaded_at, completed_at - uploaded_at


def _require_status(status: int, response: HTTPResponse) -> HTTPResponse:
    if response.status != status:
        raise RuntimeError(f"{response.status}: {response.read().decode(errors='replace')}")
    return response


def _print(contenders: list[Contender], overheads_s: list[float], engines: Mapping[str, str]) -> None:
    own = contenders[0]
    rows = []
    for contender in contenders:
        first_s, whole_s = median(contender.first_audio_s), median(contender.whole_wav_s)
        rows.append(
            [
                contender.title,
                f"{first_s:.2f}",
                f"{min(contender.first_audio_s):.2f}-{max(contender.first_audio_s):.2f}",
                f"{first_s / median(own.first_audio_s):.1f} x",
                f"{whole_s:.2f}",
                f"{whole_s / median(own.whole_wav_s):.2f} x",
            ]
        )
    heads = ["the answer is synthesized", "first audio, s", "min-max", "to cascade", "whole WAV, s", "to cascade"]
    names = f"{engines['STT_ENGINE']} and {engines['TTS_ENGINE']}"
    print_table(
        f"Answer of a model with {TOKENS_PER_S} tokens/s; {names} (median of {len(own.whole_wav_s)} rounds)",
        heads,
        rows,
    )
    overheads_ms = [1000 * overhead_s for overhead_s in overheads_s]
    cuts = quantiles(overheads_ms, n=20)
    share = median(overheads_s) / median(own.first_audio_s)
    row = ["upload to first audio", f"{median(overheads_ms):.1f}", f"{cuts[-1]:.1f}", f"{100 * share:.1f} %"]
    heads = ["engines that take no time", "p50, ms", "p95, ms", "p50 of cascade's first audio"]
    print_table(f"The pipeline's own share ({len(overheads_s)} jobs)", heads, [row])
