"""The guard of the private protocol: another uvicorn than the verified one is refused, or reported."""

import re
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from api.http_protocol.uvicorn_guard import VERIFIED_VERSION, check_uvicorn, find_differences
from shared.errors import StartupError

ROOT = Path(__file__).parents[3]


def test_the_installed_uvicorn_is_as_expected(logs: list[MutableMapping[str, Any]]) -> None:
    """The pinned uvicorn has every method, attribute and call, and starts without a warning."""
    assert find_differences() == []
    check_uvicorn()
    assert logs == []


@pytest.mark.parametrize("pins", ["api/requirements.txt", "requirements-dev.txt"])
def test_the_verified_version_is_the_pinned_one(pins: str) -> None:
    """A new pin of uvicorn needs its source to be read again, and the verified version to be raised."""
    assert re.findall(r"^uvicorn==(\S+)", (ROOT / pins).read_text(), re.M) == [VERIFIED_VERSION]


def test_a_renamed_method_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A uvicorn that has renamed an overridden method does not start."""
    monkeypatch.delattr(HttpToolsProtocol, "_start_asgi_task")
    with pytest.raises(StartupError, match=r"\(HttpToolsProtocol\._start_asgi_task\)"):
        check_uvicorn()


def test_another_parameter_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A uvicorn that passes an overridden method other parameters does not start."""

    def send_400_response(self: Any, message: str, headers: object) -> None: ...

    monkeypatch.setattr(HttpToolsProtocol, "send_400_response", send_400_response)
    assert find_differences() == ["HttpToolsProtocol.send_400_response"]


def test_a_missing_attribute_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A uvicorn whose requests lack an attribute that the limits read does not start."""

    def initialize(self: Any, scope: Any) -> None:
        self.scope = self.keep_alive = self.disconnected = self.message_event = self.response_started = scope

    monkeypatch.setattr(RequestResponseCycle, "__init__", initialize)
    assert find_differences() == ["RequestResponseCycle.response_complete"]


def test_a_call_that_is_gone_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A uvicorn that no longer calls an overridden method, so that a limit would be off in silence, does not start."""

    def data_received(self: Any, data: bytes) -> None:
        self.parser.feed_data(data)

    monkeypatch.setattr(HttpToolsProtocol, "data_received", data_received)
    assert find_differences() == ["send_400_response in HttpToolsProtocol.data_received"]


def test_an_unverified_version_is_reported(
    monkeypatch: pytest.MonkeyPatch, logs: list[MutableMapping[str, Any]]
) -> None:
    """A uvicorn that is as expected, but of another version, starts with a warning."""
    monkeypatch.setattr(uvicorn, "__version__", "9.9.9")
    check_uvicorn()
    assert [entry["event"] for entry in logs] == ["uvicorn_unverified"]
