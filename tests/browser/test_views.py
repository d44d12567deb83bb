"""How the page fits, and its second view."""

from typing import TYPE_CHECKING

import pytest

from support.services import ServiceProcesses

if TYPE_CHECKING:
    from browser.conftest import Visit

pytestmark = [pytest.mark.browser, pytest.mark.redis]


def test_the_system_is_shown_as_it_changes(visit: "Visit", modelled: ServiceProcesses) -> None:
    """Stages, workers and readiness; a worker that goes is missed within seconds, and what waits for it is counted."""
    from playwright.sync_api import expect

    page = visit(modelled, at="/#system")
    expect(page.locator("#ready")).to_have_text("Everything is ready.")
    expect(page.locator(".stage h3")).to_contain_text(["Hearing", "Thinking", "Speaking"])
    expect(page.locator("#workers tbody tr")).to_have_count(3)
    expect(page.locator("#workers")).to_contain_text("pocketsphinx")
    modelled.kill("stt")
    modelled.upload()
    expect(page.locator("#workers tbody tr")).to_have_count(2)
    expect(page.locator(".stage.stt .big")).to_contain_text("1waiting")
    expect(page.locator("#ready")).to_contain_text("Nobody works for speech recognition")
    expect(page.locator("#counts")).to_contain_text("jobs under way1")


@pytest.mark.parametrize("at", ["/", "/#system"], ids=["talk", "system"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone(visit: "Visit", embedded: ServiceProcesses, at: str, scheme: str) -> None:
    """At 360 pixels nothing sticks out, and nothing is too small for a finger."""
    from playwright.sync_api import expect

    page = visit(embedded, at=at, viewport={"width": 360, "height": 740}, color_scheme=scheme, reduced_motion="reduce")
    if at == "/":
        page.fill("#text", "A question with averyveryveryveryveryveryveryverylongwordthatisnotbroken?")
        page.keyboard.press("Enter")
        expect(page.locator(".waterfall")).to_be_visible()
        page.click("#adjust")
    else:
        expect(page.locator(".stage")).to_have_count(3)
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    for box in (button.bounding_box() for button in page.get_by_role("button").all() if button.is_visible()):
        assert box
        assert 0 <= box["x"] <= box["x"] + box["width"] <= 360
        assert min(box["width"], box["height"]) >= 24
