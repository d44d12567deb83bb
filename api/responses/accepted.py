"""The response to a request that has become a job."""

from fastapi import Response
from pydantic import BaseModel, Field

from shared.queue.stages import ends_in_speech


class Accepted(BaseModel):
    """The job that a request has become, and where to follow it."""

    message: str = Field(examples=["Accepted. Follow events_url or poll status_url; …"])
    job_id: str = Field(examples=["3f2b8c1e9d4a4f6f8b7a6c5d4e3f2a1b"])
    status_url: str = Field(examples=["/status/3f2b8c1e9d4a4f6f8b7a6c5d4e3f2a1b"])
    audio_url: str | None = Field(
        examples=["/audio/3f2b8c1e9d4a4f6f8b7a6c5d4e3f2a1b"], description="Null if the job makes no speech."
    )
    events_url: str = Field(examples=["/events/3f2b8c1e9d4a4f6f8b7a6c5d4e3f2a1b"])


def accepted(job_id: str, route: str, response: Response) -> Accepted:
    """The body for a job on that route; `response` gets its Location header."""
    status_url = f"/status/{job_id}"
    response.headers["Location"] = status_url
    audio = "; audio_url plays while the answer is being made" if ends_in_speech(route) else ""
    return Accepted(
        message=f"Accepted. Follow events_url or poll status_url{audio}.",
        job_id=job_id,
        status_url=status_url,
        audio_url=f"/audio/{job_id}" if ends_in_speech(route) else None,
        events_url=f"/events/{job_id}",
    )
