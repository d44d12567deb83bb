"""Asking by voice, file and keyboard, and the answers on the page."""

import re
import wave
from typing import TYPE_CHECKING

import pytest

from support.services import QUESTION, ServiceProcesses

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

    from browser.conftest import Visit

pytestmark = [pytest.mark.browser, pytest.mark.redis]

SENTENCE = QUESTION.with_suffix(".txt").read_text().strip()


def record_question(page: "Page") -> None:
    """Click the record button, wait until the microphone has played the question, and click again."""
    from playwright.sync_api import expect

    page.click("#record")
    expect(page.locator("#record-status")).to_have_text(re.compile("Recording, [3-9] s"))
    page.click("#record")


def completed_turn(page: "Page", number: int = 0) -> "Locator":
    """Wait until a turn is complete, and return it."""
    from playwright.sync_api import expect

    turn = page.locator(".turn").nth(number)
    expect(turn.get_by_role("button", name="Save")).to_be_visible()
    return turn


def played_turn(page: "Page", number: int = 0) -> "Locator":
    """Wait until a turn is complete and its answer has been played, and return it."""
    from playwright.sync_api import expect

    turn = completed_turn(page, number)
    expect(page.locator("#stop")).to_be_disabled()
    return turn


def test_spoken_question_is_transcribed_answered_and_played(visit: "Visit", embedded: ServiceProcesses) -> None:
    """A recorded question is transcribed, answered and played, with the time that each stage took."""
    from playwright.sync_api import expect

    page = visit(embedded)
    record_question(page)
    turn = played_turn(page)
    expect(turn.locator(".question")).to_have_text(re.compile("seven plus five"))
    expect(turn.locator(".answer")).to_have_text(re.compile("twelve", re.IGNORECASE))
    assert page.evaluate("audioProbe.peak") > 0.05, "nothing was played"
    table = turn.get_by_role("table", name="Time by stage")
    expect(table.get_by_role("rowheader")).to_have_text(["Speech to text", "Language model", "Text to speech"])
    expect(table.locator("thead")).to_contain_text(re.compile(r"first audio [\d.]+ m?s"))
    expect(table.locator("rect.worked")).to_have_count(3)
    expect(table.locator("line.first-audio-mark")).to_have_count(3)


def test_level_meter_shows_the_microphone(visit: "Visit", embedded: ServiceProcesses) -> None:
    """The level meter moves while the microphone receives speech."""
    from playwright.sync_api import expect

    page = visit(embedded)
    drawn_rows = """() => {
        const canvas = document.getElementById('level-meter');
        const { width, height } = canvas;
        const { data } = canvas.getContext('2d').getImageData(0, 0, width, height);
        const rows = Array.from({ length: height }, (_, y) => y);
        return rows.filter((y) => data.slice(y * width * 4, (y + 1) * width * 4).some(Boolean)).length;
    }"""
    idle = page.evaluate(drawn_rows)
    page.click("#record")
    expect(page.locator("#record-status")).to_have_text(re.compile("Recording, [1-9] s"))
    assert page.evaluate(drawn_rows) > 3 * idle
    page.keyboard.press("Escape")
    expect(page.locator("#record-status")).to_have_text("Discarded.")
    expect(page.locator(".turn")).to_have_count(0)


def test_button_and_space_bar_can_be_held(visit: "Visit", embedded: ServiceProcesses) -> None:
    """Releasing the record button or the space bar after holding it sends the recording."""
    from playwright.sync_api import expect

    page = visit(embedded)
    for number, (press, release) in enumerate(
        [
            (lambda: (page.hover("#record"), page.mouse.down()), page.mouse.up),
            (lambda: page.keyboard.down(" "), lambda: page.keyboard.up(" ")),
        ]
    ):
        page.mouse.move(0, 300)
        page.locator("body").click(position={"x": 5, "y": 300})
        press()
        expect(page.locator("#record-status")).to_have_text(re.compile("Recording, [3-9] s"))
        release()
        expect(completed_turn(page, number).locator(".question")).to_have_text(re.compile("seven plus five"))


def test_dropped_file_is_sent(visit: "Visit", embedded: ServiceProcesses) -> None:
    """A recording that is dropped anywhere on the page is sent."""
    from playwright.sync_api import expect

    page = visit(embedded)
    transfer = page.evaluate_handle(
        """(bytes) => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(bytes)], 'question.wav', { type: 'audio/wav' }));
            return transfer;
        }""",
        list(QUESTION.read_bytes()),
    )
    page.dispatch_event("body", "dragover", {"dataTransfer": transfer})
    expect(page.locator("#drop-zone")).to_be_visible()
    page.dispatch_event("body", "drop", {"dataTransfer": transfer})
    expect(page.locator("#drop-zone")).to_be_hidden()
    page.locator("body").click(position={"x": 5, "y": 300})  # browsers block audio before the first click
    expect(completed_turn(page).locator(".question")).to_have_text(SENTENCE)


def test_chosen_file_is_sent(visit: "Visit", embedded: ServiceProcesses) -> None:
    """A recording can be chosen with the file dialog, as on phones."""
    from playwright.sync_api import expect

    page = visit(embedded)
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose a recording").click()
    chooser.value.set_files(QUESTION)
    expect(completed_turn(page).locator(".question")).to_have_text(SENTENCE)


def test_page_can_be_used_with_the_keyboard(visit: "Visit", embedded: ServiceProcesses) -> None:
    """A voice, a question and a new conversation can be entered by keyboard, and the focus is always visible."""
    from playwright.sync_api import expect

    page = visit(embedded)

    def tab_to(name: str) -> None:
        for _ in range(20):
            page.keyboard.press("Tab")
            focused = page.locator(":focus")
            if not focused.count():
                continue  # after the last element the focus moves to the browser itself
            assert focused.evaluate(
                "(element) => getComputedStyle(element).outlineStyle !== 'none' || element.id === 'text'"
            )
            if focused.get_attribute("id") == name:
                return
        raise AssertionError(f"{name} cannot be reached with the Tab key")

    tab_to("preferences-toggle")
    page.keyboard.press("Enter")
    expect(page.locator("#language")).to_be_focused()
    page.keyboard.type("en")
    page.keyboard.press("Tab")
    page.keyboard.type("en-gb")
    page.reload()
    assert page.input_value("#voice") == "en-gb", "the voice is stored"
    tab_to("text")
    with page.expect_request("**/ask") as request:
        page.keyboard.type("How much is two plus two?")
        page.keyboard.press("Enter")
    assert request.value.post_data_json.items() >= {"voice": "en-gb", "language": "en"}.items()
    expect(completed_turn(page).locator(".answer")).to_have_text(re.compile("four", re.IGNORECASE))
    tab_to("new-conversation")
    page.keyboard.press("Enter")
    expect(page.locator(".turn")).to_have_count(0)
    expect(page.locator("#record")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#record-status")).to_have_text(re.compile("Recording, [1-9] s"))


def test_conversation_is_restored_after_a_reload(visit: "Visit", embedded: ServiceProcesses) -> None:
    """After a reload the turns and their timings are shown and can be played again; a new conversation has none."""
    from playwright.sync_api import expect

    page = visit(embedded)
    page.fill("#text", "How much is three plus four?")
    page.keyboard.press("Enter")
    completed_turn(page)
    page.reload()
    turn = completed_turn(page)
    expect(turn.locator(".question")).to_have_text("How much is three plus four?")
    expect(turn.locator(".answer")).to_have_text(re.compile("seven", re.IGNORECASE))
    expect(turn.locator("rect.worked")).to_have_count(2)
    turn.get_by_role("button", name="Play again").click()
    expect(page.locator("#stop")).to_be_enabled()
    expect(page.locator("#stop")).to_be_disabled()
    assert page.evaluate("audioProbe.peak") > 0.05
    with page.expect_download() as download:
        turn.get_by_role("button", name="Save").click()
    with wave.open(str(download.value.path())) as file:
        assert file.getnframes() > 0
    page.click("#new-conversation")
    page.reload()
    expect(page.locator("#welcome")).to_be_visible()
    expect(page.locator(".turn")).to_have_count(0)


def test_html_in_texts_is_not_interpreted(visit: "Visit", embedded: ServiceProcesses) -> None:
    """HTML in a question, and in the answer that repeats it, is shown as text, also after a reload."""
    from playwright.sync_api import expect

    page = visit(embedded)
    attack = "<img src=x onerror=\"document.title='injected'\"><script>document.title='injected'</script>"
    page.fill("#text", attack)
    page.keyboard.press("Enter")
    for _ in range(2):
        turn = completed_turn(page)
        expect(turn.locator(".question")).to_have_text(attack)
        expect(turn.locator(".answer")).to_contain_text(attack)
        assert turn.locator("img, script").count() == 0
        assert page.title() == "Cascade"
        page.reload()
