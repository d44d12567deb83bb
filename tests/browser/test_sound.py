"""The voice: early, without gaps, and silent when it should be."""

import re
import threading
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from fakes import openai_server as openai
from fakes.openai_server import Gate, OpenAiServer
from support.services import ServiceProcesses

if TYPE_CHECKING:
    from browser.conftest import Visit

pytestmark = [pytest.mark.browser, pytest.mark.redis]

LONG = "This is a first sentence that takes its time, since it goes on and on about nothing much at all. "
SECOND = "And this is the second sentence, which is spoken right behind it. "


def ask(page, text: str = "Tell me something.") -> None:
    page.fill("#text", text)
    page.keyboard.press("Enter")


def test_the_voice_begins_before_the_answer_is_written(
    visit: "Visit", modelled: ServiceProcesses, model: OpenAiServer
) -> None:
    """The first sentence is heard while the model still writes; the next follows it without a gap."""
    from playwright.sync_api import expect

    gate = threading.Event()
    model.reply_with(openai.answer(LONG, SECOND, Gate(gate), "Here it ends."))
    page = visit(modelled)
    ask(page)
    turn = page.locator(".turn")
    expect(turn.locator(".turn-state")).to_have_text("Speaking")
    page.wait_for_timeout(700)
    assert page.evaluate("heard.loudest") > 0.05
    assert "ends" not in turn.locator(".answer").inner_text()
    gate.set()
    expect(turn.locator(".answer")).to_have_text((LONG + SECOND + "Here it ends.").strip())
    expect(page.locator("#stop")).to_be_disabled()
    pieces = page.evaluate("heard.pieces")
    assert len(pieces) >= 3
    for piece, following in pairwise(pieces):
        assert following["at"] == pytest.approx(piece["at"] + piece["lasts"], abs=1e-6)
        assert following["asked"] < following["at"]


def test_stop_cancels_the_job_and_the_sound(visit: "Visit", modelled: ServiceProcesses, model: OpenAiServer) -> None:
    """The job is cancelled, the loudspeaker falls silent, and the next question is served."""
    from playwright.sync_api import expect

    model.reply_with(openai.answer(LONG, SECOND, Gate(threading.Event())), openai.answer("Here I am again."))
    page = visit(modelled)
    with page.expect_response("**/ask") as accepted:
        ask(page)
    turn = page.locator(".turn").first
    expect(turn.locator(".turn-state")).to_have_text("Speaking")
    page.wait_for_timeout(700)
    with page.expect_response(re.compile("/jobs/")) as deleted:
        page.click("#stop")
    assert deleted.value.status == 204
    expect(turn.locator(".turn-state")).to_have_text("Stopped.")
    page.wait_for_timeout(200)
    assert page.evaluate("heard.now") == 0
    assert modelled.wait_until_ended(accepted.value.json()["job_id"])["status"] == "cancelled"
    turn.get_by_role("button", name="Ask it again").click()
    expect(page.locator(".turn").nth(1).locator(".answer")).to_have_text("Here I am again.")


def test_an_answer_that_begins_anew_replaces_the_old_one(
    visit: "Visit", modelled: ServiceProcesses, model: OpenAiServer
) -> None:
    """When the language model's worker dies, its half answer leaves the page and the loudspeaker, and the new one is
    shown and heard alone."""
    from playwright.sync_api import expect

    model.reply_with(
        openai.answer(LONG * 8, Gate(threading.Event())), openai.answer("Another answer. ", "It is whole.")
    )
    page = visit(modelled)
    ask(page)
    turn = page.locator(".turn")
    expect(turn.locator(".answer")).to_contain_text("on and on")
    expect(turn.locator(".turn-state")).to_have_text("Speaking")
    modelled.kill("llm")
    modelled.start("llm")
    expect(turn.locator(".answer")).to_have_text("Another answer. It is whole.")
    assert page.evaluate("heard.cut") > 0, "the old one was still being spoken"
    expect(page.locator("#stop")).to_be_disabled()
    old = page.evaluate("heard.pieces.filter(({ lasts }) => lasts > 3).length")
    assert page.evaluate("heard.pieces.length") > old >= 1


def test_a_connection_that_breaks_is_taken_up_where_it_was(
    visit: "Visit", modelled: ServiceProcesses, model: OpenAiServer
) -> None:
    """The API goes away in the middle of an answer and comes back: each word is shown once, each piece heard once."""
    from playwright.sync_api import expect

    gate = threading.Event()
    model.reply_with(openai.answer("The first half comes. ", "Wait for more. ", Gate(gate), "Here is the rest."))
    page = visit(modelled)
    ask(page)
    turn = page.locator(".turn")
    expect(turn.locator(".answer")).to_contain_text("first half")
    modelled.kill("api")
    expect(page.locator("#banner")).to_contain_text("does not answer")
    gate.set()
    modelled.start("api")
    expect(turn.locator(".answer")).to_have_text("The first half comes. Wait for more. Here is the rest.")
    expect(page.locator("#banner")).to_be_hidden()
    expect(page.locator("#stop")).to_be_disabled()
    job_segments = page.evaluate("heard.pieces.length")
    assert job_segments == 3
