"""Playback of answers: early, without gaps, and stopped on request."""

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
SECOND = "And this is the second sentence, which is played right after it. "


def ask(page, text: str = "Tell me something.") -> None:
    page.fill("#text", text)
    page.keyboard.press("Enter")


def test_playback_starts_before_the_answer_is_complete(
    visit: "Visit", scripted: ServiceProcesses, model: OpenAiServer
) -> None:
    """The first sentence is played while the model still generates, and the next ones follow without a gap."""
    from playwright.sync_api import expect

    gate = threading.Event()
    model.reply_with(openai.answer(LONG, SECOND, Gate(gate), "Here it ends."))
    page = visit(scripted)
    ask(page)
    turn = page.locator(".turn")
    expect(turn.locator(".turn-status")).to_have_text("Playing")
    page.wait_for_timeout(700)
    assert page.evaluate("audioProbe.peak") > 0.05
    assert "ends" not in turn.locator(".answer").inner_text()
    gate.set()
    expect(turn.locator(".answer")).to_have_text((LONG + SECOND + "Here it ends.").strip())
    expect(page.locator("#stop")).to_be_disabled()
    segments = page.evaluate("audioProbe.segments")
    assert len(segments) >= 3
    for segment, next_segment in pairwise(segments):
        assert next_segment["at"] == pytest.approx(segment["at"] + segment["duration"], abs=1e-6)
        assert next_segment["scheduledAt"] < next_segment["at"]


def test_stop_cancels_the_job_and_the_playback(visit: "Visit", scripted: ServiceProcesses, model: OpenAiServer) -> None:
    """The stop button cancels the job and silences the output, and the next question is answered."""
    from playwright.sync_api import expect

    model.reply_with(openai.answer(LONG, SECOND, Gate(threading.Event())), openai.answer("Here I am again."))
    page = visit(scripted)
    with page.expect_response("**/ask") as accepted:
        ask(page)
    turn = page.locator(".turn").first
    expect(turn.locator(".turn-status")).to_have_text("Playing")
    page.wait_for_timeout(700)
    with page.expect_response(re.compile("/jobs/")) as deleted:
        page.click("#stop")
    assert deleted.value.status == 204
    expect(turn.locator(".turn-status")).to_have_text("Stopped.")
    page.wait_for_timeout(200)
    assert page.evaluate("audioProbe.level") == 0
    assert scripted.wait_until_ended(accepted.value.json()["job_id"])["status"] == "cancelled"
    turn.get_by_role("button", name="Ask again").click()
    expect(page.locator(".turn").nth(1).locator(".answer")).to_have_text("Here I am again.")


def test_restarted_answer_replaces_the_old_one(visit: "Visit", scripted: ServiceProcesses, model: OpenAiServer) -> None:
    """When the LLM worker dies, its partial answer disappears and stops playing, and only the new answer is shown and
    played."""
    from playwright.sync_api import expect

    model.reply_with(
        openai.answer(LONG * 8, Gate(threading.Event())), openai.answer("Another answer. ", "It is whole.")
    )
    page = visit(scripted)
    ask(page)
    turn = page.locator(".turn")
    expect(turn.locator(".answer")).to_contain_text("on and on")
    expect(turn.locator(".turn-status")).to_have_text("Playing")
    scripted.kill("llm")
    scripted.start("llm")
    expect(turn.locator(".answer")).to_have_text("Another answer. It is whole.")
    assert page.evaluate("audioProbe.stopped") > 0, "the old answer was still playing"
    expect(page.locator("#stop")).to_be_disabled()
    old_count = page.evaluate("audioProbe.segments.filter(({ duration }) => duration > 3).length")
    assert page.evaluate("audioProbe.segments.length") > old_count >= 1


def test_broken_connection_is_resumed(visit: "Visit", scripted: ServiceProcesses, model: OpenAiServer) -> None:
    """When the API restarts during an answer, each word is shown once and each segment is played once."""
    from playwright.sync_api import expect

    gate = threading.Event()
    model.reply_with(openai.answer("The first half comes. ", "Wait for more. ", Gate(gate), "Here is the rest."))
    page = visit(scripted)
    ask(page)
    turn = page.locator(".turn")
    expect(turn.locator(".answer")).to_contain_text("first half")
    scripted.kill("api")
    expect(page.locator("#banner")).to_contain_text("does not respond")
    gate.set()
    scripted.start("api")
    expect(turn.locator(".answer")).to_have_text("The first half comes. Wait for more. Here is the rest.")
    expect(page.locator("#banner")).to_be_hidden()
    expect(page.locator("#stop")).to_be_disabled()
    assert page.evaluate("audioProbe.segments.length") == 3
