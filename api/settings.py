"""The settings of the API."""

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
    """Keys, separated by commas, each of at least 16 characters; a request must carry one. With none, every request is
    served."""

    api_hosts: str = ""
    """Names, separated by commas, that the Host header may have, against DNS rebinding; empty allows any."""

    api_docs: bool = True
    """Serve `/docs` and `/openapi.json`."""

    cors_origins: str = ""
    """Origins of web pages, separated by commas, that may use the API beside its own page, such as `https://example.org`."""

    trusted_proxies: str = "127.0.0.1"
    """Addresses of proxies, separated by commas, whose X-Forwarded-For and X-Forwarded-Proto are trusted."""

    rate_limit: str = "120/minute"
    """Maximum rate of POST requests of one client, such as `60/minute` or `1000/day`; `off` sets no limit."""

    max_uploads: int = Field(default=64, ge=1)
    """Maximum number of uploads that are received at once."""

    max_upload_mb: float = Field(default=25, gt=0)
    """The largest recording that is accepted, in megabytes of 1,000,000 bytes."""

    max_live_jobs: int = Field(default=1000, ge=1)
    """Maximum number of jobs that wait or run at once; more are refused with 503."""

    retention_hours: float = Field(default=24, gt=0)
    """Time that a job, its texts and its audio are kept after its end."""

    conversation_ttl_hours: float = Field(default=24, gt=0, le=87_600)
    """Time that a conversation is kept after its last turn."""

    @field_validator("api_keys")
    @classmethod
    def _check_keys(cls, keys: SecretStr) -> SecretStr:
        _check_not_just_commas(keys.get_secret_value())
        if not all(_KEY.fullmatch(key) for key in split_commas(keys.get_secret_value())):
            raise ValueError("each key must have at least 16 characters, all printable ASCII without spaces")
        return keys

    @field_validator("api_hosts")
    @classmethod
    def _check_hosts(cls, hosts: str) -> str:
        _check_not_just_commas(hosts)
        return hosts

    @field_validator("cors_origins")
    @classmethod
    def _check_origins(cls, origins: str) -> str:
        if not all(_ORIGIN.fullmatch(origin) for origin in split_commas(origins)):
            raise ValueError("each origin must be like https://example.org, without a path, or * for any")
        return origins

    @field_validator("rate_limit")
    @classmethod
    def _check_rate(cls, rate: str) -> str:
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


def _check_not_just_commas(text: str) -> None:
    """Refuse a list without entries: its author meant to restrict access, and it would restrict nothing.

    Raises:
        ValueError: the text has only commas and blanks.
    """
    if text and not split_commas(text):
        raise ValueError("there is nothing between the commas; name at least one, or leave it empty")


def split_commas(text: str) -> list[str]:
    """The entries of a list separated by commas, without blanks and empty ones."""
    return [entry.strip() for entry in text.split(",") if entry.strip()]
