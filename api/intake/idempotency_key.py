"""The header Idempotency-Key of the routes that submit jobs."""

from typing import Annotated

from fastapi import Header

IdempotencyKey = Annotated[
    str,
    Header(
        max_length=255,
        description="A string that the client chooses: a repeated request with the same key returns the first job.",
    ),
]
