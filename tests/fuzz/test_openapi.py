"""The OpenAPI document against the API that it describes: schemathesis sends what the document allows and what it
forbids, and holds every answer against it."""

import re
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import strategies as st
from pydantic import SecretStr
from schemathesis import AuthContext, Case
from schemathesis.specs.openapi.checks import negative_data_rejection

from api.app import create_app
from api.settings import ApiSettings
from support.redis_server import RedisServer, redis_binaries
from support.services import ServiceProcesses

pytestmark = [pytest.mark.redis, pytest.mark.timeout(600)]

KEY = "a-key-for-the-tests"

CONVERSATION = "a-conversation"

numbers = count()


def document() -> dict[str, Any]:
    """As an API with keys serves it, so that what happens without one is tried as well."""
    with tempfile.TemporaryDirectory() as volume:
        settings = ApiSettings.model_construct(data_dir=Path(volume), api_keys=SecretStr(KEY))
        return create_app(settings).openapi()


#: Of each kind of audio that is accepted, and behind the first bytes whatever.
recordings = st.builds(bytes.__add__, st.sampled_from([b"RIFF\0\0\0\0WAVE", b"OggS", b"fLaC", b"ID3"]), st.binary())
schemathesis.openapi.media_type("audio/*", recordings)
schemathesis.openapi.format("binary", recordings)

#: What a valid request may get: 410, 412 and 416 tell of an answer that is never there, is another one, or is shorter.
fine = ["2xx", "404", "409", "410", "412", "416"]
config = schemathesis.Config.from_dict({"checks": {"positive_data_acceptance": {"expected-statuses": fine}}})

schema = schemathesis.openapi.from_dict(document(), config=config)


@schema.auth()
class OurKey:
    """Beside what schemathesis makes up in its place."""

    def get(self, _case: Case, _context: AuthContext) -> str:
        return KEY

    def set(self, case: Case, key: str, _context: AuthContext) -> None:
        case.headers["X-API-Key"] = key


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcesses]:
    """With workers, so that jobs of all states are met."""
    directory = tmp_path_factory.mktemp("openapi")
    redis = RedisServer(next(iter(redis_binaries().values())), directory)
    redis.start()
    (directory / "volume").mkdir()
    services = ServiceProcesses(redis.url, directory / "volume", API_KEYS=KEY, RATE_LIMIT="off", MAX_LIVE_JOBS="100000")
    services.start()
    services.wait_until_ready()
    services.client.headers["X-API-Key"] = KEY
    yield services
    services.stop()
    redis.kill()


@pytest.fixture(scope="module")
def ended(api: ServiceProcesses, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A job that was completed, and one that failed."""
    broken = tmp_path_factory.mktemp("broken") / "broken.wav"
    broken.write_bytes(b"RIFF\0\0\0\0WAVE")
    jobs = [api.ended(api.intake.multipart(conversation_id=CONVERSATION)), api.ended(api.intake.multipart(broken))]
    assert [job["status"] for job in jobs] == ["completed", "failed"]
    return [job["job_id"] for job in jobs]


@schema.parametrize()
def test_the_api_does_what_its_document_says(case: Case, api: ServiceProcesses, ended: list[str]) -> None:
    """No server error, no status, type or field that is not documented, nothing invalid accepted, nothing valid
    refused, and nothing given without a key."""
    number = next(numbers)
    if re.fullmatch("[0-9a-f]{32}", case.path_parameters.get("job_id", "")) and number % 4:
        # It would never be guessed. What is changed by the call is a job of its own.
        case.path_parameters["job_id"] = ended[number % 2] if case.method == "GET" else api.intake.multipart()
    if re.fullmatch("[A-Za-z0-9_-]{1,64}", case.path_parameters.get("conversation_id", "")) and number % 4:
        case.path_parameters["conversation_id"] = name = CONVERSATION if case.method == "GET" else f"other-{number}"
        if case.method == "DELETE":
            api.intake.multipart(conversation_id=name)
    key = case.headers.get("Idempotency-Key")
    if key and len(key) <= 255:  # one that came with another request is refused, and hypothesis likes to repeat itself
        case.headers["Idempotency-Key"] = f"{key[:240]}-{number}"
    # A form knows texts alone: what schemathesis puts in place of one arrives as one. test_multipart.py forbids better.
    excluded = [negative_data_rejection] if case.path == "/transcribe" else []
    case.call_and_validate(base_url=api.url, excluded_checks=excluded)
