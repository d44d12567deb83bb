"""Fetching a Piper voice, from a working server and from faulty ones."""

import os
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from shared.errors import StartupError
from tts_worker.engines.piper.download import config_of, fetch_voice, installed_voice

NAME = "en_US-fixture-low"
MODEL = b"model" * 1_000
CONFIG = b"{}"


class Broken(Exception):
    """Raised by `check_files`."""


class Server(ThreadingHTTPServer):
    fault = ""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.closing = threading.Event()


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        body = CONFIG if self.path.endswith(".json") else MODEL
        if self.server.fault == "stalls":
            self.server.closing.wait(60)
            return
        self.send_response(404 if self.server.fault == "has no such voice" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if self.server.fault == "breaks off" else body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with Server() as server:
        url = f"http://127.0.0.1:{server.server_port}/{{lang_code}}-{{voice_name}}-{{voice_quality}}{{extension}}"
        monkeypatch.setattr("piper.download_voices.URL_FORMAT", url)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.closing.set()
        server.shutdown()
        thread.join()


def check_files(model: Path) -> None:
    if model.read_bytes() != MODEL or config_of(model).read_bytes() != CONFIG:
        raise Broken


def test_fetched_voice_is_installed(server: Server, tmp_path: Path) -> None:
    """A fetched voice is in MODELS_DIR, which is created if missing, and no other file is."""
    models_dir = tmp_path / "new" / "models"
    model = fetch_voice(NAME, models_dir, check_files)
    assert installed_voice(NAME, models_dir) == model
    assert sorted(path.name for path in models_dir.iterdir()) == [f"{NAME}.onnx", f"{NAME}.onnx.json"]


def test_fetched_voice_is_readable_by_all(server: Server, tmp_path: Path) -> None:
    """The files of a fetched voice follow the umask, although their temporary folder was private."""
    umask = os.umask(0o022)
    try:
        model = fetch_voice(NAME, tmp_path, check_files)
    finally:
        os.umask(umask)
    assert [path.stat().st_mode & 0o777 for path in (model, config_of(model))] == [0o644, 0o644]


@pytest.mark.parametrize("fault", ["has no such voice", "stalls"])
def test_failed_fetch_is_one_line(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    """A failed fetch raises one line that names both variables, without a path or a library's message, and leaves no
    file."""
    monkeypatch.setattr("tts_worker.engines.piper.download._STALLED_AFTER_S", 0.2)
    monkeypatch.setattr(server, "fault", fault)
    started_at_s = time.monotonic()
    with pytest.raises(StartupError) as caught:
        fetch_voice(NAME, tmp_path, check_files)
    assert time.monotonic() - started_at_s < 30
    line = caught.value.public_message
    assert "TTS_VOICE" in line
    assert "MODELS_DIR" in line
    assert not {"\n", str(tmp_path), "http", "Errno", "urlopen"} & {line, *line.split()}
    assert list(tmp_path.iterdir()) == []


def test_half_download_is_never_a_voice(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that breaks, which looks like the end of the file, installs nothing; the next fetch succeeds."""
    monkeypatch.setattr(server, "fault", "breaks off")
    with pytest.raises(Broken):
        fetch_voice(NAME, tmp_path, check_files)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(server, "fault", "")
    assert fetch_voice(NAME, tmp_path, check_files).is_file()


def test_abandoned_download_is_removed(server: Server, tmp_path: Path) -> None:
    """A killed worker's download is removed by the next fetch; one that may still run is kept."""
    abandoned = tmp_path / ".fetch-old"
    running = tmp_path / ".fetch-new"
    for folder in (abandoned, running):
        folder.mkdir()
        (folder / "half.onnx").write_bytes(b"half")
    os.utime(abandoned, (0, time.time() - 7_200))
    fetch_voice(NAME, tmp_path, check_files)
    assert not abandoned.exists()
    assert running.exists()


def test_unwritable_models_dir_is_named(tmp_path: Path) -> None:
    """A fetch into a folder that cannot be written raises an error that names the variable."""
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    with pytest.raises(StartupError, match="MODELS_DIR cannot be written"):
        fetch_voice(NAME, blocked / "models", check_files)


@pytest.mark.parametrize(
    "name", ["", "../en_US-a-low", "/etc/passwd", "a/b", "en_US-a-low.onnx", ".", "a\0b", "a" * 200]
)
def test_name_is_never_a_path(tmp_path: Path, name: str) -> None:
    """A name cannot refer to a file outside MODELS_DIR, neither to find a voice nor to fetch one."""
    models_dir = tmp_path / "models"
    models_dir.mkdir()
    for folder in (tmp_path, models_dir):
        (folder / "en_US-a-low.onnx").touch()
        (folder / "en_US-a-low.onnx.json").touch()
    assert installed_voice(name, models_dir) is None
    with pytest.raises(StartupError, match="TTS_VOICE"):
        fetch_voice(name, models_dir, check_files)


def test_model_without_configuration_is_not_installed(tmp_path: Path) -> None:
    """A voice is installed only if it has both files."""
    (tmp_path / f"{NAME}.onnx").touch()
    assert installed_voice(NAME, tmp_path) is None
    (tmp_path / f"{NAME}.onnx.json").touch()
    assert installed_voice(NAME, tmp_path) is not None
