"""Voices of the Piper engine: local files, installed, requested, fetched and damaged ones."""

import pickle
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from shared.errors import StartupError, UnknownVoice
from tts_worker.child import load_in_child
from tts_worker.engine import TtsEngine
from tts_worker.engines.piper import engine as piper
from tts_worker.settings import TtsSettings

pytestmark = pytest.mark.models

NAME = "en_US-fixture-low"
FOLDER = Path(__file__).parents[1] / "speech_models" / "tiny-piper"


def load(voice: str | Path, models_dir: Path = FOLDER) -> piper.PiperEngine:
    return piper.load(TtsSettings(tts_voice=str(voice), models_dir=models_dir, tts_threads=1))


def install(models_dir: Path, *names: str) -> Path:
    """Copy the tiny voice into `models_dir` under each name; return `models_dir`."""
    for name in names:
        for suffix in (".onnx", ".onnx.json"):
            shutil.copy(FOLDER / f"{NAME}{suffix}", models_dir / f"{name}{suffix}")
    return models_dir


@pytest.fixture(scope="module")
def engine() -> TtsEngine:
    return load(NAME)


@pytest.fixture
def voice_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Serve the tiny voice; yield the downloader's URL pattern."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(FOLDER))
    monkeypatch.setattr(SimpleHTTPRequestHandler, "log_message", lambda *_: None)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        url = f"http://127.0.0.1:{server.server_port}/{{lang_code}}-{{voice_name}}-{{voice_quality}}{{extension}}"
        monkeypatch.setattr("piper.download_voices.URL_FORMAT", url)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield url
        server.shutdown()
        thread.join()


def is_audible(engine: TtsEngine, voice: str | None = None) -> bool:
    return int(abs(engine.synthesize("Hello there.", None, voice).samples).max()) > 1_000


def test_local_file_is_a_voice(tmp_path: Path) -> None:
    """TTS_VOICE may be any .onnx file; its public name has no folder."""
    engine = load(install(tmp_path, "my-voice") / "my-voice.onnx", models_dir=tmp_path / "none")
    assert engine.model == "my-voice"
    assert is_audible(engine, "my-voice")


def test_request_may_name_an_installed_voice(tmp_path: Path) -> None:
    """A request may name a voice in MODELS_DIR, even one that was installed after the start."""
    engine = load(NAME, install(tmp_path, NAME))
    with pytest.raises(UnknownVoice):
        is_audible(engine, "de_DE-other-low")
    install(tmp_path, "de_DE-other-low")
    assert is_audible(engine, "de_DE-other-low")


@pytest.mark.parametrize(
    "voice", [f"../tiny-piper/{NAME}", f"{NAME}.onnx", str(FOLDER / NAME), "en_US-unknown-low", "\0"]
)
def test_unknown_voice_is_rejected(engine: TtsEngine, voice: str) -> None:
    """A request may name only installed voices, not files, and no voice is fetched for it."""
    with pytest.raises(UnknownVoice):
        is_audible(engine, voice)


def test_broken_voice_is_rejected(tmp_path: Path) -> None:
    """A request for a voice with damaged files is rejected, and the worker keeps working."""
    engine = load(NAME, install(tmp_path, NAME, "de_DE-broken-low"))
    (tmp_path / "de_DE-broken-low.onnx").write_bytes(b"damaged")
    with capture_logs() as logs, pytest.raises(UnknownVoice):
        is_audible(engine, "de_DE-broken-low")
    assert [entry["event"] for entry in logs] == ["voice_broken"]
    assert is_audible(engine)


def test_few_requested_voices_stay_in_memory(tmp_path: Path) -> None:
    """A requested voice is loaded once while it is in use, and only the last few stay in memory."""
    names = [f"de_DE-voice{index}-low" for index in range(5)]
    engine = load(NAME, install(tmp_path, NAME, *names))
    for name in [*names, names[-1]]:
        engine.synthesize("Yes.", None, name)
    usage = engine._load_requested.cache_info()
    assert (usage.hits, usage.misses, usage.currsize) == (1, 5, 3)


def test_configured_voices_are_loaded_at_the_start(tmp_path: Path) -> None:
    """The voices of TTS_VOICES are in memory before the first job, in addition to requested ones."""
    install(tmp_path, NAME, "de_DE-other-low", "fr_FR-other-low")
    voices = f"de=de_DE-other-low,fr={tmp_path / 'fr_FR-other-low.onnx'},en={NAME}"
    engine = piper.load(TtsSettings(tts_voice=NAME, tts_voices=voices, models_dir=tmp_path, tts_threads=1))
    for path in tmp_path.iterdir():
        path.unlink()
    for voice in ("de_DE-other-low", str(tmp_path / "fr_FR-other-low.onnx"), NAME, None):
        assert is_audible(engine, voice)
    assert engine._load_requested.cache_info().misses == 0
    assert engine._configured[NAME] is engine._default, "it is in memory twice"


def test_unavailable_configured_voice_stops_the_start(tmp_path: Path) -> None:
    """A damaged or missing voice of TTS_VOICES stops the start with an error that names the variable and the voice."""
    install(tmp_path, NAME, "de_DE-broken-low")
    (tmp_path / "de_DE-broken-low.onnx").write_bytes(b"damaged")
    for voice, message in (
        ("de_DE-broken-low", "TTS_VOICES names de_DE-broken-low, which is damaged"),
        (str(tmp_path / "none.onnx"), r"TTS_VOICES names an \.onnx file that does not exist"),
        ("../voice", "TTS_VOICES names an invalid voice"),
    ):
        with pytest.raises(StartupError, match=message):
            piper.load(TtsSettings(tts_voice=NAME, tts_voices=f"de={voice}", models_dir=tmp_path, tts_threads=1))


def test_configured_voice_is_fetched_at_the_start(tmp_path: Path, voice_server: str) -> None:
    """A voice of TTS_VOICES that is not installed is fetched at the start, like that of TTS_VOICE."""
    default = install(tmp_path, "own") / "own.onnx"
    settings = TtsSettings(tts_voice=str(default), tts_voices=f"en={NAME}", models_dir=tmp_path / "new", tts_threads=1)
    engine = piper.load(settings)
    assert (tmp_path / "new" / f"{NAME}.onnx").is_file()
    assert is_audible(engine, NAME)


def test_missing_file_stops_the_start(tmp_path: Path) -> None:
    """A file that is missing or lacks its configuration stops the start with an error that names the variable."""
    with pytest.raises(StartupError, match=r"TTS_VOICE names an \.onnx file that does not exist"):
        load(tmp_path / "none.onnx")
    shutil.copy(FOLDER / f"{NAME}.onnx", tmp_path / "bare.onnx")
    with pytest.raises(StartupError, match=r"TTS_VOICE .* without its \.onnx\.json"):
        load(tmp_path / "bare.onnx")


@pytest.mark.parametrize("suffix", [".onnx", ".onnx.json"])
@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"<html>", b"\xff\xfe"])
def test_damaged_default_voice_stops_the_start(tmp_path: Path, suffix: str, content: bytes) -> None:
    """A default voice with damaged files stops the start with an error that names the variable."""
    install(tmp_path, NAME)
    (tmp_path / f"{NAME}{suffix}").write_bytes(content)
    with pytest.raises(StartupError, match="TTS_VOICE"):
        load(NAME, tmp_path)


def test_voice_is_fetched_once(voice_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first start fetches the voice that TTS_VOICE names; the second needs no network."""
    assert is_audible(load(NAME, tmp_path))
    monkeypatch.setattr("piper.download_voices.URL_FORMAT", "http://127.0.0.1:9/{voice_name}{extension}")
    assert load(NAME, tmp_path).model == NAME


def test_nonexistent_voice_stops_the_start(voice_server: str, tmp_path: Path) -> None:
    """A misspelt name stops the start with one line, and leaves no file."""
    with pytest.raises(
        StartupError, match=r"TTS_VOICE names en_US-unknown-low, which could not be fetched into MODELS_DIR"
    ):
        load("en_US-unknown-low", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_workers_may_fetch_at_the_same_time(voice_server: str, tmp_path: Path) -> None:
    """Three workers that start together on an empty volume all have the voice, and the volume has one copy of it."""
    program = (
        "import sys, pathlib, piper.download_voices as d; d.URL_FORMAT = sys.argv[1]\n"
        "from tts_worker.engines.piper import engine as piper; from tts_worker.settings import TtsSettings\n"
        "engine = piper.load(TtsSettings(tts_voice=sys.argv[2], models_dir=pathlib.Path(sys.argv[3])))\n"
        "assert len(engine.synthesize('Hello.', None, None).samples) > 5000\n"
    )
    command = [sys.executable, "-c", program, voice_server, NAME, str(tmp_path)]
    workers = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for _ in range(3)]
    assert [worker.wait(60) for worker in workers] == [0, 0, 0]
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{NAME}.onnx", f"{NAME}.onnx.json"]


def test_engine_is_found_by_its_name() -> None:
    """A child process that unpickles the function and the settings loads the engine that TTS_ENGINE names."""
    load, settings = pickle.loads(
        pickle.dumps((load_in_child, TtsSettings(tts_engine="piper", tts_voice=NAME, models_dir=FOLDER)))
    )
    engine = load(settings)
    assert (engine.name, engine.model) == ("piper", NAME)
    with pytest.raises(StartupError, match="TTS_ENGINE"):
        load_in_child(TtsSettings(tts_engine="nothing"))
