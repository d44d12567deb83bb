"""Faster imports of many modules."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_paused() -> Iterator[None]:
    """Pause the garbage collector while the block imports modules.

    Modules, functions and classes live as long as the process, yet the collector scans them repeatedly while their
    number grows, which takes a quarter of the time in which the API imports its libraries. Afterwards they are frozen:
    later collections skip them, which shortens the pauses of the event loop.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()
