"""Settings that several services share, and how a process reads its settings."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.logs import configure_logs, get_logger

#: Exit status of a process that cannot start as configured: a supervisor must not restart it.
CANNOT_START = 2


class SharedSettings(BaseSettings):
    """Settings that all services read, from the environment or from `.env`."""

    model_config = SettingsConfigDict(env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True)

    redis_url: str = "redis://127.0.0.1:6379/0"
    """URL of the queue's Redis, version 6.2 or newer, with its append-only file on."""

    redis_password: SecretStr | None = None
    """Password of Redis, if it needs one and REDIS_URL does not contain it."""

    data_dir: Path = Path("shared_data")
    """Directory of the volume that all services share; holds `input/`, `work/`, `output/` and `cache/`."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Lowest level that is logged. Each line is a JSON object."""


class WorkerSettings(SharedSettings):
    """Settings that the three workers share."""

    models_dir: Path = Path("models")
    """Directory for downloaded models and voices."""

    max_attempts: int = Field(default=5, ge=1)
    """Attempts at a task with a transient error before its job fails; a full disk is retried four times as often."""

    shutdown_grace_s: float = Field(default=25, ge=0)
    """Seconds that a stopping worker may take to finish its tasks before it returns them to the queue."""

    health_file: Path | None = None
    """File that a warm worker touches twice a second while Redis answers, for a container's health check."""


SettingsT = TypeVar("SettingsT", bound=SharedSettings)


def read_settings(settings_class: Callable[[], SettingsT], service: str | None = None) -> SettingsT:
    """Build the settings, or exit with one line for each invalid variable: printed by a command, logged by a service,
    which passes its name as `service`."""
    try:
        return settings_class()
    except ValidationError as error:
        if service:
            configure_logs("info", service)  # the level is one of the settings
        for fault in error.errors():
            name = str(fault["loc"][0]).upper() if fault["loc"] else "settings"
            message = f"{name}: {fault['msg']}. Correct {name} in the environment or in .env."
            if service:
                get_logger().error("setting_invalid", message=message)
            else:
                sys.stderr.write(f"{message}\n")
        raise SystemExit(CANNOT_START) from None
