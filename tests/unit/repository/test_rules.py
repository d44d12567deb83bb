"""Each rule of the repository refuses a violation planted in a copy of the product, and passes without one."""

from collections.abc import Callable
from pathlib import Path

import pytest

from support.repository_copy import ROOT, add_code, copy_product, run_tool
from support.rules import (
    RULES,
    docstrings,
    environment,
    file_sizes,
    image_imports,
    import_cycles,
    log_events,
    volume_paths,
    words,
)
from support.rules.source import Violation

Check = Callable[[Path], list[Violation]]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return copy_product(tmp_path / "copy")


@pytest.mark.parametrize("check", RULES, ids=lambda check: check.__module__.rpartition(".")[2])
def test_repository_keeps_the_rule(check: Check) -> None:
    """The checkout itself breaks no rule."""
    assert check(ROOT) == []


def refuse(check: Check, root: Path, path: str, part_of_message: str) -> None:
    """Assert that a check reports one violation in the file or folder `path`."""
    [violation] = [violation for violation in check(root) if violation.path == path]
    assert part_of_message in violation.message


@pytest.mark.parametrize(
    "code",
    [
        'def planted(settings, job_id):\n    return settings.data_dir / "output" / job_id',
        'def planted(volume, job_id):\n    return volume / "work" / job_id',
        "def planted(volume, job):\n    return volume.joinpath(job.audio_path)",
        'def planted(volume, event):\n    return volume / event["path"]',
        'def planted(volume):\n    return Path("cache", volume)',
        'def planted(event):\n    return PurePosixPath(event["path"]).name',
        'def planted(settings, job_id):\n    return f"{settings.data_dir}/input/{job_id}"',
        "def planted(settings):\n    return list_files(settings.data_dir)",
    ],
)
def test_volume_path_outside_the_storage_is_refused(copy: Path, code: str) -> None:
    """A path under the volume that is joined in the cleanup is reported there."""
    add_code(copy, "api/jobs/cleanup.py", code)
    assert {violation.path for violation in volume_paths.check(copy)} == {"api/jobs/cleanup.py"}


@pytest.mark.parametrize("path", ["api/jobs/submit.py", "cli/commands/watch.py", "shared/new_module.py"])
@pytest.mark.parametrize("code", ["import os\n\nVALUE = os.environ['A']", "import os\n\nVALUE = os.getenv('A')"])
def test_environment_outside_settings_is_refused(copy: Path, path: str, code: str) -> None:
    """Ruff reports a file that reads an environment variable and is not a settings.py."""
    add_code(copy, path, code)
    result = run_tool(copy, "ruff", "check", "--no-cache", "--select", "TID251", "--output-format", "concise")
    assert result.returncode == 1
    assert f"{path}:" in result.stdout
    assert "TID251" in result.stdout


def test_environment_in_settings_passes(copy: Path) -> None:
    """Ruff reports no use of the environment in the product as it is, and none in a settings.py."""
    add_code(copy, "cli/settings.py", "import os\n\nVALUE = os.environ['A']")
    result = run_tool(copy, "ruff", "check", "--no-cache", "--select", "TID251")
    assert result.returncode == 0, result.stdout


def test_option_that_reads_the_environment_is_refused(copy: Path) -> None:
    """A typer option with an environment variable belongs into cli/settings.py."""
    add_code(copy, "cli/commands/watch.py", 'OPTION = typer.Option(envvar="CASCADE_OTHER")')
    refuse(environment.check, copy, "cli/commands/watch.py", "environment")


@pytest.mark.parametrize("path", ["api/jobs/cleanup.py", "shared/queue/lua/lib/counters.lua", "api/web/main.js"])
def test_long_file_is_refused(copy: Path, path: str) -> None:
    """A file of more than 300 lines is reported, in each language."""
    add_code(copy, path, "\n" * file_sizes.MAX_LINES)
    refuse(file_sizes.check, copy, path, "300")


def test_long_test_is_refused(copy: Path) -> None:
    """The limit holds for tests and benchmarks as it does for the product."""
    add_code(copy, "tests/test_planted.py", "\n" * file_sizes.MAX_LINES)
    refuse(file_sizes.check, copy, "tests/test_planted.py", "300")


def test_growing_median_is_refused(copy: Path) -> None:
    """Many files that are each within the limit, but long, are reported together."""
    for number in range(300):
        add_code(copy, f"tests/test_{number}.py", "\n" * (file_sizes.MEDIAN_LINES + 1))
    refuse(file_sizes.check, copy, ".", "median")


def test_crowded_folder_is_refused(copy: Path) -> None:
    """A folder of the product with more than 12 modules is reported; its __init__.py does not count."""
    add_code(copy, "shared/crowded/__init__.py", "")
    for number in range(file_sizes.MAX_MODULES):
        add_code(copy, f"shared/crowded/module_{number}.py", "")
    assert "shared/crowded" not in {violation.path for violation in file_sizes.check(copy)}
    add_code(copy, "shared/crowded/module_more.py", "")
    refuse(file_sizes.check, copy, "shared/crowded", "12")


def test_import_cycle_is_refused(copy: Path) -> None:
    """Modules that import each other are reported, also where an import is inside a function."""
    add_code(copy, "shared/errors.py", "def planted():\n    from shared.storage import local")
    [violation] = import_cycles.check(copy)
    assert {"shared.errors", "shared.storage.local"} <= set(violation.message.split())


@pytest.mark.parametrize(
    ("service", "path", "code", "missing"),
    [
        ("api", "api/jobs/cleanup.py", "from shared.text import speech_text", "sentencex"),
        ("llm-worker", "llm-worker/llm_worker/handler.py", "from shared.worker import engine_process", "pebble"),
        ("stt-worker", "stt-worker/stt_worker/audio.py", "import onnx", "onnx"),
        ("tts-worker", "shared/settings.py", "import httpx2", "httpx2"),
    ],
)
def test_import_that_an_image_lacks_is_refused(copy: Path, service: str, path: str, code: str, missing: str) -> None:
    """A library that a service's image does not install is reported, also where a package of shared imports it."""
    add_code(copy, path, code)
    messages = [violation.message for violation in image_imports.check(copy) if violation.path == service]
    assert any(f"imports {missing}, which {service}/requirements.txt does not install" in text for text in messages)


@pytest.mark.parametrize(
    "code",
    [
        'def planted(log, verdict):\n    log.info(f"task_{verdict}")',
        "def planted(log, error):\n    log.bind(job=1).warning(error.code)",
        'def planted(verdict):\n    structlog.get_logger().error("task " + verdict)',
        'def planted(self):\n    self._log.exception("The task failed.")',
    ],
)
def test_log_event_that_is_not_literal_is_refused(copy: Path, code: str) -> None:
    """A log line whose event cannot be searched for in the code is reported."""
    add_code(copy, "shared/worker/backoff.py", code)
    refuse(log_events.check, copy, "shared/worker/backoff.py", "literal")


@pytest.mark.parametrize(
    ("code", "rule"),
    [
        ("def planted():\n    return 1", "D103"),
        ("class Planted:\n    value = 1", "D101"),
        ('def planted():\n    """ Return one."""\n    return 1', "D210"),
        ('def planted():\n    """Return one"""\n    return 1', "D415"),
    ],
)
def test_missing_or_untidy_docstring_is_refused(copy: Path, code: str, rule: str) -> None:
    """A public function or class of the product without a docstring, or with an untidy one, is reported by ruff."""
    add_code(copy, "shared/worker/backoff.py", code)
    result = run_tool(copy, "ruff", "check", "--no-cache", "--select", "D", "--output-format", "concise")
    assert result.returncode == 1
    assert [line.split()[1] for line in result.stdout.splitlines() if line.startswith("shared/worker/backoff.py")] == [
        rule
    ]


@pytest.mark.parametrize(
    "code",
    [
        'def planted():\n    """What the routes are handed."""',
        'class Planted:\n    """Whoever listens."""',
        'class Planted:\n    value: int\n    """How many there are."""',
        'async def planted():\n    """It is so."""',
    ],
)
@pytest.mark.parametrize("path", ["api/jobs/cleanup.py", "tests/unit/test_planted.py"])
def test_docstring_that_is_a_riddle_is_refused(copy: Path, path: str, code: str) -> None:
    """A docstring that begins with a pronoun or a question word is reported, in the product and in tests."""
    add_code(copy, path, code)
    refuse(docstrings.check, copy, path, "docstring begins with")


@pytest.mark.parametrize(
    ("path", "code", "word"),
    [
        ("api/jobs/cleanup.py", "# The job is begun anew.", "anew"),
        ("api/web/planted.js", "// Nobody waits.", "Nobody"),
        ("shared/queue/lua/planted.lua", "-- It is set aside.", "set aside"),
        ("docs/planted.md", "The client is told so.", "told"),
        ("tests/unit/test_planted.py", "def test_the_caller_is_told(): ...", "told"),
        ("bench/Dockerfile", "# whoever", "whoever"),
    ],
)
def test_private_word_is_refused(copy: Path, path: str, code: str, word: str) -> None:
    """A word of the old private vocabulary is reported in every kind of file, also as a part of a name."""
    add_code(copy, path, code)
    refuse(words.check, copy, path, repr(word))
