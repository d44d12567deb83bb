"""What the API is told by its environment."""

from pydantic import Field

from shared.settings import SharedSettings


class ApiSettings(SharedSettings):
    """Settings of the API."""

    api_host: str = "127.0.0.1"
    """The address to listen on; a container listens on 0.0.0.0."""

    api_port: int = Field(default=8000, ge=0, le=65535)
    """The port to listen on."""

    max_upload_mb: float = Field(default=25, gt=0)
    """The largest recording that is accepted, in megabytes of 1,000,000 bytes."""

    max_live_jobs: int = Field(default=1000, ge=1)
    """How many jobs may be waiting or in work; more are refused with 503."""

    retention_hours: float = Field(default=24, gt=0)
    """How long a job that has ended, its text and its audio are kept."""

    @property
    def max_upload_bytes(self) -> int:
        return int(self.max_upload_mb * 1_000_000)
