"""Security headers of every response, and the documentation page."""

import asyncio
import re
from collections.abc import Awaitable, Callable

import httpx
import pytest
from fastapi import FastAPI

from api.settings import ApiSettings

Send = Callable[..., Awaitable[httpx.Response]]

ALWAYS = {
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


async def assert_security_headers(response: httpx.Response) -> None:
    assert {name: response.headers.get(name) for name in ALWAYS} == ALWAYS
    assert "frame-ancestors 'none'" in response.headers["content-security-policy"]
    assert "default-src 'none'" in response.headers["content-security-policy"]


async def test_every_response_has_security_headers(
    app: FastAPI, client: httpx.AsyncClient, upload: Send, complete: Callable[[str], Awaitable[None]]
) -> None:
    """Every response, errors included, is kept out of caches, frames, other origins and type guessing."""

    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError

    accepted = await upload()
    job_id = accepted.json()["job_id"]
    audio_request = asyncio.create_task(client.get(f"/audio/{job_id}"))
    events_request = asyncio.create_task(client.get(f"/events/{job_id}"))
    await complete(job_id)
    responses = [accepted, await audio_request, await events_request]
    for path in (f"/status/{job_id}", f"/audio/{job_id}", "/healthz", "/nothing", "/transcribe", "/broken", "/queues"):
        responses.append(await client.get(path))
    assert {response.status_code for response in responses} == {200, 202, 404, 405, 500}
    for response in responses:
        await assert_security_headers(response)
        assert response.headers["cache-control"] == "no-store"


async def test_the_documentation_page_loads_only_its_own_files(client: httpx.AsyncClient) -> None:
    """/docs and all that it loads come from this origin, and its policy allows nothing else to be loaded or run."""
    page = await client.get("/docs")
    await assert_security_headers(page)
    policy = page.headers["content-security-policy"]
    assert "http" not in policy
    assert "unsafe-eval" not in policy
    assert "'unsafe-inline'" not in re.search(r"script-src ([^;]*)", policy)[1]
    references = re.findall(r'(?:src|href)="([^"]*)"', page.text) + re.findall(r"url: '([^']*)'", page.text)
    assert len(references) == 4
    for address in references:
        assert not re.match(r"\w+:|//", address)
        response = await client.get(f"/{address}")
        assert response.status_code == 200
        assert response.content
    assert "max-age" in (await client.get("/docs/swagger-ui-bundle.js")).headers["cache-control"]


class TestWithoutDocs:
    """An API with API_DOCS off."""

    @pytest.fixture
    def settings(self, settings: ApiSettings) -> ApiSettings:
        return settings.model_copy(update={"api_docs": False})

    @pytest.mark.parametrize("path", ["/docs", "/docs/swagger-ui.css", "/openapi.json", "/redoc"])
    async def test_no_documentation_is_served(self, client: httpx.AsyncClient, path: str) -> None:
        """Neither the page nor the OpenAPI document exists with API_DOCS off."""
        assert (await client.get(path)).status_code == 404
