"""The files of a faster-whisper model: a local directory, or fetched from the hub into MODELS_DIR."""

from pathlib import Path

from faster_whisper import available_models, download_model
from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError, XetDownloadError
from huggingface_hub.errors import HTTPError as HubError  # type: ignore[attr-defined]  # of its HTTP client, httpx or requests

from shared.errors import StartupError

#: Files of a complete model. Without the second, the library would fetch another model's tokenizer from the hub.
_REQUIRED_FILES = ("model.bin", "tokenizer.json")

#: How to name a local model, for the error messages.
_LOCAL_HINT = "a local directory that holds " + " and ".join(_REQUIRED_FILES)


def model_directory(model: str, models_dir: Path) -> Path:
    """The directory of `model`: a local path, or a fetched copy in `models_dir`, downloaded if it is missing.

    Raises:
        StartupError: the model is missing and cannot be fetched; the message names the settings.
    """
    local = _local_path(model)
    if _is_complete(local):
        return local
    if local.is_absolute() or model.startswith(("~", ".")) or model.count("/") > 1:
        raise StartupError(f"STT_MODEL is a path that holds no model. Set it to {_LOCAL_HINT}, or to a model's name.")
    if "/" not in model and model not in available_models():
        raise StartupError(
            f"STT_MODEL={model} is not known. Set it to one of {', '.join(available_models())}, or to {_LOCAL_HINT}."
        )
    fetched = _fetch(model, models_dir)
    if not _is_complete(fetched):
        raise StartupError(
            f"STT_MODEL={model} is not a faster-whisper model. It needs {' and '.join(_REQUIRED_FILES)}."
        )
    return fetched


def model_name(model: str) -> str:
    """`model` for public display: only the last part of a path."""
    local = _local_path(model)
    try:
        return local.resolve().name if local.is_dir() else model
    except OSError:  # longer than a path can be
        return model


def _local_path(model: str) -> Path:
    try:
        return Path(model).expanduser()
    except RuntimeError:  # `~user` of an unknown user
        return Path(model)


def _is_complete(directory: Path) -> bool:
    try:
        return all((directory / name).is_file() for name in _REQUIRED_FILES)
    except OSError:  # longer than a path can be
        return False


def _fetch(model: str, models_dir: Path) -> Path:
    try:
        try:
            # Without the network first: a worker that has its model starts while the hub is down, without a request.
            directory = Path(download_model(model, cache_dir=str(models_dir), local_files_only=True))
            if _is_complete(directory):
                return directory
        except LocalEntryNotFoundError:
            pass
        return Path(download_model(model, cache_dir=str(models_dir)))
    except (OSError, HubError, EntryNotFoundError, XetDownloadError, RuntimeError, ValueError) as error:
        raise StartupError(
            f"STT_MODEL={model} could not be fetched into MODELS_DIR. Check the network and that MODELS_DIR can be "
            f"written and has room, or set STT_MODEL to {_LOCAL_HINT}."
        ) from error
