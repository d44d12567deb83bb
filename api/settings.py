"""What the API is told by its environment."""

import re

from pydantic import Field, SecretStr, field_validator

from shared.settings import SharedSettings

#: Shorter keys can be guessed; spaces and control characters do not survive in a header.
_KEY = re.compile(r"[!-+\--~]{16,}")

_ORIGIN = re.compile(r"\*|https?://[^/?#\s]+")


class ApiSettings(SharedSettings):
    """Settings of the API."""

    api_host: str = "127.0.0.1"
    """The address to listen on; a container listens on 0.0.0.0."""

    api_port: int = Field(default=8000, ge=0, le=65535)
    """The port to listen on."""

    api_keys: SecretStr = SecretStr("")
    """Keys, separated by commas, each of at least 16 characters; a request must carry one. With none, everybody is
    served."""

    api_hosts: str = ""
    """Names, separated by commas, that the Host header may have, against DNS rebinding; empty allows any."""

    api_docs: bool = True
    """Whether `/docs` and `/openapi.json` are served."""

    cors_origins: str = ""
    """Origins of web pages, separated by commas, that may use the API beside its own, such as `https://example.org`."""

    trusted_proxies: str = "127.0.0.1"
    """Addresses of proxies, separated by commas, whose X-Forwarded-For and X-Forwarded-Proto are believed."""

    rate_limit: str = "120/minute"
    """How many POST requests one client may send, such as `60/minute` or `1000/day`; `off` counts none."""

    max_uploads: int = Field(default=64, ge=1)
    """How many recordings may be on their way in at once."""

    max_upload_mb: float = Field(default=25, gt=0)
    """The largest recording that is accepted, in megabytes of 1,000,000 bytes."""

    max_live_jobs: int = Field(default=1000, ge=1)
    """How many jobs may be waiting or in work; more are refused with 503."""

    retention_hours: float = Field(default=24, gt=0)
    """How long a job that has ended, its text and its audio are kept."""

    conversation_ttl_hours: float = Field(default=24, gt=0, le=87_600)
    """How long a conversation is remembered after its last turn."""

    @field_validator("api_keys")
    @classmethod
    def _long_keys(cls, keys: SecretStr) -> SecretStr:
        _not_just_commas(keys.get_secret_value())
        if not all(_KEY.fullmatch(key) for key in listed(keys.get_secret_value())):
            raise ValueError("each key must have at least 16 characters, all printable ASCII without spaces")
        return keys

    @field_validator("api_hosts")
    @classmethod
    def _hosts(cls, hosts: str) -> str:
        _not_just_commas(hosts)
        return hosts

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, origins: str) -> str:
        if not all(_ORIGIN.fullmatch(origin) for origin in listed(origins)):
            raise ValueError("each origin must be like https://example.org, without a path, or * for any")
        return origins

    @field_validator("rate_limit")
    @classmethod
    def _rate(cls, rate: str) -> str:
        from limits import parse_many  # not at the top: only a RATE_LIMIT that was set is checked

        try:
            limits = [] if rate == "off" else parse_many(rate)
        except ValueError:
            raise ValueError("it must be like 60/minute, or off") from None
        if len(limits) > 1 or any(limit.amount < 1 for limit in limits):
            raise ValueError("it must be one limit of at least 1, like 60/minute, or off")
        return rate

    @property
    def max_upload_bytes(self) -> int:
        return int(self.max_upload_mb * 1_000_000)


def _not_just_commas(text: str) -> None:
    """Whoever has written something meant to shut somebody out, and nobody would be."""
    if text and not listed(text):
        raise ValueError("there is nothing between the commas; name at least one, or leave it empty")


def listed(text: str) -> list[str]:
    """What stands between commas."""
    return [piece.strip() for piece in text.split(",") if piece.strip()]
