"""Errors as problems: one form for all, and nothing in it that is nobody's business."""

from pathlib import Path

import httpx
import pytest
from fakeredis import FakeServer
from fastapi import FastAPI

from api.settings import ApiSettings
from shared.errors import StorageFull

PROBLEM = {"type", "title", "status", "detail", "code"}
JOB = "a" * 32


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "not_found"),
        ("GET", "/status/", 404, "not_found"),
        ("GET", "/status/../../etc/passwd", 404, "not_found"),
        ("GET", "/transcribe", 405, "method_not_allowed"),
        ("POST", "/status/a", 405, "method_not_allowed"),
        ("GET", f"/status/{JOB}?wait=x", 422, "invalid_request"),
        ("GET", f"/status/{JOB}", 404, "job_not_found"),
        ("GET", f"/audio/{JOB}", 404, "job_not_found"),
        ("DELETE", f"/jobs/{JOB}", 404, "job_not_found"),
        ("POST", f"/jobs/{JOB}/retry", 404, "job_not_found"),
        ("GET", "/docs/redoc.standalone.js", 404, "not_found"),
        ("GET", "/redoc", 404, "not_found"),
        ("POST", "/transcribe", 415, "not_a_form"),
    ],
)
async def test_every_error_is_a_problem(
    client: httpx.AsyncClient, method: str, path: str, status: int, code: str
) -> None:
    """Whichever part refuses, the answer has the same members, and its status agrees with them."""
    answer = await client.request(method, path)
    problem = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert set(problem) == PROBLEM
    assert (answer.status_code, problem["status"], problem["code"]) == (status, status, code)
    assert problem["detail"].endswith((".", "…"))


@pytest.mark.parametrize(
    "job_id",
    ["a", "A" * 32, "a" * 31, "a" * 33, "*" * 32, "a" * 31 + "%0a", "..%5cinput", "ä" * 32, "a" * 31 + "%00"],
)
@pytest.mark.parametrize(("method", "path"), [("GET", "/status/"), ("GET", "/audio/"), ("DELETE", "/jobs/")])
async def test_what_cannot_be_an_id_reaches_nobody(
    client: httpx.AsyncClient, method: str, path: str, job_id: str, fake_redis: FakeServer
) -> None:
    """Only an id as we give them out gets as far as Redis, which is away here, or the volume."""
    fake_redis.connected = False
    answer = await client.request(method, path + job_id)
    assert (answer.status_code, answer.json()["code"]) == (404, "job_not_found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/transcribe", "POST"),
        ("PATCH", f"/dead-letters/{JOB}", "GET, DELETE"),
        ("POST", f"/audio/{JOB}", "GET, HEAD"),
    ],
)
async def test_a_wrong_method_tells_the_right_ones(
    client: httpx.AsyncClient, method: str, path: str, allowed: str
) -> None:
    """405 names them all in Allow, whichever routes they belong to."""
    assert (await client.request(method, path)).headers["allow"] == allowed


@pytest.mark.parametrize("raised", [RuntimeError("boom at /srv/secret.py"), KeyError("secret"), OSError(5, "secret")])
async def test_an_unexpected_error_is_a_problem_too(app: FastAPI, client: httpx.AsyncClient, raised: Exception) -> None:
    """500 says that it is not the caller's fault, and nothing else."""

    @app.get("/broken")
    async def broken() -> None:
        raise raised

    answer = await client.get("/broken")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": "about:blank",
        "title": "Internal Server Error",
        "status": 500,
        "detail": "Something went wrong inside the service.",
        "code": "internal_error",
    }


async def test_a_domain_error_keeps_its_code(app: FastAPI, client: httpx.AsyncClient) -> None:
    """What the rest of the system raises reaches the caller with its own code and sentence."""

    @app.get("/full")
    async def full() -> None:
        raise StorageFull

    answer = await client.get("/full")
    assert (answer.status_code, answer.json()["code"]) == (507, "storage_full")
    assert answer.json()["detail"] == StorageFull.message


def test_the_environment_names_the_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """MAX_UPLOAD_MB and its like are read, in megabytes of a million bytes."""
    monkeypatch.setenv("MAX_UPLOAD_MB", "1.5")
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    settings = ApiSettings()
    assert (settings.max_upload_bytes, settings.data_dir) == (1_500_000, tmp_path)
