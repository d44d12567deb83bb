"""What every process of the stack is told by its environment."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

#: What a process exits with that somebody must configure otherwise: starting it again would not help.
CANNOT_START = 2


class SharedSettings(BaseSettings):
    """Settings that all services read. Every field can be set in the environment or in `.env`."""

    model_config = SettingsConfigDict(env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True)

    redis_url: str = "redis://127.0.0.1:6379/0"
    """Where the queue lives: Redis 6.2 or newer, with its append-only file on."""

    redis_password: SecretStr | None = None
    """Its password, where it wants one and `redis_url` does not carry it."""

    data_dir: Path = Path("shared_data")
    """The volume that all services share: `input/`, `work/`, `output/` and `cache/` lie in it."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """How much is logged. One JSON object a line."""


class WorkerSettings(SharedSettings):
    """Settings that the three workers share."""

    models_dir: Path = Path("models")
    """Where fetched models and voices are kept."""

    max_attempts: int = Field(default=5, ge=1)
    """How often a task is tried when its error may pass, before its job fails."""

    shutdown_grace_s: float = Field(default=25, ge=0)
    """How long a worker that is told to stop may finish what it holds, before it hands it back."""

    health_file: Path | None = None
    """A file that a warm worker touches twice a second while Redis answers it, for a container's health check."""


SettingsT = TypeVar("SettingsT", bound=SharedSettings)


def read_settings(kind: Callable[[], SettingsT]) -> SettingsT:
    """Build the settings, or end the process with a line for each wrong variable."""
    try:
        return kind()
    except ValidationError as error:
        for fault in error.errors():
            name = str(fault["loc"][0]).upper() if fault["loc"] else "settings"
            sys.stderr.write(f"{name}: {fault['msg']}. Correct {name} in the environment or in .env.\n")
        raise SystemExit(CANNOT_START) from None
