"""Every setting is read by the code that it configures."""

import re
from pathlib import Path

import pytest

from api.settings import ApiSettings
from llm_worker.settings import LlmSettings
from shared.settings import SharedSettings, WorkerSettings
from stt_worker.settings import SttSettings
from tts_worker.settings import TtsSettings

ROOT = Path(__file__).parents[3]

FOLDERS = {
    SharedSettings: ("shared", "api", "cli"),
    WorkerSettings: ("shared", "stt-worker", "llm-worker", "tts-worker"),
    ApiSettings: ("api",),
    SttSettings: ("stt-worker",),
    LlmSettings: ("llm-worker",),
    TtsSettings: ("tts-worker",),
}

SETTINGS = [
    (name, folders) for settings_class, folders in FOLDERS.items() for name in vars(settings_class)["__annotations__"]
]


@pytest.mark.parametrize(("name", "folders"), SETTINGS, ids=[name for name, _ in SETTINGS])
def test_setting_is_read(name: str, folders: tuple[str, ...]) -> None:
    """A field of a settings class is read as an attribute somewhere in the folders that it configures."""
    sources = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    assert any(re.search(rf"(settings|self)\.{name}\b", path.read_text()) for path in sources)
