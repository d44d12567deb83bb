"""The import contracts of pyproject.toml refuse what they are written for."""

from pathlib import Path
from typing import NamedTuple

import pytest

from support.repository_copy import add_code, copy_product, run_tool


class Plant(NamedTuple):
    """One forbidden import."""

    contract: str
    """The start of the contract's name."""

    file: str
    imported: str
    """The full name of the module."""

    reported: str = ""
    """The name of the module in the report, if it is another: of a library only the first name."""

    @property
    def importer(self) -> str:
        parts = self.file.removesuffix(".py").split("/")
        return ".".join(parts[1:] if "-" in parts[0] else parts)

    @property
    def line(self) -> str:
        return f"{self.importer} -> {self.reported or self.imported} (l."


PLANTS = [
    Plant("A service imports shared", "stt-worker/stt_worker/batcher.py", "api.settings"),
    Plant("A service imports shared", "shared/logs.py", "tts_worker.wav"),
    Plant("A service imports shared", "cli/errors.py", "api.settings"),
    Plant("shared: worker above", "shared/storage/local_cache.py", "shared.worker.backoff"),
    Plant("shared: worker above", "shared/errors.py", "shared.queue.keys"),
    Plant("api: routes and adapters above", "api/problems/catalogue.py", "api.routes.jobs"),
    Plant("api: routes and adapters above", "api/intake/sniff.py", "api.responses.metrics"),
    Plant("api: routes and adapters above", "api/jobs/wav_file.py", "api.middleware.api_keys"),
    Plant("api.jobs speaks no HTTP", "api/jobs/cleanup.py", "starlette.concurrency", "starlette"),
    Plant("api.jobs speaks no HTTP", "api/problems/problem.py", "fastapi"),
    Plant("Engines are loaded by name", "llm-worker/llm_worker/handler.py", "llm_worker.engines.offline.arithmetic"),
    Plant("Engines are loaded by name", "tts-worker/tts_worker/wav.py", "tts_worker.engines.espeak.library"),
    Plant("Only shared.queue.redis_client imports redis", "shared/queue/admin.py", "redis.asyncio", "redis"),
    Plant("Only shared.queue.redis_client imports redis", "shared/new_package/new_module.py", "redis"),
    Plant("Only shared.queue.redis_client imports redis", "shared/queue/queue.py", "redis.exceptions", "redis"),
    Plant("Only stt_worker.engines", "stt-worker/stt_worker/memory_limit.py", "faster_whisper.vad", "faster_whisper"),
    Plant("Only llm_worker.engines", "llm-worker/llm_worker/reply_stream.py", "openai"),
    Plant("Only llm_worker.engines", "llm-worker/llm_worker/history.py", "google.genai", "google"),
    Plant("Only tts_worker.engines", "tts-worker/tts_worker/cache.py", "onnxruntime"),
    Plant("PyAV", "stt-worker/stt_worker/child.py", "av"),
    Plant("Only shared.worker.engine_process", "shared/worker/watchdog.py", "pebble"),
]


def sections(report: str) -> dict[str, str]:
    """The parts of a report of import-linter about broken contracts, by contract."""
    _, _, broken = report.partition("Broken contracts")
    lines = broken.splitlines()
    found: dict[str, str] = {}
    name = ""
    for line, underline in zip(lines, [*lines[1:], ""], strict=True):
        if underline and set(underline) == {"-"}:
            name = line
        found[name] = found.get(name, "") + line + "\n"
    return found


def section(broken: dict[str, str], contract: str) -> str:
    """The report on the contract whose name begins with `contract`."""
    [text] = [text for name, text in broken.items() if name.startswith(contract)]
    return text


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The report of import-linter on a copy with every planted import, by contract."""
    root = copy_product(tmp_path_factory.mktemp("broken"))
    for plant in PLANTS:
        add_code(root, plant.file, f"def planted():\n    import {plant.imported}")
    add_code(root, "shared/new_package/__init__.py", "")
    add_code(root, "api/new_package/__init__.py", "")
    add_code(root, "stt-worker/stt_worker/audio.py", "def planted():\n    import stt_worker.handler")
    result = run_tool(root, "lint-imports", "--no-cache")
    assert result.returncode == 1, result.stdout + result.stderr
    return sections(result.stdout)


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: f"{plant.importer} imports {plant.imported}")
def test_forbidden_import_is_refused(broken: dict[str, str], plant: Plant) -> None:
    """A forbidden import breaks the contract that forbids it."""
    assert plant.line in section(broken, plant.contract)


def test_cycle_is_refused(broken: dict[str, str]) -> None:
    """A module that imports its importer, also through others, breaks the contract about cycles."""
    assert "No cycles are allowed in stt_worker." in section(broken, "Packages of one folder")


@pytest.mark.parametrize("package", ["api", "shared"])
def test_package_without_a_layer_is_refused(broken: dict[str, str], package: str) -> None:
    """A new package must be given its layer."""
    assert f"- {package}.new_package\n" in section(broken, f"{package}: ")


def test_product_keeps_every_contract(tmp_path: Path) -> None:
    """A copy without a planted import passes."""
    result = run_tool(copy_product(tmp_path / "copy"), "lint-imports", "--no-cache")
    assert result.returncode == 0, result.stdout + result.stderr
