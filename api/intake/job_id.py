"""A job's id in the path of a request."""

import re
from typing import Annotated

from fastapi import Depends, Path

from shared.errors import JobNotFound

#: The form of every id that the API assigns. Nothing else ever becomes part of a Redis key or a file's name.
_JOB_ID = re.compile(r"[0-9a-f]{32}")

#: Documented in the OpenAPI document, but not validated by FastAPI, which would answer 422 for an id that no job has.
_PATH = Path(examples=["3f2b8c1e9d4a4f6f8b7a6c5d4e3f2a1b"], json_schema_extra={"pattern": f"^{_JOB_ID.pattern}$"})


def _validate(job_id: Annotated[str, _PATH]) -> str:
    if not _JOB_ID.fullmatch(job_id):
        raise JobNotFound
    return job_id


JobId = Annotated[str, Depends(_validate)]
