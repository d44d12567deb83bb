"""Write the documentation's screenshots of the page: PYTHONPATH=tests python -m browser.make_pictures.

Everything in them is real except the language model: a local server sends scripted answers at the rate of a small one.
"""

import re
import tempfile
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

from browser.chromium import chromium, make_microphone_file, microphone_arguments
from fakes import openai_server as openai
from fakes.openai_server import OpenAiServer, Pause, Step
from support.redis_server import RedisServer, redis_binaries
from support.services import QUESTION, ServiceProcesses

PICTURES = Path(__file__).parents[2] / "docs" / "images"

SUM = "Seven plus five is twelve. That is a box of eggs, the months of a year, or the hours on the face of a clock."
SKY = (
    "Because air scatters blue light more than red. Sunlight contains every colour, and the shorter the wavelength, "
    "the more of it is scattered. So blue light reaches you from all over the sky, while red light mostly comes "
    "straight from the sun."
)


def take_screenshots(url: str, recording: Path) -> None:
    with sync_playwright() as playwright, chromium(playwright, *microphone_arguments(recording)) as browser:
        page = browser.new_page(viewport={"width": 860, "height": 1040}, device_scale_factor=1.4)
        page.goto(url)
        page.click("#record")
        expect(page.locator("#record-status")).to_have_text(re.compile("Recording, [3-9] s"))
        page.click("#record")
        wait_until_played(page, 1)
        page.fill("#text", "Why is the sky blue?")
        page.keyboard.press("Enter")
        expect(page.locator(".turn").nth(1).get_by_role("button", name="Save")).to_be_visible(timeout=60_000)
        page.locator("#text").blur()
        page.wait_for_timeout(1500)
        page.screenshot(path=PICTURES / "page-light.png")
        page.emulate_media(color_scheme="dark")
        page.wait_for_timeout(300)
        page.screenshot(path=PICTURES / "page-dark.png")
        page.click("#system-link")
        page.wait_for_timeout(6500)
        page.set_viewport_size({"width": 860, "height": 700})
        page.screenshot(path=PICTURES / "page-system.png")
        page.emulate_media(color_scheme="light")
        page.set_viewport_size({"width": 360, "height": 780})
        page.click("#talk-link")
        wait_until_played(page, 2)
        page.wait_for_timeout(500)
        page.mouse.wheel(0, 5000)
        page.wait_for_timeout(500)
        page.screenshot(path=PICTURES / "page-phone.png")


def wait_until_played(page: Page, turns: int) -> None:
    expect(page.get_by_role("button", name="Save")).to_have_count(turns)
    expect(page.locator("#stop")).to_be_disabled(timeout=60_000)


def split_words(text: str) -> list[str | Step]:
    """The text word by word, with a pause after each, as a language model streams it."""
    words = text.split(" ")
    return [step for word in words[:-1] for step in (f"{word} ", Pause(0.04))] + [words[-1]]


def main() -> None:
    expect.set_options(timeout=120_000)
    PICTURES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, OpenAiServer("") as model:
        volume = Path(folder) / "volume"
        redis_dir = Path(folder) / "redis"
        volume.mkdir()
        redis_dir.mkdir()
        model.reply_with(openai.answer(*split_words(SUM)), openai.answer(*split_words(SKY)))
        redis = RedisServer(next(iter(redis_binaries().values())), redis_dir)
        redis.start()
        engines = {"STT_ENGINE": "pocketsphinx", "TTS_ENGINE": "espeak", "LLM_ENGINE": "openai"}
        address = {"OPENAI_BASE_URL": f"{model.url}/v1", "OPENAI_MODEL": "small", "NO_PROXY": "127.0.0.1"}
        services = ServiceProcesses(redis.url, volume, **engines, **address)
        try:
            services.start()
            services.wait_until_ready()
            take_screenshots(services.url, make_microphone_file(QUESTION, Path(folder)))
        finally:
            services.stop()
            redis.kill()


if __name__ == "__main__":
    main()
