"""How soon an answer is heard while a language model writes it, and how much of that is the pipeline's own time."""

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
from bench.lib.paced_llm_server import TOKENS_PER_S, running_language_model
from bench.lib.redis_server import running_redis
from bench.lib.services import running, running_api
from bench.lib.table import print_table

ROOT = Path(__file__).parents[2]
QUESTION = ROOT / "cli" / "samples" / "question.wav"

#: The product's own engines, with the smallest models that there are. The environment may name others.
ENGINES = {
    "STT_ENGINE": "faster-whisper",
    "STT_MODEL": str(ROOT / "tests" / "speech_models" / "tiny-whisper"),
    "TTS_ENGINE": "piper",
    "TTS_VOICE": str(ROOT / "tests" / "speech_models" / "tiny-piper" / "en_US-fixture-low.onnx"),
}

#: Jobs of the run in which the engines take no time.
NULL_JOBS = 200

#: What comes before the first sample of a WAV.
HEAD_BYTES = 44

PATIENCE_S = 90


@dataclass
class Contender:
    """A way to have the answer spoken, and what was measured of it."""

    title: str
    module: str = "llm_worker"
    arguments: tuple[str, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    tts_workers: int = 1
    first_audio_s: list[float] = field(default_factory=list)
    """From the end of the upload to the first sample."""
    final_s: list[float] = field(default_factory=list)
    """From the end of the upload until the whole WAV is there."""


def measure_first_audio(arguments: argparse.Namespace) -> None:
    contenders = [
        Contender("cascade"),
        Contender("cascade, three TTS workers", tts_workers=3),
        Contender("whole sentences", "bench.contenders.llm_in_sentences", ("1",)),
        Contender("three sentences", "bench.contenders.llm_in_sentences", ("3",)),
        Contender("STREAMING=false", settings={"STREAMING": "false"}),
    ]
    engines = ENGINES | {name: os.environ[name] for name in ENGINES if os.environ.get(name)}
    with running_language_model() as base_url:
        engines |= {"LLM_ENGINE": "openai", "OPENAI_BASE_URL": base_url}
        for _ in track(range(arguments.rounds), "first audio", transient=True):
            for contender in contenders:
                with _stack(contender, engines) as port:
                    first_s, final_s = _talk(port)
                contender.first_audio_s.append(first_s)
                contender.final_s.append(final_s)
    plugin = str(Path(__file__).parents[1] / "entry_points")
    paths = os.pathsep.join(filter(None, [plugin, os.environ.get("PYTHONPATH")]))
    null = {"STT_ENGINE": "null", "LLM_ENGINE": "null", "TTS_ENGINE": "null", "PYTHONPATH": paths}
    with _stack(Contender("null"), null) as port:
        overheads_s = [_talk(port)[0] for _ in track(range(NULL_JOBS), "overhead", transient=True)]
    _print(contenders, overheads_s, engines)


@contextmanager
def _stack(contender: Contender, settings: dict[str, str]) -> Iterator[int]:
    """Its port, once everything is warm."""
    # Below the working directory, since /tmp may be no disk at all.
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=Path.cwd()) as directory, ExitStack() as stack:
        root = Path(directory)
        redis = stack.enter_context(running_redis(root))
        settings = settings | contender.settings | {"REDIS_URL": redis.url, "DATA_DIR": str(root / "volume")}
        port, _ = stack.enter_context(running_api(root / "volume", redis.url, RATE_LIMIT="off"))
        stack.enter_context(running("stt_worker", **settings))
        stack.enter_context(running(contender.module, *contender.arguments, **settings))
        for _ in range(contender.tts_workers):
            stack.enter_context(running("tts_worker", **settings))
        _wait_until_ready(port, contender.tts_workers)
        _talk(port)  # the first brings in what is loaded late
        yield port


def _wait_until_ready(port: int, tts_workers: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        stages = httpx.get(f"http://127.0.0.1:{port}/readyz").json()["stages"]
        if all(stages[stage]["workers"] >= count for stage, count in [("stt", 1), ("llm", 1), ("tts", tts_workers)]):
            return
        time.sleep(0.1)
    raise RuntimeError("The stack did not become ready.")


def _talk(port: int) -> tuple[float, float]:
    """Seconds from the end of the upload to the first sample, and until the job has completed."""
    body = HEAD + QUESTION.read_bytes() + TAIL
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    connection.request("POST", "/transcribe", body, {"Content-Type": CONTENT_TYPE})
    uploaded = time.perf_counter()
    job = json.loads(_expect(202, connection.getresponse()).read())
    connection.request("GET", job["audio_url"])
    audio = _expect(200, connection.getresponse())
    audio.read(HEAD_BYTES + 1)
    first = time.perf_counter()
    audio.read()
    connection.request("GET", job["status_url"] + "?" + urlencode({"wait": 20}))
    status = json.loads(connection.getresponse().read())["status"]
    final = time.perf_counter()
    connection.close()
    if status != "completed":
        raise RuntimeError(f"The job is {status}.")
    return first - uploaded, final - uploaded


def _expect(status: int, answer: HTTPResponse) -> HTTPResponse:
    if answer.status != status:
        raise RuntimeError(f"{answer.status}: {answer.read().decode(errors='replace')}")
    return answer


def _print(contenders: list[Contender], overheads_s: list[float], engines: Mapping[str, str]) -> None:
    own = contenders[0]
    rows = []
    for each in contenders:
        first, final = median(each.first_audio_s), median(each.final_s)
        rows.append(
            [
                each.title,
                f"{first:.2f}",
                f"{min(each.first_audio_s):.2f}-{max(each.first_audio_s):.2f}",
                f"{first / median(own.first_audio_s):.1f} x",
                f"{final:.2f}",
                f"{final / median(own.final_s):.2f} x",
            ]
        )
    heads = ["the answer is spoken", "first audio, s", "spread", "to cascade", "whole WAV, s", "to cascade"]
    names = f"{engines['STT_ENGINE']} and {engines['TTS_ENGINE']}"
    print_table(f"A model of {TOKENS_PER_S} tokens/s; {names} (median of {len(own.final_s)} rounds)", heads, rows)
    overheads_ms = [1000 * each for each in overheads_s]
    cuts = quantiles(overheads_ms, n=20)
    share = median(overheads_s) / median(own.first_audio_s)
    row = ["upload to first audio", f"{median(overheads_ms):.1f}", f"{cuts[-1]:.1f}", f"{100 * share:.1f} %"]
    heads = ["engines that take no time", "p50, ms", "p95, ms", "p50 of cascade's first audio"]
    print_table(f"The pipeline's own share ({len(overheads_s)} jobs)", heads, [row])
