"""Keys: what opens the API, and that nothing else does."""

import base64
from collections.abc import Callable, MutableMapping
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pydantic import ValidationError

from api.settings import ApiSettings

ONE, OTHER = "correct-horse-battery", "staple:with:colons!!"


def basic(password: str, user: str = "anybody") -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.fixture
def settings(settings: ApiSettings) -> ApiSettings:
    return ApiSettings(data_dir=settings.data_dir, api_keys=f"{ONE}, {OTHER}")


@pytest.mark.parametrize("key", [ONE, OTHER])
@pytest.mark.parametrize(
    "header",
    [
        lambda key: {"Authorization": f"Bearer {key}"},
        lambda key: {"authorization": f"bearer  {key}"},
        lambda key: {"X-API-Key": key},
        lambda key: {"Authorization": basic(key)},
        lambda key: {"Authorization": basic(key, user="")},
        lambda key: {"Authorization": "Bearer wrong", "X-API-Key": key},
    ],
    ids=["bearer", "small letters", "X-API-Key", "basic", "basic without a user", "a right and a wrong one"],
)
async def test_each_key_opens_in_each_way(
    client: httpx.AsyncClient, key: str, header: Callable[[str], dict[str, str]]
) -> None:
    """A program, a script and a browser's own prompt all have their way to carry a key."""
    answer = await client.get(f"/status/{'a' * 32}", headers=header(key))
    assert answer.json()["code"] == "job_not_found"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer "},
        {"Authorization": f"Bearer {ONE[:-1]}"},
        {"Authorization": f"Bearer {ONE}, {OTHER}"},
        {"Authorization": f"Basic {ONE}"},
        {"Authorization": "Basic é"},
        {"Authorization": basic("wrong", user=ONE)},
        {"Authorization": f"Digest {ONE}"},
        {"X-API-Key": ""},
        {"X-API-Key": ONE.upper()},
        {"X-API-Key": "\xff" * 20},
        {"Cookie": f"key={ONE}"},
    ],
)
async def test_nothing_else_opens(client: httpx.AsyncClient, headers: dict[str, str]) -> None:
    """Whatever is not one of the keys is 401, which says how to send one."""
    raw = {name.encode(): value.encode("latin-1") for name, value in headers.items()}
    answer = await client.get(f"/status/{'a' * 32}", headers=raw)
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["www-authenticate"].startswith("Basic ")
    assert "Bearer" in answer.headers["www-authenticate"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/ask"),
        ("GET", "/page/"),
        ("GET", "/page/record_button.js/"),
        ("GET", "http://api//"),
        ("GET", "/docs"),
        ("GET", "/docs/swagger-ui.css"),
        ("GET", "/openapi.json"),
        ("GET", "/queues"),
        ("GET", "/dead-letters"),
        ("DELETE", "/dead-letters?jobs=all"),
        ("GET", "/nothing"),
        ("GET", "/healthz/"),
        ("GET", "http://api//healthz"),
        ("PATCH", "/transcribe"),
        ("OPTIONS", "/transcribe"),
    ],
)
async def test_everything_is_closed(client: httpx.AsyncClient, method: str, path: str) -> None:
    """Without a key nobody learns so much as what exists."""
    assert (await client.request(method, path)).status_code == 401


async def test_every_route_is_closed(client: httpx.AsyncClient, app: FastAPI) -> None:
    """A route that somebody adds is closed too, unless it is one of the two probes."""
    answers = {path: (await client.get(path)).status_code for path in app.openapi()["paths"]}
    assert {path for path, status in answers.items() if status != 401} == {"/healthz", "/readyz"}


async def test_the_document_demands_a_key(client: httpx.AsyncClient) -> None:
    """Whoever reads the OpenAPI document, and may, sees that every call but the probes needs one of three schemes."""
    document = (await client.get("/openapi.json", headers={"X-API-Key": ONE})).json()
    schemes = [{"bearer": []}, {"header": []}, {"basic": []}]
    assert document["paths"]["/transcribe"]["post"]["security"] == schemes
    assert document["paths"]["/healthz"]["get"]["security"] == []


async def test_a_body_is_not_read_without_a_key(app: FastAPI) -> None:
    """A stranger's recording is not even received."""
    read = False

    async def receive() -> MutableMapping[str, Any]:
        nonlocal read
        read = True
        return {"type": "http.disconnect"}

    statuses: list[int] = []
    lengths: list[int] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])
            assert not read
        else:
            lengths.append(len(message["body"]))

    headers = [(b"content-length", b"1000"), (b"content-type", b"multipart/form-data; boundary=x")]
    scope = {"type": "http", "method": "POST", "path": "/transcribe", "query_string": b"", "headers": headers}
    await app(scope, receive, send)
    assert statuses == [401]
    assert sum(lengths) > 0


@pytest.mark.parametrize("keys", ["short", f"{ONE},short", "ä" * 20, "a key with some spaces"])
def test_a_weak_key_is_refused_at_the_start(keys: str) -> None:
    """Nobody runs the service with a key that can be guessed, or that no header can carry; the key is not told."""
    with pytest.raises(ValidationError) as error:
        ApiSettings(api_keys=keys)
    fault = error.value.errors()[0]
    assert fault["loc"] == ("api_keys",)
    assert "16 characters" in fault["msg"]
    assert keys not in fault["msg"]


@pytest.mark.parametrize("setting", ["api_keys", "api_hosts"])
@pytest.mark.parametrize("written", [",", " ", " , ,"])
def test_a_list_of_nothing_is_refused_at_the_start(setting: str, written: str) -> None:
    """An operator who has written something, of which nothing is left, does not get a service that is open to all."""
    with pytest.raises(ValidationError) as error:
        ApiSettings(**{setting: written})
    fault = error.value.errors()[0]
    assert fault["loc"] == (setting,)
    assert "nothing between the commas" in fault["msg"]
    assert ApiSettings(**{setting: ""}) == ApiSettings()


def test_keys_are_not_told(settings: ApiSettings) -> None:
    """Whoever prints the settings prints no key."""
    assert ONE not in repr(settings)
    assert ONE not in settings.model_dump_json()
