"""The page in a browser, in front of a real stack."""

import importlib.util
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fakes.openai_server import OpenAiServer
from support.redis_server import RedisServer, redis_binaries
from support.requirements import skip_unless_ci
from support.services import QUESTION, ServiceProcesses

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Playwright

LISTENING = Path(__file__).with_name("listening.js")

EMBEDDED = {"STT_ENGINE": "pocketsphinx", "TTS_ENGINE": "espeak", "LLM_ENGINE": "offline"}


@pytest.fixture(scope="package")
def playwright() -> Iterator["Playwright"]:
    if importlib.util.find_spec("playwright") is None:
        skip_unless_ci("playwright is not installed: make setup")
    if not shutil.which("chromium"):
        skip_unless_ci("there is no Chromium: apt-get install chromium")
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=90_000)
    with (
        sync_playwright() as playwright
    ):  # an event loop runs until it is left: no test of another folder could have one
        yield playwright


@pytest.fixture(scope="package")
def browser(playwright: "Playwright", tmp_path_factory: pytest.TempPathFactory) -> Iterator["Browser"]:
    """With a microphone into which the question is spoken whenever it is opened."""
    from browser.chromium import chromium, microphone, with_microphone

    playing = microphone(QUESTION, tmp_path_factory.mktemp("microphone"))
    with chromium(playwright, *with_microphone(playing)) as browser:
        yield browser


@pytest.fixture(scope="package")
def redis_for_pages(playwright: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(next(iter(redis_binaries().values())), tmp_path_factory.mktemp("redis-for-pages"))
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="package")
def embedded(redis_for_pages: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcesses]:
    """A stack that needs no key and no download."""
    data_dir = tmp_path_factory.mktemp("embedded") / "volume"
    data_dir.mkdir()
    services = ServiceProcesses(redis_for_pages.url, data_dir, **EMBEDDED, RATE_LIMIT="off")
    services.start()
    services.wait_until_ready()
    yield services
    services.stop()


@pytest.fixture(scope="package")
def model(playwright: object) -> Iterator[OpenAiServer]:
    """The server of a language model that answers as a test wants, when it wants."""
    with OpenAiServer("") as server:
        yield server


@pytest.fixture(scope="package")
def with_model(model: OpenAiServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcesses]:
    folder = tmp_path_factory.mktemp("modelled")
    for name in ("redis", "volume"):
        (folder / name).mkdir()
    redis = RedisServer(next(iter(redis_binaries().values())), folder / "redis")
    redis.start()
    address = {"LLM_ENGINE": "openai", "OPENAI_BASE_URL": f"{model.url}/v1", "OPENAI_MODEL": "tiny"}
    services = ServiceProcesses(redis.url, folder / "volume", **EMBEDDED | address, NO_PROXY="127.0.0.1")
    yield services
    services.stop()
    redis.kill()


@pytest.fixture
def modelled(with_model: ServiceProcesses) -> ServiceProcesses:
    """A stack with that language model, whole again, whoever of it has been killed before."""
    if dead := {"api", "stt", "llm", "tts"} - with_model.processes.keys():
        with_model.start(*dead)
    with_model.wait_until_ready()
    return with_model


Visit = Callable[..., "Page"]


@pytest.fixture
def visit(browser: "Browser") -> Iterator[Visit]:
    """Opens the page of a stack, with an ear on its sound. What the page's scripts fail with fails the test."""
    failures: list[str] = []
    with ExitStack() as opened:

        def open_page(
            services: ServiceProcesses, at: str = "/", browser: "Browser" = browser, **context: Any
        ) -> "Page":
            page = opened.enter_context(browser.new_context(**context)).new_page()
            page.add_init_script(path=LISTENING)
            page.on("pageerror", lambda error: failures.append(str(error)))
            page.on("console", lambda message: failures.append(message.text) if is_ours(message) else None)
            page.goto(services.url + at)
            return page

        yield open_page
    assert not failures


def is_ours(message: Any) -> bool:
    """Whether it is the page that complains, and not the browser about an answer that a test meant to be bad."""
    return message.type == "error" and "Failed to load resource" not in message.text
