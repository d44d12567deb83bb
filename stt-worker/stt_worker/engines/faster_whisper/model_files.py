"""Where the files of a faster-whisper model come from: a local directory, or the hub by way of MODELS_DIR."""

from pathlib import Path

from faster_whisper import available_models, download_model
from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError, XetDownloadError
from huggingface_hub.errors import HTTPError as HubError  # type: ignore[attr-defined]  # whichever client it uses

from shared.errors import StartupError

#: Without the second, the library would ask the hub for another model's tokenizer.
NEEDED = ("model.bin", "tokenizer.json")

LOCAL_HINT = "a local directory that holds " + " and ".join(NEEDED)


def model_directory(model: str, models_dir: Path) -> Path:
    """The directory of `model`: itself, or what has been fetched into `models_dir`, now or earlier.

    Raises:
        StartupError: it is not there and cannot be fetched; the message names the settings.
    """
    local = _local(model)
    if _is_complete(local):
        return local
    if local.is_absolute() or model.startswith(("~", ".")) or model.count("/") > 1:
        raise StartupError(f"STT_MODEL is the path of no model. Set it to {LOCAL_HINT}, or to a model's name.")
    if "/" not in model and model not in available_models():
        raise StartupError(
            f"STT_MODEL={model} is not known. Set it to one of {', '.join(available_models())}, or to {LOCAL_HINT}."
        )
    fetched = _fetched(model, models_dir)
    if not _is_complete(fetched):
        raise StartupError(f"STT_MODEL={model} is not a faster-whisper model. It needs {' and '.join(NEEDED)}.")
    return fetched


def model_name(model: str) -> str:
    """`model` as it may be shown to anybody: of a path only the last part."""
    local = _local(model)
    try:
        return local.resolve().name if local.is_dir() else model
    except OSError:  # longer than a path can be
        return model


def _local(model: str) -> Path:
    try:
        return Path(model).expanduser()
    except RuntimeError:  # `~somebody` who has no home here
        return Path(model)


def _is_complete(directory: Path) -> bool:
    try:
        return all((directory / name).is_file() for name in NEEDED)
    except OSError:  # longer than a path can be
        return False


def _fetched(model: str, models_dir: Path) -> Path:
    try:
        try:
            # Asked without the network first: a worker whose model is there starts with the hub down, and tells nobody.
            directory = Path(download_model(model, cache_dir=str(models_dir), local_files_only=True))
            if _is_complete(directory):
                return directory
        except LocalEntryNotFoundError:
            pass
        return Path(download_model(model, cache_dir=str(models_dir)))
    except (OSError, HubError, EntryNotFoundError, XetDownloadError, RuntimeError, ValueError) as error:
        raise StartupError(
            f"STT_MODEL={model} could not be fetched into MODELS_DIR. Check the network and that MODELS_DIR can be "
            f"written and has room, or set STT_MODEL to {LOCAL_HINT}."
        ) from error
