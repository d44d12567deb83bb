"""The web page: static files without data, which use the public API."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from fastapi import APIRouter, Request, Response

from api.problems.catalogue import Problems
from api.problems.problem import Problem

_FOLDER = Path(__file__).parents[1] / "web"

_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}

#: The path of the page.
PAGE_PATH = "/"

#: The prefix of the paths of its files.
FILES_PREFIX = "/page/"

#: The files that the page loads. A requested name is looked up here and never becomes a path.
FILES = tuple(sorted(path.name for path in _FOLDER.iterdir() if path.suffix in _TYPES and path.name != "index.html"))

#: Served without a key: else there would be no page on which to enter one.
KEYLESS_PATHS = frozenset({PAGE_PATH, *(FILES_PREFIX + name for name in FILES)})

_HEADERS = {
    "Cache-Control": "no-cache",  # cached, but validated each time: files of two versions never mix
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "media-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "microphone=(self), camera=(), display-capture=(), geolocation=()",
}


@dataclass(frozen=True)
class _File:
    """One file of the page, as it is served."""

    content: bytes
    headers: dict[str, str]

    @classmethod
    def read(cls, name: str) -> "_File":
        path = _FOLDER / name
        content = path.read_bytes()
        tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
        return cls(content, {**_HEADERS, "Content-Type": f"{_TYPES[path.suffix]}; charset=utf-8", "ETag": tag})

    def respond(self, request: Request) -> Response:
        cached = request.headers.get("if-none-match", "")
        if self.headers["ETag"] in (tag.strip().removeprefix("W/") for tag in cached.split(",")):
            headers = {name: value for name, value in self.headers.items() if name != "Content-Type"}
            return Response(status_code=304, headers=headers)
        return Response(self.content, headers=self.headers)


def page_router() -> APIRouter:
    """The routes of the page. Its files are read once."""
    router = APIRouter(include_in_schema=False)
    index = _File.read("index.html")
    files = {name: _File.read(name) for name in FILES}

    @router.head(PAGE_PATH)
    @router.get(PAGE_PATH)
    async def page(request: Request) -> Response:
        return index.respond(request)

    @router.head(FILES_PREFIX + "{name}")
    @router.get(FILES_PREFIX + "{name}")
    async def file(name: str, request: Request) -> Response:
        if name not in files:
            raise Problem(Problems.NOT_FOUND)
        return files[name].respond(request)

    return router
