"""The system view, and the layout on phones."""

from typing import TYPE_CHECKING

import pytest

from support.services import ServiceProcesses

if TYPE_CHECKING:
    from browser.conftest import Visit

pytestmark = [pytest.mark.browser, pytest.mark.redis]


def test_system_view_follows_the_stack(visit: "Visit", scripted: ServiceProcesses) -> None:
    """The system view shows stages and workers; a killed worker disappears and its waiting task is counted."""
    from playwright.sync_api import expect

    page = visit(scripted, path="/#system")
    expect(page.locator("#system-status")).to_have_text("All stages are ready.")
    expect(page.locator(".stage h3")).to_contain_text(["Speech to text", "Language model", "Text to speech"])
    expect(page.locator("#workers tbody tr")).to_have_count(3)
    expect(page.locator("#workers")).to_contain_text("pocketsphinx")
    scripted.kill("stt")
    scripted.upload()
    expect(page.locator("#workers tbody tr")).to_have_count(2)
    expect(page.locator(".stage.stt .waiting-count")).to_contain_text("1waiting")
    expect(page.locator("#system-status")).to_contain_text("No worker is running for speech to text")
    expect(page.locator("#counts")).to_contain_text("active jobs1")


@pytest.mark.parametrize("path", ["/", "/#system"], ids=["talk", "system"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_fits_a_phone(visit: "Visit", embedded: ServiceProcesses, path: str, scheme: str) -> None:
    """At a width of 360 pixels nothing overflows, and every button is at least 24 pixels wide and high."""
    from playwright.sync_api import expect

    page = visit(
        embedded, path=path, viewport={"width": 360, "height": 740}, color_scheme=scheme, reduced_motion="reduce"
    )
    if path == "/":
        page.fill("#text", "A question with averyveryveryveryveryveryveryverylongwordthatisnotbroken?")
        page.keyboard.press("Enter")
        expect(page.locator(".waterfall")).to_be_visible()
        page.click("#preferences-toggle")
    else:
        expect(page.locator(".stage")).to_have_count(3)
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    for box in (button.bounding_box() for button in page.get_by_role("button").all() if button.is_visible()):
        assert box
        assert 0 <= box["x"] <= box["x"] + box["width"] <= 360
        assert min(box["width"], box["height"]) >= 24
