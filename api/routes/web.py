"""The page to talk to: a few files that hold no data, and reach everything by the public API."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from fastapi import APIRouter, Request, Response

from api.problems.render import Problem

_FOLDER = Path(__file__).parents[1] / "web"

_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}

#: Where the page itself is, and the folder of what it loads.
HOME, PARTS = "/", "/page/"

#: The files that it loads. A requested name is looked up here and never becomes a path.
FILES = tuple(sorted(path.name for path in _FOLDER.iterdir() if path.suffix in _TYPES and path.name != "index.html"))

#: Open to whoever has no key: else nobody could enter one.
OPEN = frozenset({HOME, *(PARTS + name for name in FILES)})

_HEADERS = {
    "Cache-Control": "no-cache",  # kept, but asked for each time: a new version is not mixed with an old one
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
    content: bytes
    headers: dict[str, str]

    @classmethod
    def read(cls, name: str) -> "_File":
        path = _FOLDER / name
        content = path.read_bytes()
        tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
        return cls(content, {**_HEADERS, "Content-Type": f"{_TYPES[path.suffix]}; charset=utf-8", "ETag": tag})

    def answer(self, request: Request) -> Response:
        known = request.headers.get("if-none-match", "")
        if self.headers["ETag"] in (tag.strip().removeprefix("W/") for tag in known.split(",")):
            headers = {name: value for name, value in self.headers.items() if name != "Content-Type"}
            return Response(status_code=304, headers=headers)
        return Response(self.content, headers=self.headers)


def page_router() -> APIRouter:
    """The page, read once."""
    router = APIRouter(include_in_schema=False)
    home, files = _File.read("index.html"), {name: _File.read(name) for name in FILES}

    @router.head(HOME)
    @router.get(HOME)
    async def page(request: Request) -> Response:
        return home.answer(request)

    @router.head(PARTS + "{name}")
    @router.get(PARTS + "{name}")
    async def part(name: str, request: Request) -> Response:
        if name not in files:
            raise Problem(404, "not_found", "There is nothing at this address.")
        return files[name].answer(request)

    return router
