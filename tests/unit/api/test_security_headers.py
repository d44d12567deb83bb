"""What every answer tells a browser, and the page that is shown in one."""

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


async def check(answer: httpx.Response) -> None:
    assert {name: answer.headers.get(name) for name in ALWAYS} == ALWAYS
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert "default-src 'none'" in answer.headers["content-security-policy"]


async def test_no_answer_is_kept_or_guessed_at(
    app: FastAPI, client: httpx.AsyncClient, upload: Send, complete: Callable[[str], Awaitable[None]]
) -> None:
    """A job's texts and sound, and errors too, stay in no cache, and are shown by no other site."""

    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError

    accepted = await upload()
    job_id = accepted.json()["job_id"]
    listening = asyncio.create_task(client.get(f"/audio/{job_id}"))
    following = asyncio.create_task(client.get(f"/events/{job_id}"))
    await complete(job_id)
    answers = [accepted, await listening, await following]
    for path in (f"/status/{job_id}", f"/audio/{job_id}", "/healthz", "/nothing", "/transcribe", "/broken", "/queues"):
        answers.append(await client.get(path))
    assert {answer.status_code for answer in answers} == {200, 202, 404, 405, 500}
    for answer in answers:
        await check(answer)
        assert answer.headers["cache-control"] == "no-store"


async def test_the_page_is_whole_and_from_here(client: httpx.AsyncClient) -> None:
    """/docs and all that it loads come from this origin; its policy allows nothing else to be loaded or run."""
    page = await client.get("/docs")
    await check(page)
    policy = page.headers["content-security-policy"]
    assert "http" not in policy
    assert "unsafe-eval" not in policy
    assert "'unsafe-inline'" not in re.search(r"script-src ([^;]*)", policy)[1]
    loaded = re.findall(r'(?:src|href)="([^"]*)"', page.text) + re.findall(r"url: '([^']*)'", page.text)
    assert len(loaded) == 4
    for address in loaded:
        assert not re.match(r"\w+:|//", address)
        answer = await client.get(f"/{address}")
        assert answer.status_code == 200
        assert answer.content
    assert "max-age" in (await client.get("/docs/swagger-ui-bundle.js")).headers["cache-control"]


class TestWithoutDocs:
    """With API_DOCS off."""

    @pytest.fixture
    def settings(self, settings: ApiSettings) -> ApiSettings:
        return settings.model_copy(update={"api_docs": False})

    @pytest.mark.parametrize("path", ["/docs", "/docs/swagger-ui.css", "/openapi.json", "/redoc"])
    async def test_nothing_is_shown(self, client: httpx.AsyncClient, path: str) -> None:
        """Neither the page nor the document is there."""
        assert (await client.get(path)).status_code == 404
