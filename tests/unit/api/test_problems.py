"""Errors as problems: one format for all, without internals."""

from pathlib import Path

import httpx
import pytest
from fakeredis import FakeServer
from fastapi import FastAPI

from api.settings import ApiSettings
from shared.errors import StorageFull

PROBLEM = {"type", "title", "status", "detail", "code"}
JOB_ID = "a" * 32


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "not_found"),
        ("GET", "/status/", 404, "not_found"),
        ("GET", "/status/../../etc/passwd", 404, "not_found"),
        ("GET", "/transcribe", 405, "method_not_allowed"),
        ("POST", "/status/a", 405, "method_not_allowed"),
        ("GET", f"/status/{JOB_ID}?wait=x", 422, "invalid_request"),
        ("GET", f"/status/{JOB_ID}", 404, "job_not_found"),
        ("GET", f"/audio/{JOB_ID}", 404, "job_not_found"),
        ("DELETE", f"/jobs/{JOB_ID}", 404, "job_not_found"),
        ("POST", f"/jobs/{JOB_ID}/retry", 404, "job_not_found"),
        ("GET", "/docs/redoc.standalone.js", 404, "not_found"),
        ("GET", "/redoc", 404, "not_found"),
        ("POST", "/transcribe", 415, "not_a_form"),
    ],
)
async def test_every_error_is_a_problem(
    client: httpx.AsyncClient, method: str, path: str, status: int, code: str
) -> None:
    """An error of any part of the API is a problem with the same members, and its body repeats the status."""
    response = await client.request(method, path)
    problem = response.json()
    assert response.headers["content-type"] == "application/problem+json"
    assert set(problem) == PROBLEM
    assert (response.status_code, problem["status"], problem["code"]) == (status, status, code)
    assert problem["detail"].endswith((".", "…"))


@pytest.mark.parametrize(
    "job_id",
    ["a", "A" * 32, "a" * 31, "a" * 33, "*" * 32, "a" * 31 + "%0a", "..%5cinput", "ä" * 32, "a" * 31 + "%00"],
)
@pytest.mark.parametrize(("method", "path"), [("GET", "/status/"), ("GET", "/audio/"), ("DELETE", "/jobs/")])
async def test_an_invalid_id_reaches_neither_redis_nor_the_volume(
    client: httpx.AsyncClient, method: str, path: str, job_id: str, fake_redis: FakeServer
) -> None:
    """A malformed job id is 404 without a call to Redis, which is unreachable here."""
    fake_redis.connected = False
    response = await client.request(method, path + job_id)
    assert (response.status_code, response.json()["code"]) == (404, "job_not_found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/transcribe", "POST"),
        ("PATCH", f"/dead-letters/{JOB_ID}", "GET, DELETE"),
        ("POST", f"/audio/{JOB_ID}", "GET, HEAD"),
    ],
)
async def test_a_wrong_method_gets_the_allowed_ones(
    client: httpx.AsyncClient, method: str, path: str, allowed: str
) -> None:
    """405 lists all allowed methods of the path in Allow, whichever routes they belong to."""
    assert (await client.request(method, path)).headers["allow"] == allowed


@pytest.mark.parametrize("raised", [RuntimeError("boom at /srv/secret.py"), KeyError("secret"), OSError(5, "secret")])
async def test_an_unexpected_error_is_a_problem_too(app: FastAPI, client: httpx.AsyncClient, raised: Exception) -> None:
    """An unexpected exception is 500 as a problem, without the exception's text."""

    @app.get("/broken")
    async def broken() -> None:
        raise raised

    response = await client.get("/broken")
    assert response.status_code == 500
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json() == {
        "type": "about:blank",
        "title": "Internal Server Error",
        "status": 500,
        "detail": "Something went wrong inside the service.",
        "code": "internal_error",
    }


async def test_a_domain_error_keeps_its_code(app: FastAPI, client: httpx.AsyncClient) -> None:
    """A domain error reaches the client with its own code and sentence."""

    @app.get("/full")
    async def full() -> None:
        raise StorageFull

    response = await client.get("/full")
    assert (response.status_code, response.json()["code"]) == (507, "storage_full")
    assert response.json()["detail"] == StorageFull.message


def test_settings_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """MAX_UPLOAD_MB is read from the environment in megabytes of a million bytes, and DATA_DIR as a path."""
    monkeypatch.setenv("MAX_UPLOAD_MB", "1.5")
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    settings = ApiSettings()
    assert (settings.max_upload_bytes, settings.data_dir) == (1_500_000, tmp_path)
