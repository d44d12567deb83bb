"""API keys: each of the set keys gives access, and nothing else does."""

import base64
from collections.abc import Callable, MutableMapping
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pydantic import ValidationError

from api.settings import ApiSettings

KEY = "correct-horse-battery"

#: Basic authentication separates user and password by a colon, and a key may hold some too.
OTHER_KEY = "staple:with:colons!!"


def basic_auth(password: str, user: str = "user") -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.fixture
def settings(settings: ApiSettings) -> ApiSettings:
    return ApiSettings(data_dir=settings.data_dir, api_keys=f"{KEY}, {OTHER_KEY}")


@pytest.mark.parametrize("key", [KEY, OTHER_KEY])
@pytest.mark.parametrize(
    "header",
    [
        lambda key: {"Authorization": f"Bearer {key}"},
        lambda key: {"authorization": f"bearer  {key}"},
        lambda key: {"X-API-Key": key},
        lambda key: {"Authorization": basic_auth(key)},
        lambda key: {"Authorization": basic_auth(key, user="")},
        lambda key: {"Authorization": "Bearer wrong", "X-API-Key": key},
    ],
    ids=["bearer", "lower case", "X-API-Key", "basic", "basic without a user", "one right and one wrong"],
)
async def test_each_key_is_accepted_in_each_header(
    client: httpx.AsyncClient, key: str, header: Callable[[str], dict[str, str]]
) -> None:
    """Each key gives access as a bearer token, as X-API-Key and as the password of Basic authentication."""
    response = await client.get(f"/status/{'a' * 32}", headers=header(key))
    assert response.json()["code"] == "job_not_found"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer "},
        {"Authorization": f"Bearer {KEY[:-1]}"},
        {"Authorization": f"Bearer {KEY}, {OTHER_KEY}"},
        {"Authorization": f"Basic {KEY}"},
        {"Authorization": "Basic é"},
        {"Authorization": basic_auth("wrong", user=KEY)},
        {"Authorization": f"Digest {KEY}"},
        {"X-API-Key": ""},
        {"X-API-Key": KEY.upper()},
        {"X-API-Key": "\xff" * 20},
        {"Cookie": f"key={KEY}"},
    ],
)
async def test_anything_but_a_key_is_refused(client: httpx.AsyncClient, headers: dict[str, str]) -> None:
    """A request without a valid key gets 401 with the accepted schemes in WWW-Authenticate."""
    raw = {name.encode(): value.encode("latin-1") for name, value in headers.items()}
    response = await client.get(f"/status/{'a' * 32}", headers=raw)
    assert (response.status_code, response.json()["code"]) == (401, "unauthorized")
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["www-authenticate"].startswith("Basic ")
    assert "Bearer" in response.headers["www-authenticate"]


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
async def test_every_path_needs_a_key(client: httpx.AsyncClient, method: str, path: str) -> None:
    """A request without a key gets 401 on any path, so that it does not reveal which paths exist."""
    assert (await client.request(method, path)).status_code == 401


async def test_every_documented_path_but_the_probes_needs_a_key(client: httpx.AsyncClient, app: FastAPI) -> None:
    """Every path of the OpenAPI document needs a key, except the two health probes."""
    statuses = {path: (await client.get(path)).status_code for path in app.openapi()["paths"]}
    assert {path for path, status in statuses.items() if status != 401} == {"/healthz", "/readyz"}


async def test_the_openapi_document_names_the_key_schemes(client: httpx.AsyncClient) -> None:
    """Every operation of the OpenAPI document but the probes requires one of the three schemes."""
    document = (await client.get("/openapi.json", headers={"X-API-Key": KEY})).json()
    schemes = [{"bearer": []}, {"header": []}, {"basic": []}]
    assert document["paths"]["/transcribe"]["post"]["security"] == schemes
    assert document["paths"]["/healthz"]["get"]["security"] == []


async def test_a_body_is_not_read_without_a_key(app: FastAPI) -> None:
    """A request without a key is refused before its body is received."""
    body_was_read = False

    async def receive() -> MutableMapping[str, Any]:
        nonlocal body_was_read
        body_was_read = True
        return {"type": "http.disconnect"}

    statuses: list[int] = []
    body_sizes: list[int] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])
            assert not body_was_read
        else:
            body_sizes.append(len(message["body"]))

    headers = [(b"content-length", b"1000"), (b"content-type", b"multipart/form-data; boundary=x")]
    scope = {"type": "http", "method": "POST", "path": "/transcribe", "query_string": b"", "headers": headers}
    await app(scope, receive, send)
    assert statuses == [401]
    assert sum(body_sizes) > 0


@pytest.mark.parametrize("keys", ["short", f"{KEY},short", "ä" * 20, "a key with some spaces"])
def test_a_weak_key_is_refused_at_startup(keys: str) -> None:
    """A key that is short or does not fit a header is refused at startup, and the error does not repeat it."""
    with pytest.raises(ValidationError) as error:
        ApiSettings(api_keys=keys)
    error_details = error.value.errors()[0]
    assert error_details["loc"] == ("api_keys",)
    assert "16 characters" in error_details["msg"]
    assert keys not in error_details["msg"]


@pytest.mark.parametrize("setting", ["api_keys", "api_hosts"])
@pytest.mark.parametrize("value", [",", " ", " , ,"])
def test_a_list_of_only_commas_is_refused_at_startup(setting: str, value: str) -> None:
    """A setting of only commas and blanks is refused, so that a typo does not open the service to all."""
    with pytest.raises(ValidationError) as error:
        ApiSettings(**{setting: value})
    error_details = error.value.errors()[0]
    assert error_details["loc"] == (setting,)
    assert "only commas" in error_details["msg"]
    assert ApiSettings(**{setting: ""}) == ApiSettings()


def test_keys_are_not_printed(settings: ApiSettings) -> None:
    """The printed and the serialized settings hold no key."""
    assert KEY not in repr(settings)
    assert KEY not in settings.model_dump_json()
