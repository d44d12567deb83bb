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
    """Address to listen on; in a container, 0.0.0.0."""

    api_port: int = Field(default=8000, ge=0, le=65535)
    """Port to listen on."""

    api_keys: SecretStr = SecretStr("")
    """API keys, separated by commas, each of at least 16 characters; a request must carry one of them. Empty serves
    every request without a key."""

    api_hosts: str = ""
    """Host names that requests may be sent to, separated by commas, against DNS rebinding; empty allows any."""

    api_docs: bool = True
    """Serve `/docs` and `/openapi.json`."""

    cors_origins: str = ""
    """Origins of other web pages that may use the API, separated by commas, such as `https://example.org`; `*` allows
    any."""

    trusted_proxies: str = "127.0.0.1"
    """Addresses of proxies whose X-Forwarded-For and X-Forwarded-Proto headers are trusted, separated by commas."""

    rate_limit: str = "120/minute"
    """Maximum rate of POST requests per API key, or per IP address without keys, such as `60/minute` or `1000/day`;
    `off` sets no limit."""

    max_uploads: int = Field(default=64, ge=1)
    """Maximum number of uploads that one API process receives at once."""

    max_upload_mb: float = Field(default=25, gt=0)
    """Size of the largest accepted recording in MB (10^6 bytes)."""

    max_live_jobs: int = Field(default=1000, ge=1)
    """Maximum number of jobs that wait or run at once; further ones are refused with 503."""

    retention_hours: float = Field(default=24, gt=0)
    """Hours that a job, its texts and its audio are kept after its end."""

    conversation_ttl_hours: float = Field(default=24, gt=0, le=87_600)
    """Hours that a conversation is kept after its last turn."""

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
        raise ValueError("it has only commas; name at least one entry, or leave it empty")


def split_commas(text: str) -> list[str]:
    """The entries of a comma-separated list, without the blanks around them; empty entries are dropped."""
    return [entry.strip() for entry in text.split(",") if entry.strip()]
