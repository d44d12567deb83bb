"""Where a stack that was started with `cascade up` can be found."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from cli.local_stack.stack import Stack

_FILE = "stack.json"


@contextmanager
def announced(stack: Stack) -> Iterator[None]:
    """Leave word of the stack in its data folder for as long as the block lasts."""
    path = stack.data_dir / _FILE
    path.write_text(json.dumps({"url": stack.url}))
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def find_running(data_dir: Path) -> Stack | None:
    """The stack that was announced in `data_dir`, if it still answers."""
    try:
        url = json.loads((data_dir / _FILE).read_text())["url"]
        httpx.get(f"{url}/healthz", timeout=2).raise_for_status()
    except (OSError, ValueError, KeyError, httpx.HTTPError):
        return None
    return Stack(url, data_dir)
