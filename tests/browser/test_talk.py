"""Asking, by voice, by file and by keyboard, and what is shown and heard of the answer."""

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


def say(page: "Page", *, button: str = "#say") -> None:
    """Press, wait until the question has been spoken, press."""
    from playwright.sync_api import expect

    page.click(button)
    expect(page.locator("#state")).to_have_text(re.compile("Recording, [3-9] s"))
    page.click(button)


def written(page: "Page", number: int = 0) -> "Locator":
    """A turn, once all of it is there."""
    from playwright.sync_api import expect

    turn = page.locator(".turn").nth(number)
    expect(turn.get_by_role("button", name="Save")).to_be_visible()
    return turn


def answered(page: "Page", number: int = 0) -> "Locator":
    """A turn, once it has been heard, too."""
    from playwright.sync_api import expect

    turn = written(page, number)
    expect(page.locator("#stop")).to_be_disabled()
    return turn


def test_a_spoken_question_is_heard_and_answered_aloud(visit: "Visit", embedded: ServiceProcesses) -> None:
    """It is recorded, sent, written down, answered in writing and in sound, with the time that each stage took."""
    from playwright.sync_api import expect

    page = visit(embedded)
    say(page)
    turn = answered(page)
    expect(turn.locator(".question")).to_have_text(re.compile("seven plus five"))
    expect(turn.locator(".answer")).to_have_text(re.compile("twelve", re.IGNORECASE))
    assert page.evaluate("heard.loudest") > 0.05, "the loudspeaker was silent"
    table = turn.get_by_role("table", name="Where the time went")
    expect(table.get_by_role("rowheader")).to_have_text(["Hearing", "Thinking", "Speaking"])
    expect(table.locator("thead")).to_contain_text(re.compile(r"first sound [\d.]+ m?s"))
    expect(table.locator("rect.worked")).to_have_count(3)
    expect(table.locator("line.mark")).to_have_count(3)


def test_the_level_of_the_microphone_is_drawn(visit: "Visit", embedded: ServiceProcesses) -> None:
    """While somebody speaks, the strip behind the button moves."""
    from playwright.sync_api import expect

    page = visit(embedded)
    tallest = """() => {
        const { width, height } = strip;
        const { data } = strip.getContext('2d').getImageData(0, 0, width, height);
        const rows = Array.from({ length: height }, (_, y) => y);
        return rows.filter((y) => data.slice(y * width * 4, (y + 1) * width * 4).some(Boolean)).length;
    }"""
    idle = page.evaluate(tallest)
    page.click("#say")
    expect(page.locator("#state")).to_have_text(re.compile("Recording, [1-9] s"))
    assert page.evaluate(tallest) > 3 * idle
    page.keyboard.press("Escape")
    expect(page.locator("#state")).to_have_text("Discarded.")
    expect(page.locator(".turn")).to_have_count(0)


def test_the_button_can_be_held(visit: "Visit", embedded: ServiceProcesses) -> None:
    """Who holds it while speaking sends by letting go; with the space bar as with a finger."""
    from playwright.sync_api import expect

    page = visit(embedded)
    for number, (press, let_go) in enumerate(
        [
            (lambda: (page.hover("#say"), page.mouse.down()), page.mouse.up),
            (lambda: page.keyboard.down(" "), lambda: page.keyboard.up(" ")),
        ]
    ):
        page.mouse.move(0, 300)
        page.locator("body").click(position={"x": 5, "y": 300})
        press()
        expect(page.locator("#state")).to_have_text(re.compile("Recording, [3-9] s"))
        let_go()
        expect(written(page, number).locator(".question")).to_have_text(re.compile("seven plus five"))


def test_a_file_can_be_dropped(visit: "Visit", embedded: ServiceProcesses) -> None:
    """A recording that is dropped anywhere is asked."""
    from playwright.sync_api import expect

    page = visit(embedded)
    dropped = page.evaluate_handle(
        """(bytes) => {
            const carried = new DataTransfer();
            carried.items.add(new File([new Uint8Array(bytes)], 'question.wav', { type: 'audio/wav' }));
            return carried;
        }""",
        list(QUESTION.read_bytes()),
    )
    page.dispatch_event("body", "dragover", {"dataTransfer": dropped})
    expect(page.locator("#drop")).to_be_visible()
    page.dispatch_event("body", "drop", {"dataTransfer": dropped})
    expect(page.locator("#drop")).to_be_hidden()
    page.locator("body").click(position={"x": 5, "y": 300})  # browsers let nothing sound before
    expect(written(page).locator(".question")).to_have_text(SENTENCE)


def test_a_file_can_be_chosen(visit: "Visit", embedded: ServiceProcesses) -> None:
    """A phone has nothing to drop."""
    from playwright.sync_api import expect

    page = visit(embedded)
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose a recording").click()
    chooser.value.set_files(QUESTION)
    expect(written(page).locator(".question")).to_have_text(SENTENCE)


def test_everything_can_be_done_from_the_keyboard(visit: "Visit", embedded: ServiceProcesses) -> None:
    """A question is typed, the voice chosen, the conversation ended, without a mouse, and the focus is always seen."""
    from playwright.sync_api import expect

    page = visit(embedded)

    def tab_to(name: str) -> None:
        for _ in range(20):
            page.keyboard.press("Tab")
            focused = page.locator(":focus")
            if not focused.count():
                continue  # behind the last is the browser itself
            assert focused.evaluate("(it) => getComputedStyle(it).outlineStyle !== 'none' || it.id === 'text'")
            if focused.get_attribute("id") == name:
                return
        raise AssertionError(f"{name} cannot be reached")

    tab_to("adjust")
    page.keyboard.press("Enter")
    expect(page.locator("#language")).to_be_focused()
    page.keyboard.type("en")
    page.keyboard.press("Tab")
    page.keyboard.type("en-gb")
    page.reload()
    assert page.input_value("#voice") == "en-gb", "the choice is remembered"
    tab_to("text")
    with page.expect_request("**/ask") as asked:
        page.keyboard.type("How much is two plus two?")
        page.keyboard.press("Enter")
    assert asked.value.post_data_json.items() >= {"voice": "en-gb", "language": "en"}.items()
    expect(written(page).locator(".answer")).to_have_text(re.compile("four", re.IGNORECASE))
    tab_to("new")
    page.keyboard.press("Enter")
    expect(page.locator(".turn")).to_have_count(0)
    expect(page.locator("#say")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#state")).to_have_text(re.compile("Recording, [1-9] s"))


def test_the_conversation_is_there_after_a_reload(visit: "Visit", embedded: ServiceProcesses) -> None:
    """Its turns and their waterfalls are shown again, can be heard again, and a new conversation leaves them behind."""
    from playwright.sync_api import expect

    page = visit(embedded)
    page.fill("#text", "How much is three plus four?")
    page.keyboard.press("Enter")
    written(page)
    page.reload()
    turn = written(page)
    expect(turn.locator(".question")).to_have_text("How much is three plus four?")
    expect(turn.locator(".answer")).to_have_text(re.compile("seven", re.IGNORECASE))
    expect(turn.locator("rect.worked")).to_have_count(2)
    turn.get_by_role("button", name="Hear it again").click()
    expect(page.locator("#stop")).to_be_enabled()
    expect(page.locator("#stop")).to_be_disabled()
    assert page.evaluate("heard.loudest") > 0.05
    with page.expect_download() as saved:
        turn.get_by_role("button", name="Save").click()
    with wave.open(str(saved.value.path())) as file:
        assert file.getnframes() > 0
    page.click("#new")
    page.reload()
    expect(page.locator("#welcome")).to_be_visible()
    expect(page.locator(".turn")).to_have_count(0)


def test_what_others_wrote_is_never_more_than_text(visit: "Visit", embedded: ServiceProcesses) -> None:
    """HTML in a question, and in the answer that repeats it, is shown as it is, now and after a reload."""
    from playwright.sync_api import expect

    page = visit(embedded)
    attack = "<img src=x onerror=\"document.title='broken in'\"><script>document.title='broken in'</script>"
    page.fill("#text", attack)
    page.keyboard.press("Enter")
    for _ in range(2):
        turn = written(page)
        expect(turn.locator(".question")).to_have_text(attack)
        expect(turn.locator(".answer")).to_contain_text(attack)
        assert turn.locator("img, script").count() == 0
        assert page.title() == "Cascade"
        page.reload()
