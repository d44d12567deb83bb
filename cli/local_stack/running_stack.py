"""The address of a stack that `cascade up` has started, kept in a file for the other commands."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

_FILE = "stack.json"


@dataclass(frozen=True)
class Stack:
    """A running stack."""

    url: str
    data_dir: Path


@contextmanager
def publish_stack_url(stack: Stack) -> Iterator[None]:
    """Write the stack's address to its data folder, and remove it when the block ends."""
    path = stack.data_dir / _FILE
    path.write_text(json.dumps({"url": stack.url}))
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def find_running_stack(data_dir: Path) -> Stack | None:
    """The stack whose address is in `data_dir`; None if there is none, or it does not respond."""
    try:
        url = json.loads((data_dir / _FILE).read_text())["url"]
        httpx.get(f"{url}/healthz", timeout=2).raise_for_status()
    except (OSError, ValueError, KeyError, httpx.HTTPError):
        return None
    return Stack(url, data_dir)
