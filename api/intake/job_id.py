"""A job's id as it comes in a path."""

import re
from typing import Annotated

from fastapi import Depends, Path

from shared.errors import JobNotFound

#: What the API gives out. Nothing else ever reaches a Redis key or a file's name.
_JOB_ID = re.compile(r"[0-9a-f]{32}")


#: Said in the OpenAPI document, but left to us: FastAPI would answer 422 to what is simply no job.
_DESCRIBED = Path(examples=["3f2b8c1e9d4a4f6f8b7a6c5d4e3f2a1b"], json_schema_extra={"pattern": f"^{_JOB_ID.pattern}$"})


def _checked(job_id: Annotated[str, _DESCRIBED]) -> str:
    if not _JOB_ID.fullmatch(job_id):
        raise JobNotFound
    return job_id


JobId = Annotated[str, Depends(_checked)]
