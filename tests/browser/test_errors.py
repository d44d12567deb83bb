"""Errors, and how the page explains them."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.redis_server import RedisServer
from support.services import QUESTION, ServiceProcesses

if TYPE_CHECKING:
    from playwright.sync_api import Playwright

    from browser.conftest import Visit

pytestmark = [pytest.mark.browser, pytest.mark.redis]

KEY = "a-key-for-the-tests"


def test_file_that_is_no_recording(visit: "Visit", embedded: ServiceProcesses, tmp_path: Path) -> None:
    """For a file that is no audio, the page shows the accepted formats."""
    from playwright.sync_api import expect

    (tmp_path / "notes.txt").write_text("This is text and not audio.")
    page = visit(embedded)
    page.set_input_files("#file", tmp_path / "notes.txt")
    expect(page.get_by_role("alert")).to_contain_text("not audio in an accepted format: wav, mp3")


def test_recording_without_speech(visit: "Visit", embedded: ServiceProcesses) -> None:
    """A job's error is shown, and the question can be sent again."""
    from playwright.sync_api import expect

    silence = QUESTION.read_bytes()[:44] + bytes(64_000)
    page = visit(embedded)
    page.set_input_files("#file", {"name": "silence.wav", "mimeType": "audio/wav", "buffer": silence})
    expect(page.get_by_role("alert")).to_contain_text("No speech was found in the recording. Record again")
    page.get_by_role("button", name="Send again").click()
    expect(page.locator(".turn")).to_have_count(2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(
            ["--use-fake-device-for-media-stream", "--deny-permission-prompts"], "access was denied", id="denied"
        ),
        pytest.param(["--use-fake-ui-for-media-stream"], "No microphone was found", id="absent"),
    ],
)
def test_microphone_is_not_available(
    visit: "Visit", embedded: ServiceProcesses, playwright: "Playwright", arguments: list[str], message: str
) -> None:
    """Without a microphone the page says why, and offers a file or text, which works."""
    from playwright.sync_api import expect

    from browser.chromium import chromium

    with chromium(playwright, *arguments) as browser:
        page = visit(embedded, browser=browser)
        page.click("#record")
        expect(page.locator("#record-status")).to_contain_text(message)
        expect(page.locator("#record-status")).to_contain_text("drop a recording on this page, or type")
        page.fill("#text", "How much is two plus two?")
        page.keyboard.press("Enter")
        expect(page.locator(".answer")).to_have_text(re.compile("four", re.IGNORECASE))
        page.context.close()


@pytest.fixture
def locked(embedded: ServiceProcesses, page_redis: RedisServer) -> Iterator[ServiceProcesses]:
    """The embedded stack behind a second API, which requires a key."""
    services = ServiceProcesses(page_redis.url, embedded.data_dir, API_KEYS=KEY)
    services.start("api")
    services.wait_until_ready()
    yield services
    services.stop()


def test_service_that_requires_a_key(visit: "Visit", locked: ServiceProcesses) -> None:
    """The page asks for the API key, rejects a wrong one, and works with the right one, also after a reload."""
    from playwright.sync_api import expect

    page = visit(locked)
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    page.get_by_role("textbox", name="API key").fill("a-wrong-key")
    page.keyboard.press("Enter")
    expect(dialog).to_contain_text("This key is not valid")
    page.get_by_role("textbox", name="API key").fill(KEY)
    page.keyboard.press("Enter")
    expect(dialog).to_be_hidden()
    page.fill("#text", "How much is two plus two?")
    page.keyboard.press("Enter")
    expect(page.locator(".answer")).to_have_text(re.compile("four", re.IGNORECASE))
    expect(page.locator("#stop")).to_be_disabled()
    assert page.evaluate("audioProbe.peak") > 0.05
    page.reload()
    expect(page.locator(".answer")).to_have_text(re.compile("four", re.IGNORECASE))
    expect(dialog).to_be_hidden()
    page.click("#system-link")
    expect(page.locator(".stage")).to_have_count(3)


def test_question_can_be_sent_again_after_an_outage(visit: "Visit", locked: ServiceProcesses) -> None:
    """While the service is down the page says so, and a click sends the same question when it is back."""
    from playwright.sync_api import expect

    page = visit(locked)
    page.get_by_role("textbox", name="API key").fill(KEY)
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_hidden()
    locked.kill("api")
    page.fill("#text", "How much is two plus two?")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("does not respond")
    expect(page.locator("#banner")).to_contain_text("reconnects automatically")
    locked.start("api")
    expect(page.locator("#banner")).to_be_hidden()
    page.get_by_role("button", name="Send again").click()
    expect(page.locator(".answer")).to_have_text(re.compile("four", re.IGNORECASE))
