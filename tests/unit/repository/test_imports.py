"""The modules that a command or a service imports when it starts."""

import subprocess
import sys

import pytest

#: Prints the imported modules of a program on standard error, one a line.
REPORT = "import atexit, sys; atexit.register(lambda: sys.stderr.write('\\n'.join(sys.modules)));"


def run(program: str, *arguments: str) -> tuple[str, set[str]]:
    """Run a Python program and return its standard output and the modules that it has imported."""
    command = [sys.executable, "-c", REPORT + program, *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return result.stdout, set(result.stderr.splitlines())


#: Libraries that a command needs when it runs, but not for its help.
HEAVY = {"httpx", "redis", "rich.console", "structlog", "supervisor.xmlrpc", "pydantic_settings"}


def test_help_imports_only_the_option_parser():
    """`cascade --help` imports no library except typer."""
    printed, modules = run("from cli.__main__ import main; sys.argv[0] = 'cascade'; main()", "--help")
    assert printed.startswith("Usage: cascade [OPTIONS] COMMAND")
    assert not modules & (HEAVY | {"asyncio", "pydantic"})


@pytest.mark.parametrize("command", ["up", "demo", "ask", "say", "talk", "watch", "queues", "dead", "dead show"])
def test_help_of_a_command_does_not_import_its_implementation(command):
    """`cascade COMMAND --help` imports none of the libraries that the command uses when it runs."""
    printed, modules = run("from cli.__main__ import main; sys.argv[0] = 'cascade'; main()", *command.split(), "--help")
    assert printed.startswith(f"Usage: cascade {command} ")
    assert not modules & HEAVY  # pydantic is allowed: typer uses it to describe options


def test_help_shows_whole_descriptions():
    """`cascade --help` truncates no command's description."""
    printed, _ = run("from cli.__main__ import main; main()", "--help")
    assert "..." not in printed.partition("Commands:")[2]


def test_application_does_not_import_libraries_of_single_requests():
    """`import api.app` imports neither the server nor the libraries of encoders, metrics, rate limits and logs."""
    _, modules = run("import api.app")
    assert "fastapi" in modules
    assert not modules & {"av", "limits", "prometheus_client", "structlog", "rich.console", "uvicorn"}


def test_jobs_import_no_web_framework():
    """Every module of `api.jobs`, on which all protocol adapters stand, imports neither FastAPI nor Starlette."""
    program = "import importlib, pkgutil, api.jobs as jobs;"
    program += "[importlib.import_module(f'api.jobs.{module.name}') for module in pkgutil.iter_modules(jobs.__path__)]"
    _, modules = run(program)
    assert {"api.jobs.submit", "api.jobs.encoder", "api.jobs.audio_stream"} <= modules
    assert not modules & {"fastapi", "starlette", "uvicorn", "python_multipart"}


def test_garbage_collector_runs_after_the_import():
    """The garbage collector is enabled again after `import api.app`, and has frozen the imported objects."""
    printed, _ = run("import gc, api.app; print(gc.isenabled(), gc.get_freeze_count() > 0)")
    assert printed == "True True\n"
