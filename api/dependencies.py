"""The dependencies of the routes."""

from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request

from api.intake.upload_slots import UploadSlots
from api.jobs.services import JobServices


@dataclass(frozen=True)
class Services(JobServices):
    """The services of the routes: those of jobs, and the upload slots."""

    upload_slots: UploadSlots


def _services(request: Request) -> Services:
    return cast(Services, request.app.state.cascade)


ServicesDep = Annotated[Services, Depends(_services)]
