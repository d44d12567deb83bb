"""Piper voices on disk: a `.onnx` file and the `.onnx.json` beside it, in MODELS_DIR."""

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

import structlog
from piper.download_voices import download_voice

from shared.errors import StartupError

log = structlog.get_logger()

#: No dot and no separator, so that a name can never leave MODELS_DIR.
_NAME = re.compile(r"\w[\w-]{0,99}", re.ASCII)

_FETCH_PREFIX = ".fetch-"

#: What a killed worker has left of a download is older than any download that still runs.
_ABANDONED_AFTER_S = 3600

#: A server that sends nothing for so long has stalled; without a limit the worker would wait for ever, silently.
_STALLED_AFTER_S = 30


def config_of(model: Path) -> Path:
    return Path(f"{model}.json")


def installed_voice(name: str, models_dir: Path) -> Path | None:
    """The model file of the voice `name`, None where MODELS_DIR has no such voice."""
    if not _NAME.fullmatch(name):
        return None
    model = models_dir / f"{name}.onnx"
    return model if model.is_file() and config_of(model).is_file() else None


def fetch_voice(name: str, models_dir: Path, check: Callable[[Path], object], variable: str = "TTS_VOICE") -> Path:
    """Download the voice `name`, which `variable` names, into MODELS_DIR, and return its model file.

    Each worker downloads into a folder of its own, and a voice that passed `check` is moved into place with two atomic
    renames, the model last. So a broken download is never taken for a voice, and workers that start at once on one
    volume at worst replace a file by its equal.

    Raises:
        StartupError: it cannot be had.
    """
    if not _NAME.fullmatch(name):
        raise StartupError(
            f"{variable} names what is no voice. Name a Piper voice such as en_US-lessac-medium, or the path of an "
            ".onnx file."
        )
    try:
        models_dir.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(models_dir)
        folder = tempfile.TemporaryDirectory(prefix=_FETCH_PREFIX, dir=models_dir)
    except OSError as error:
        raise StartupError(
            f"{variable} names {name}, which must be fetched, but MODELS_DIR cannot be written."
        ) from error
    log.info("voice_fetching", voice=name)
    with folder as fetched_into:
        model = Path(fetched_into) / f"{name}.onnx"
        try:
            with _socket_timeout(_STALLED_AFTER_S):
                download_voice(name, model.parent)
            # http.client takes a connection that breaks early for the end of the file: only opening it shows the truth.
            check(model)
            config_of(model).replace(config_of(models_dir / model.name))
            return model.replace(models_dir / model.name)
        except (OSError, HTTPException, ValueError) as error:
            if isinstance(error, HTTPError):
                error.close()  # it is the server's answer, too, and holds its connection open
            raise StartupError(
                f"{variable} names {name}, which could not be fetched into MODELS_DIR. Check the name, the connection "
                f"and the free space, or put {name}.onnx and {name}.onnx.json into MODELS_DIR yourself."
            ) from error


def _remove_abandoned(models_dir: Path) -> None:
    for folder in models_dir.glob(f"{_FETCH_PREFIX}*"):
        if time.time() - folder.stat().st_mtime > _ABANDONED_AFTER_S:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _socket_timeout(timeout_s: float) -> Iterator[None]:
    """The downloader opens its connections without a timeout of their own."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(timeout_s)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
