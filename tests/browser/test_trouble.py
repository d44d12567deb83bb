"""What can go wrong, in words."""

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


def test_a_file_that_is_no_recording(visit: "Visit", embedded: ServiceProcesses, tmp_path: Path) -> None:
    """The page says what is accepted instead."""
    from playwright.sync_api import expect

    (tmp_path / "notes.txt").write_text("These are words, but nobody has said them.")
    page = visit(embedded)
    page.set_input_files("#file", tmp_path / "notes.txt")
    expect(page.get_by_role("alert")).to_contain_text("not audio of a kind that is accepted: wav, mp3")


def test_a_recording_without_words(visit: "Visit", embedded: ServiceProcesses) -> None:
    """What the job failed with is said, and it can be asked again."""
    from playwright.sync_api import expect

    silence = QUESTION.read_bytes()[:44] + bytes(64_000)
    page = visit(embedded)
    page.set_input_files("#file", {"name": "silence.wav", "mimeType": "audio/wav", "buffer": silence})
    expect(page.get_by_role("alert")).to_contain_text("No speech was found in the recording. Record again")
    page.get_by_role("button", name="Send it again").click()
    expect(page.locator(".turn")).to_have_count(2)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        pytest.param(["--use-fake-device-for-media-stream", "--deny-permission-prompts"], "is refused", id="refused"),
        pytest.param(["--use-fake-ui-for-media-stream"], "No microphone was found", id="none there"),
    ],
)
def test_no_microphone(
    visit: "Visit", embedded: ServiceProcesses, playwright: "Playwright", arguments: list[str], told: str
) -> None:
    """The page says why it hears nothing, and how else to ask; and that works."""
    from playwright.sync_api import expect

    from browser.chromium import chromium

    with chromium(playwright, *arguments) as browser:
        page = visit(embedded, browser=browser)
        page.click("#say")
        expect(page.locator("#state")).to_contain_text(told)
        expect(page.locator("#state")).to_contain_text("drop a recording on this page, or type")
        page.fill("#text", "How much is two plus two?")
        page.keyboard.press("Enter")
        expect(page.locator(".answer")).to_have_text(re.compile("four", re.IGNORECASE))
        page.context.close()


@pytest.fixture
def locked(embedded: ServiceProcesses, redis_for_pages: RedisServer) -> Iterator[ServiceProcesses]:
    """The same stack behind an API that demands a key."""
    services = ServiceProcesses(redis_for_pages.url, embedded.data_dir, API_KEYS=KEY)
    services.start("api")
    services.wait_until_ready()
    yield services
    services.stop()


def test_a_service_that_demands_a_key(visit: "Visit", locked: ServiceProcesses) -> None:
    """The page opens, asks for the key, says when it is the wrong one, and with the right one does everything."""
    from playwright.sync_api import expect

    page = visit(locked)
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    page.get_by_role("textbox", name="Key").fill("another-key-of-others")
    page.keyboard.press("Enter")
    expect(dialog).to_contain_text("That key does not open this service")
    page.get_by_role("textbox", name="Key").fill(KEY)
    page.keyboard.press("Enter")
    expect(dialog).to_be_hidden()
    page.fill("#text", "How much is two plus two?")
    page.keyboard.press("Enter")
    expect(page.locator(".answer")).to_have_text(re.compile("four", re.IGNORECASE))
    expect(page.locator("#stop")).to_be_disabled()
    assert page.evaluate("heard.loudest") > 0.05
    page.reload()
    expect(page.locator(".answer")).to_have_text(re.compile("four", re.IGNORECASE))
    expect(dialog).to_be_hidden()
    page.click("#to-system")
    expect(page.locator(".stage")).to_have_count(3)


def test_a_question_outlives_a_service_that_is_away(visit: "Visit", locked: ServiceProcesses) -> None:
    """It is said that nobody answers, and when the service is back the same question is sent with a press."""
    from playwright.sync_api import expect

    page = visit(locked)
    page.get_by_role("textbox", name="Key").fill(KEY)
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_hidden()
    locked.kill("api")
    page.fill("#text", "How much is two plus two?")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("does not answer")
    expect(page.locator("#banner")).to_contain_text("goes on by itself")
    locked.start("api")
    expect(page.locator("#banner")).to_be_hidden()
    page.get_by_role("button", name="Send it again").click()
    expect(page.locator(".answer")).to_have_text(re.compile("four", re.IGNORECASE))
