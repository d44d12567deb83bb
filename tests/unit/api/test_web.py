"""The web page: its files and the headers with which they are served."""

import re
from pathlib import PurePosixPath
from urllib.parse import urljoin

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from api.routes.web import _FOLDER, FILES, FILES_PREFIX, KEYLESS_PATHS, PAGE_PATH
from api.settings import ApiSettings

TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}

#: A reference to another file in HTML, in a module or in a style sheet.
REFERENCE = re.compile(r"""\b(?:src|href)="([^"]+)"|\b(?:from|import)\s*\(?\s*'([^']+)'|\burl\(["']?([^"')]+)""")

every_file = pytest.mark.parametrize("path", sorted(KEYLESS_PATHS))


def read_policy(response: httpx.Response) -> dict[str, str]:
    """The directives of the content security policy."""
    directives = response.headers["content-security-policy"].split("; ")
    return {name: values for name, _, values in (directive.partition(" ") for directive in directives)}


async def test_every_file_that_the_page_refers_to_is_served(client: httpx.AsyncClient) -> None:
    """A browser that follows all references from the page on gets every file, and no other file is served or exists."""
    unvisited = {PAGE_PATH}
    visited = set()
    while unvisited:
        path = unvisited.pop()
        visited.add(path)
        response = await client.get(path)
        assert response.status_code == 200, path
        references = {urljoin(path, "".join(groups)) for groups in REFERENCE.findall(response.text)}
        unvisited |= {reference for reference in references if reference.startswith(FILES_PREFIX)} - visited
    assert visited == KEYLESS_PATHS
    assert visited == {
        PAGE_PATH,
        *(FILES_PREFIX + file.name for file in _FOLDER.iterdir() if file.name != "index.html"),
    }


@every_file
async def test_a_file_is_served_with_its_type(client: httpx.AsyncClient, path: str) -> None:
    """A file is sent with the type of its extension, and HEAD returns the headers of GET."""
    response = await client.get(path)
    head = await client.head(path)
    kind = TYPES.get(PurePosixPath(path).suffix, "text/html")
    assert response.headers["content-type"] == f"{kind}; charset=utf-8"
    assert (response.status_code, head.status_code, head.content) == (200, 200, b"")
    assert head.headers == response.headers
    assert int(head.headers["content-length"]) == len(response.content) > 0


@every_file
async def test_a_cached_file_is_revalidated(client: httpx.AsyncClient, path: str) -> None:
    """A browser must revalidate a cached file, and gets 304 while it is current, also when a proxy has weakened the
    ETag."""
    response = await client.get(path)
    assert response.headers["cache-control"] == "no-cache"
    tag = response.headers["etag"]
    for cached_tags in (tag, f"W/{tag}", f'"other", {tag}'):
        revalidated = await client.get(path, headers={"If-None-Match": cached_tags})
        assert (revalidated.status_code, revalidated.content, revalidated.headers["etag"]) == (304, b"", tag)
    assert (await client.get(path, headers={"If-None-Match": '"other"'})).status_code == 200


@every_file
async def test_the_policy_of_a_file_allows_only_this_origin(client: httpx.AsyncClient, path: str) -> None:
    """A file's policy allows this origin's files and calls only, no inline script or style, and no HTML made of
    strings."""
    response = await client.get(path)
    policy = read_policy(response)
    assert policy["default-src"] == policy["base-uri"] == policy["form-action"] == policy["frame-ancestors"] == "'none'"
    for name in ("script-src", "style-src", "connect-src", "img-src"):
        assert policy[name] == "'self'"
    assert policy["require-trusted-types-for"] == "'script'"
    assert "microphone=(self)" in response.headers["permissions-policy"]
    assert response.headers["x-content-type-options"] == "nosniff"


def test_the_page_keeps_to_its_policy() -> None:
    """The page's files hold no foreign address, no inline script, style or handler, and no code that makes HTML of
    strings."""
    page = (_FOLDER / "index.html").read_text()
    assert not re.search(r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=", page)
    for name in ("index.html", *FILES):
        text = (_FOLDER / name).read_text().replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"""["'(]\s*(https?:)?//""", text), name
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function", text), name


def test_the_html_and_the_modules_name_every_file() -> None:
    """The HTML and the modules name every served file, and no other."""
    named = set()
    for name in ("index.html", *FILES):
        text = (_FOLDER / name).read_text()
        named |= set(re.findall(r'(?:src|href)="page/([^"]+)"', text)) | set(re.findall(r"from '\./([^']+)'", text))
    assert named == set(FILES)


@pytest.mark.parametrize("name", ["../app.py", "..%2fapp.py", "index.html", "__init__.py", "%2e%2e/app.py", ""])
async def test_nothing_else_is_served(client: httpx.AsyncClient, name: str) -> None:
    """A requested name that is not one of the page's files is 404, and never becomes a path."""
    assert (await client.get(f"/page/{name}")).status_code == 404


class TestBehindAKey:
    """An API with API_KEYS and API_HOSTS set."""

    @pytest.fixture
    def settings(self, settings: ApiSettings) -> ApiSettings:
        return settings.model_copy(update={"api_keys": SecretStr("a-key-for-the-tests"), "api_hosts": "api"})

    @every_file
    async def test_the_page_needs_no_key(self, client: httpx.AsyncClient, path: str) -> None:
        """A page's file is served without a key, since the page asks for it."""
        assert (await client.get(path)).status_code == 200

    async def test_the_page_is_not_served_under_an_unknown_host(self, client: httpx.AsyncClient) -> None:
        """The page is 421 under an unknown host name, so that it cannot ask for the key there."""
        assert (await client.get("/", headers={"Host": "elsewhere.example"})).status_code == 421


async def test_the_page_is_not_in_the_openapi_document(app: FastAPI) -> None:
    """The page's paths are not in the OpenAPI document."""
    assert not KEYLESS_PATHS & set(app.openapi()["paths"])
