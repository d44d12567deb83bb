"""Which voice the real Piper speaks with: local, installed, asked for, fetched, or none."""

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


def loaded(voice: str | Path, models_dir: Path = FOLDER) -> piper.PiperEngine:
    return piper.load(TtsSettings(tts_voice=str(voice), models_dir=models_dir, tts_threads=1))


def installed(models_dir: Path, *names: str) -> Path:
    for name in names:
        for suffix in (".onnx", ".onnx.json"):
            shutil.copy(FOLDER / f"{NAME}{suffix}", models_dir / f"{name}{suffix}")
    return models_dir


@pytest.fixture(scope="module")
def engine() -> TtsEngine:
    return loaded(NAME)


@pytest.fixture
def voice_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Serves the tiny voice; yields the downloader's URL pattern."""
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


def speaks(engine: TtsEngine, voice: str | None = None) -> bool:
    return int(abs(engine.synthesize("Hello there.", None, voice).samples).max()) > 1_000


def test_a_local_file_is_a_voice(tmp_path: Path) -> None:
    """TTS_VOICE may be an .onnx file anywhere; what is told of it is its name, never its folder."""
    engine = loaded(installed(tmp_path, "my-voice") / "my-voice.onnx", models_dir=tmp_path / "none")
    assert engine.model == "my-voice"
    assert speaks(engine, "my-voice")


def test_a_request_may_name_an_installed_voice(tmp_path: Path) -> None:
    """Another voice in MODELS_DIR speaks when it is asked for, also one that came after the start."""
    engine = loaded(NAME, installed(tmp_path, NAME))
    with pytest.raises(UnknownVoice):
        speaks(engine, "de_DE-other-low")
    installed(tmp_path, "de_DE-other-low")
    assert speaks(engine, "de_DE-other-low")


@pytest.mark.parametrize(
    "voice", [f"../tiny-piper/{NAME}", f"{NAME}.onnx", str(FOLDER / NAME), "en_US-nobody-low", "\0"]
)
def test_an_unknown_voice_is_refused(engine: TtsEngine, voice: str) -> None:
    """A caller names voices, never files, and nothing is fetched for it."""
    with pytest.raises(UnknownVoice):
        speaks(engine, voice)


def test_a_broken_voice_is_refused(tmp_path: Path) -> None:
    """Damaged files of another voice cost its caller a clear answer, and the worker nothing."""
    engine = loaded(NAME, installed(tmp_path, NAME, "de_DE-broken-low"))
    (tmp_path / "de_DE-broken-low.onnx").write_bytes(b"damaged")
    with capture_logs() as logs, pytest.raises(UnknownVoice):
        speaks(engine, "de_DE-broken-low")
    assert [entry["event"] for entry in logs] == ["voice_broken"]
    assert speaks(engine)


def test_few_voices_stay_in_memory(tmp_path: Path) -> None:
    """A voice is loaded once while it is in use, and callers of many voices do not fill the memory."""
    names = [f"de_DE-voice{index}-low" for index in range(5)]
    engine = loaded(NAME, installed(tmp_path, NAME, *names))
    for name in [*names, names[-1]]:
        engine.synthesize("Yes.", None, name)
    usage = engine._find_other.cache_info()
    assert (usage.hits, usage.misses, usage.currsize) == (1, 5, 3)


def test_voices_of_languages_are_warm_from_the_start(tmp_path: Path) -> None:
    """Those that TTS_VOICES names are in memory before the first job, beside the few that callers name."""
    installed(tmp_path, NAME, "de_DE-other-low", "fr_FR-other-low")
    voices = f"de=de_DE-other-low,fr={tmp_path / 'fr_FR-other-low.onnx'},en={NAME}"
    engine = piper.load(TtsSettings(tts_voice=NAME, tts_voices=voices, models_dir=tmp_path, tts_threads=1))
    for path in tmp_path.iterdir():
        path.unlink()
    for voice in ("de_DE-other-low", str(tmp_path / "fr_FR-other-low.onnx"), NAME, None):
        assert speaks(engine, voice)
    assert engine._find_other.cache_info().misses == 0
    assert engine._configured[NAME] is engine._default, "it is in memory twice"


def test_a_voice_of_a_language_that_cannot_be_had_stops_the_start(tmp_path: Path) -> None:
    """It is an error at the start, not in the middle of the first German job, naming the variable and the voice."""
    installed(tmp_path, NAME, "de_DE-broken-low")
    (tmp_path / "de_DE-broken-low.onnx").write_bytes(b"damaged")
    for voice, told in (
        ("de_DE-broken-low", "TTS_VOICES names de_DE-broken-low, which is damaged"),
        (str(tmp_path / "none.onnx"), r"TTS_VOICES names an \.onnx file that does not exist"),
        ("../voice", "TTS_VOICES names an invalid voice"),
    ):
        with pytest.raises(StartupError, match=told):
            piper.load(TtsSettings(tts_voice=NAME, tts_voices=f"de={voice}", models_dir=tmp_path, tts_threads=1))


def test_a_voice_of_a_language_is_fetched_at_the_start(tmp_path: Path, voice_server: str) -> None:
    """As the voice that TTS_VOICE names is."""
    default = installed(tmp_path, "own") / "own.onnx"
    settings = TtsSettings(tts_voice=str(default), tts_voices=f"en={NAME}", models_dir=tmp_path / "new", tts_threads=1)
    engine = piper.load(settings)
    assert (tmp_path / "new" / f"{NAME}.onnx").is_file()
    assert speaks(engine, NAME)


def test_a_missing_file_stops_the_start(tmp_path: Path) -> None:
    """A file that is not there, or lacks its configuration, is an error at the start, naming the variable."""
    with pytest.raises(StartupError, match=r"TTS_VOICE names an \.onnx file that does not exist"):
        loaded(tmp_path / "none.onnx")
    shutil.copy(FOLDER / f"{NAME}.onnx", tmp_path / "bare.onnx")
    with pytest.raises(StartupError, match=r"TTS_VOICE .* without its \.onnx\.json"):
        loaded(tmp_path / "bare.onnx")


@pytest.mark.parametrize("suffix", [".onnx", ".onnx.json"])
@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"<html>", b"\xff\xfe"])
def test_a_damaged_default_voice_stops_the_start(tmp_path: Path, suffix: str, content: bytes) -> None:
    """Files that are no Piper voice are an error at the start, naming the variable."""
    installed(tmp_path, NAME)
    (tmp_path / f"{NAME}{suffix}").write_bytes(content)
    with pytest.raises(StartupError, match="TTS_VOICE"):
        loaded(NAME, tmp_path)


def test_a_voice_is_fetched_once(voice_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first start fetches the voice that TTS_VOICE names, the second needs no network."""
    assert speaks(loaded(NAME, tmp_path))
    monkeypatch.setattr("piper.download_voices.URL_FORMAT", "http://127.0.0.1:9/{voice_name}{extension}")
    assert loaded(NAME, tmp_path).model == NAME


def test_a_voice_that_does_not_exist_stops_the_start(voice_server: str, tmp_path: Path) -> None:
    """A misspelt name is told in one line, and leaves nothing behind."""
    with pytest.raises(
        StartupError, match=r"TTS_VOICE names en_US-nobody-low, which could not be fetched into MODELS_DIR"
    ):
        loaded("en_US-nobody-low", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_two_workers_may_fetch_at_once(voice_server: str, tmp_path: Path) -> None:
    """Workers that start together on an empty volume both speak, and the volume holds one whole voice."""
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


def test_the_worker_finds_it_by_its_name() -> None:
    """A child process gets a function and settings, and has the engine that TTS_ENGINE names."""
    load, settings = pickle.loads(
        pickle.dumps((load_in_child, TtsSettings(tts_engine="piper", tts_voice=NAME, models_dir=FOLDER)))
    )
    engine = load(settings)
    assert (engine.name, engine.model) == ("piper", NAME)
    with pytest.raises(StartupError, match="TTS_ENGINE"):
        load_in_child(TtsSettings(tts_engine="nothing"))
