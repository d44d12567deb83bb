"""Fixtures: Chromium with a fake microphone, and real stacks that serve the page."""

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

AUDIO_PROBE = Path(__file__).with_name("audio_probe.js")

EMBEDDED = {"STT_ENGINE": "pocketsphinx", "TTS_ENGINE": "espeak", "LLM_ENGINE": "offline"}


@pytest.fixture(scope="package")
def playwright() -> Iterator["Playwright"]:
    if importlib.util.find_spec("playwright") is None:
        skip_unless_ci("playwright is not installed: make setup")
    if not shutil.which("chromium"):
        skip_unless_ci("there is no Chromium: apt-get install chromium")
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=90_000)
    # Its event loop runs as long as the fixture: with a wider scope no other test could run one.
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="package")
def browser(playwright: "Playwright", tmp_path_factory: pytest.TempPathFactory) -> Iterator["Browser"]:
    """A browser whose microphone plays the question whenever it is opened."""
    from browser.chromium import chromium, make_microphone_file, microphone_arguments

    recording = make_microphone_file(QUESTION, tmp_path_factory.mktemp("microphone"))
    with chromium(playwright, *microphone_arguments(recording)) as browser:
        yield browser


@pytest.fixture(scope="package")
def page_redis(playwright: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(next(iter(redis_binaries().values())), tmp_path_factory.mktemp("page-redis"))
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="package")
def embedded(page_redis: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcesses]:
    """A stack whose engines need no key and no download."""
    data_dir = tmp_path_factory.mktemp("embedded") / "volume"
    data_dir.mkdir()
    services = ServiceProcesses(page_redis.url, data_dir, **EMBEDDED, RATE_LIMIT="off")
    services.start()
    services.wait_until_ready()
    yield services
    services.stop()


@pytest.fixture(scope="package")
def model(playwright: object) -> Iterator[OpenAiServer]:
    """A language model's server whose answers and delays a test scripts."""
    with OpenAiServer("") as server:
        yield server


@pytest.fixture(scope="package")
def model_stack(model: OpenAiServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcesses]:
    folder = tmp_path_factory.mktemp("scripted")
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
def scripted(model_stack: ServiceProcesses) -> ServiceProcesses:
    """A stack with the scripted language model. Processes that an earlier test has killed are started again."""
    if dead := {"api", "stt", "llm", "tts"} - model_stack.processes.keys():
        model_stack.start(*dead)
    model_stack.wait_until_ready()
    return model_stack


Visit = Callable[..., "Page"]


@pytest.fixture
def visit(browser: "Browser") -> Iterator[Visit]:
    """A function that opens a stack's page with the audio probe. Errors of the page's scripts fail the test."""
    failures: list[str] = []
    with ExitStack() as contexts:

        def open_page(
            services: ServiceProcesses, path: str = "/", browser: "Browser" = browser, **context: Any
        ) -> "Page":
            page = contexts.enter_context(browser.new_context(**context)).new_page()
            page.add_init_script(path=AUDIO_PROBE)
            page.on("pageerror", lambda error: failures.append(str(error)))
            page.on("console", lambda message: failures.append(message.text) if is_script_error(message) else None)
            page.goto(services.url + path)
            return page

        yield open_page
    assert not failures


def is_script_error(message: Any) -> bool:
    """True for an error of the page's scripts, false for the browser's messages about failed requests."""
    return message.type == "error" and "Failed to load resource" not in message.text
