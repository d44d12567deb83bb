"""The page's files, as they are served."""

import re

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from api.routes.web import _FOLDER, FILES, OPEN
from api.settings import ApiSettings

EVERY = sorted(OPEN)

every_file = pytest.mark.parametrize("path", EVERY)


def policy(answer: httpx.Response) -> dict[str, str]:
    directives = answer.headers["content-security-policy"].split("; ")
    return {name: values for name, _, values in (directive.partition(" ") for directive in directives)}


def test_every_file_of_the_page_is_served() -> None:
    """Whatever lies in the folder is on the list, and nothing else is."""
    assert {path.name for path in _FOLDER.iterdir()} == {"index.html", *FILES}


@every_file
async def test_a_file_is_what_it_says(client: httpx.AsyncClient, path: str) -> None:
    """Each is sent with its own type, and HEAD tells what GET would."""
    answer, head = await client.get(path), await client.head(path)
    kind = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}.get(path.partition(".")[2], "text/html")
    assert answer.headers["content-type"] == f"{kind}; charset=utf-8"
    assert (answer.status_code, head.status_code, head.content) == (200, 200, b"")
    assert head.headers == answer.headers
    assert int(head.headers["content-length"]) == len(answer.content) > 0


@every_file
async def test_a_file_is_kept_but_never_stale(client: httpx.AsyncClient, path: str) -> None:
    """A browser asks each time, and gets 304 for what it has, however a proxy has weakened the tag."""
    answer = await client.get(path)
    assert answer.headers["cache-control"] == "no-cache"
    tag = answer.headers["etag"]
    for known in (tag, f"W/{tag}", f'"other", {tag}'):
        again = await client.get(path, headers={"If-None-Match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert (await client.get(path, headers={"If-None-Match": '"other"'})).status_code == 200


@every_file
async def test_a_file_loads_nothing_from_elsewhere_and_runs_nothing_written_in_it(
    client: httpx.AsyncClient, path: str
) -> None:
    """The policy allows this origin's own files and calls, no script or style in the page, and no HTML out of data."""
    answer = await client.get(path)
    told = policy(answer)
    assert told["default-src"] == told["base-uri"] == told["form-action"] == told["frame-ancestors"] == "'none'"
    for name in ("script-src", "style-src", "connect-src", "img-src"):
        assert told[name] == "'self'"
    assert told["require-trusted-types-for"] == "'script'"
    assert "microphone=(self)" in answer.headers["permissions-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_page_keeps_to_its_policy() -> None:
    """No address of elsewhere, no script, style or handler within the HTML, and nothing that makes HTML of a text."""
    page = (_FOLDER / "index.html").read_text()
    assert not re.search(r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=", page)
    for name in ("index.html", *FILES):
        text = (_FOLDER / name).read_text().replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"""["'(]\s*(https?:)?//""", text), name
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function", text), name


def test_the_page_loads_what_there_is() -> None:
    """Every file that the HTML or a module names is on the list, and every file on it is named."""
    named = set()
    for name in ("index.html", *FILES):
        text = (_FOLDER / name).read_text()
        named |= set(re.findall(r'(?:src|href)="page/([^"]+)"', text)) | set(re.findall(r"from '\./([^']+)'", text))
    assert named == set(FILES)


@pytest.mark.parametrize("name", ["../app.py", "..%2fapp.py", "index.html", "__init__.py", "%2e%2e/app.py", ""])
async def test_nothing_else_is_served(client: httpx.AsyncClient, name: str) -> None:
    """No name that somebody sends becomes a path."""
    assert (await client.get(f"/page/{name}")).status_code == 404


class TestBehindAKey:
    """With API_KEYS and API_HOSTS set."""

    @pytest.fixture
    def settings(self, settings: ApiSettings) -> ApiSettings:
        return settings.model_copy(update={"api_keys": SecretStr("a-key-for-the-tests"), "api_hosts": "api"})

    @every_file
    async def test_the_page_opens_without_one(self, client: httpx.AsyncClient, path: str) -> None:
        """Else nobody could enter it."""
        assert (await client.get(path)).status_code == 200

    async def test_but_not_under_any_name(self, client: httpx.AsyncClient) -> None:
        """Another's name that has been pointed at this machine shows no page to ask for the key."""
        assert (await client.get("/", headers={"Host": "elsewhere.example"})).status_code == 421


async def test_the_page_is_no_part_of_the_interface(app: FastAPI) -> None:
    """It is not in the OpenAPI document."""
    assert not OPEN & set(app.openapi()["paths"])
