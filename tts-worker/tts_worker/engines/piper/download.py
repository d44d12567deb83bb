"""Find and download Piper voices in MODELS_DIR: each is a `.onnx` file with its `.onnx.json`."""

import re
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError

from piper.download_voices import download_voice

from shared.errors import StartupError
from shared.logs import get_logger

log = get_logger()

#: A voice's name. Without dots and separators it cannot point outside MODELS_DIR.
_NAME = re.compile(r"\w[\w-]{0,99}", re.ASCII)

#: Prefix of the temporary folder of a download.
_TEMPORARY_PREFIX = ".fetch-"

#: A temporary folder older than this was left by a killed worker: no running download takes as long.
_ABANDONED_AFTER_S = 3600

#: A server that sends nothing for this long has stalled; without a timeout the worker would wait forever without a
#: message.
_STALLED_AFTER_S = 30


def config_of(model: Path) -> Path:
    """The path of a model's configuration."""
    return Path(f"{model}.json")


def installed_voice(name: str, models_dir: Path) -> Path | None:
    """The model file of the voice `name`; None if MODELS_DIR has no such voice."""
    if not _NAME.fullmatch(name):
        return None
    model = models_dir / f"{name}.onnx"
    return model if model.is_file() and config_of(model).is_file() else None


def fetch_voice(name: str, models_dir: Path, check: Callable[[Path], object], variable: str = "TTS_VOICE") -> Path:
    """Download the voice `name`, which `variable` names, into MODELS_DIR, and return its model file.

    Each worker downloads into a temporary folder, and a voice that passed `check` is moved into place with two atomic
    renames, the model last. A broken download is therefore never used as a voice, and workers that start at the same
    time on one volume at worst replace a file by an equal one.

    Raises:
        StartupError: the voice cannot be downloaded.
    """
    if not _NAME.fullmatch(name):
        raise StartupError(
            f"{variable} names an invalid voice. Set it to a Piper voice such as en_US-lessac-medium, or to the path "
            "of an .onnx file."
        )
    try:
        models_dir.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(models_dir)
        folder = tempfile.TemporaryDirectory(prefix=_TEMPORARY_PREFIX, dir=models_dir)
    except OSError as error:
        raise StartupError(
            f"{variable} names {name}, which must be fetched, but MODELS_DIR cannot be written."
        ) from error
    log.info("voice_fetch_started", voice=name)
    with folder as temporary_folder:
        model = Path(temporary_folder) / f"{name}.onnx"
        try:
            with _socket_timeout(_STALLED_AFTER_S):
                download_voice(name, model.parent)
            # http.client takes a broken connection for the end of the file: only loading the voice shows the damage.
            check(model)
            config_of(model).replace(config_of(models_dir / model.name))
            return model.replace(models_dir / model.name)
        except (OSError, HTTPException, ValueError) as error:
            if isinstance(error, HTTPError):
                error.close()  # it is also the response, and keeps the connection open
            raise StartupError(
                f"{variable} names {name}, which could not be fetched into MODELS_DIR. Check the name, the "
                f"connection and the free space, or copy {name}.onnx and {name}.onnx.json into MODELS_DIR."
            ) from error


def _remove_abandoned(models_dir: Path) -> None:
    for folder in models_dir.glob(f"{_TEMPORARY_PREFIX}*"):
        if time.time() - folder.stat().st_mtime > _ABANDONED_AFTER_S:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _socket_timeout(timeout_s: float) -> Iterator[None]:
    """Set the default timeout of sockets: the downloader opens its connections without one."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(timeout_s)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
