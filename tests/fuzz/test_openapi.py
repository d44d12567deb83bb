"""The OpenAPI document against the running API. schemathesis sends valid and invalid requests, and checks each
response."""

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

call_numbers = count()


def openapi_document() -> dict[str, Any]:
    """The document of an API with keys, so that calls without a key are tested as well."""
    with tempfile.TemporaryDirectory() as volume:
        settings = ApiSettings.model_construct(data_dir=Path(volume), api_keys=SecretStr(KEY))
        return create_app(settings).openapi()


#: The magic bytes of an accepted format, and arbitrary bytes behind them.
recordings = st.builds(bytes.__add__, st.sampled_from([b"RIFF\0\0\0\0WAVE", b"OggS", b"fLaC", b"ID3"]), st.binary())
schemathesis.openapi.media_type("audio/*", recordings)
schemathesis.openapi.format("binary", recordings)

#: The statuses of a valid request: 410 without audio, 412 for a restarted answer, 416 for one that is shorter.
valid_statuses = ["2xx", "404", "409", "410", "412", "416"]
config = schemathesis.Config.from_dict({"checks": {"positive_data_acceptance": {"expected-statuses": valid_statuses}}})

schema = schemathesis.openapi.from_dict(openapi_document(), config=config)


@schema.auth()
class ApiKeyAuth:
    """A valid key, which schemathesis also replaces by invalid ones."""

    def get(self, _case: Case, _context: AuthContext) -> str:
        return KEY

    def set(self, case: Case, key: str, _context: AuthContext) -> None:
        case.headers["X-API-Key"] = key


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcesses]:
    """The API with workers, so that jobs of all states exist."""
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
def ended_jobs(api: ServiceProcesses, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The ids of a completed job and of a failed one."""
    broken = tmp_path_factory.mktemp("broken") / "broken.wav"
    broken.write_bytes(b"RIFF\0\0\0\0WAVE")
    jobs = [api.wait_until_ended(api.upload(conversation_id=CONVERSATION)), api.wait_until_ended(api.upload(broken))]
    assert [job["status"] for job in jobs] == ["completed", "failed"]
    return [job["job_id"] for job in jobs]


@schema.parametrize()
def test_the_api_conforms_to_its_document(case: Case, api: ServiceProcesses, ended_jobs: list[str]) -> None:
    """Every response has a documented status, type and body; invalid requests and requests without a key are
    refused."""
    number = next(call_numbers)
    if re.fullmatch("[0-9a-f]{32}", case.path_parameters.get("job_id", "")) and number % 4:
        # schemathesis cannot guess an existing id. A call that changes a job gets a new one.
        case.path_parameters["job_id"] = ended_jobs[number % 2] if case.method == "GET" else api.upload()
    if re.fullmatch("[A-Za-z0-9_-]{1,64}", case.path_parameters.get("conversation_id", "")) and number % 4:
        name = CONVERSATION if case.method == "GET" else f"other-{number}"
        case.path_parameters["conversation_id"] = name
        if case.method == "DELETE":
            api.upload(conversation_id=name)
    key = case.headers.get("Idempotency-Key")
    if key and len(key) <= 255:  # a key that hypothesis repeats with another request would be refused
        case.headers["Idempotency-Key"] = f"{key[:240]}-{number}"
    # A form has only texts, so an invalid type arrives as a valid text. test_multipart.py covers invalid forms.
    excluded = [negative_data_rejection] if case.path == "/transcribe" else []
    case.call_and_validate(base_url=api.url, excluded_checks=excluded)
