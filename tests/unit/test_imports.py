"""Import only what is needed: which modules a command or a service loads when it starts."""

import subprocess
import sys

import pytest

#: Prints the modules that a program has loaded, each on a line of standard error.
REPORT = "import atexit, sys; atexit.register(lambda: sys.stderr.write('\\n'.join(sys.modules)));"


def run(program: str, *arguments: str) -> tuple[str, set[str]]:
    """The standard output of a Python program, and the modules that it has loaded."""
    command = [sys.executable, "-c", REPORT + program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout, set(done.stderr.splitlines())


#: Libraries that only a command that runs needs.
HEAVY = {"httpx", "redis", "rich.console", "structlog", "supervisor.xmlrpc", "pydantic_settings"}


def test_the_overview_of_commands_loads_only_the_option_parser():
    """`cascade --help` loads no library beside the one that reads the command line."""
    printed, modules = run("from cli.__main__ import main; sys.argv[0] = 'cascade'; main()", "--help")
    assert printed.startswith("Usage: cascade [OPTIONS] COMMAND")
    assert not modules & (HEAVY | {"asyncio", "pydantic"})


@pytest.mark.parametrize("command", ["up", "demo", "ask", "say", "talk", "watch", "queues", "dead", "dead show"])
def test_help_of_a_command_does_not_load_its_implementation(command):
    """`cascade COMMAND --help` loads the command's options, but none of the libraries with which it works."""
    printed, modules = run("from cli.__main__ import main; sys.argv[0] = 'cascade'; main()", *command.split(), "--help")
    assert printed.startswith(f"Usage: cascade {command} ")
    assert not modules & HEAVY  # pydantic is what typer describes options with


def test_the_list_of_commands_shows_whole_sentences():
    """`cascade --help` cuts no command's description off."""
    printed, _ = run("from cli.__main__ import main; main()", "--help")
    assert "..." not in printed.partition("Commands:")[2]


def test_the_application_is_imported_without_what_only_some_requests_need():
    """`import api.app` loads neither the server nor the libraries of encoders, metrics, rate limits and logs."""
    _, modules = run("import api.app")
    assert "fastapi" in modules
    assert not modules & {"av", "limits", "prometheus_client", "structlog", "rich.console", "uvicorn"}


def test_jobs_import_no_web_framework():
    """Every module of `api.jobs`, on which all protocol adapters stand, loads neither FastAPI nor Starlette."""
    program = "import importlib, pkgutil, api.jobs as jobs;"
    program += "[importlib.import_module(f'api.jobs.{each.name}') for each in pkgutil.iter_modules(jobs.__path__)]"
    _, modules = run(program)
    assert {"api.jobs.submit", "api.jobs.encoder", "api.jobs.audio_stream"} <= modules
    assert not modules & {"fastapi", "starlette", "uvicorn", "python_multipart"}


def test_importing_the_application_leaves_the_garbage_collector_on():
    """The collector pauses only while the application's modules are imported."""
    printed, _ = run("import gc, api.app; print(gc.isenabled(), gc.get_freeze_count() > 0)")
    assert printed == "True True\n"
