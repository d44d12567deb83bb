"""The OpenAPI document and its Swagger page, with all of its files."""

import base64
import hashlib
import re
from pathlib import Path

import fastapi_offline
from fastapi import APIRouter, FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse

from api.problems.catalogue import Problems
from api.problems.problem import Problem

_STATIC = Path(fastapi_offline.__file__).parent / "static"

#: The files of the page. The package has more.
_FILES = {"swagger-ui-bundle.js", "swagger-ui.css", "favicon.png"}


def docs_router(app: FastAPI) -> APIRouter:
    """The document and the page of an application."""
    router = APIRouter(include_in_schema=False)
    page = get_swagger_ui_html(
        openapi_url="openapi.json",
        title=app.title,
        swagger_js_url="docs/swagger-ui-bundle.js",
        swagger_css_url="docs/swagger-ui.css",
        swagger_favicon_url="docs/favicon.png",
    ).body
    headers = {"Content-Security-Policy": _policy(bytes(page).decode())}

    @router.get("/openapi.json")
    async def document() -> JSONResponse:
        return JSONResponse(app.openapi())

    @router.get("/docs")
    async def docs() -> HTMLResponse:
        return HTMLResponse(page, headers=headers)

    @router.get("/docs/{name}")
    async def file(name: str) -> FileResponse:
        if name not in _FILES:
            raise Problem(Problems.NOT_FOUND)
        return FileResponse(_STATIC / name, headers={"Cache-Control": "private, max-age=86400"})

    return router


def _policy(page: str) -> str:
    """The content security policy of the page: nothing from other servers, and of inline scripts only its own."""
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digests = [hashlib.sha256(script.encode()).digest() for script in scripts]
    hashes = " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
    return (
        f"default-src 'none'; script-src 'self' {hashes}; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "connect-src 'self'; media-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
