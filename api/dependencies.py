"""The dependencies of the routes."""

from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request

from api.intake.upload_slots import UploadSlots
from api.jobs.services import JobServices


@dataclass(frozen=True)
class Services(JobServices):
    """The application's services: those of jobs, and what only HTTP needs."""

    upload_slots: UploadSlots


def _services(request: Request) -> Services:
    return cast(Services, request.app.state.cascade)


ServicesDep = Annotated[Services, Depends(_services)]
