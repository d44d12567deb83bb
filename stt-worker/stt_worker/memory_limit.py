"""A ceiling on the memory that native code may take."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_MAPPED = Path("/proc/self/statm")


@contextmanager
def memory_ceiling(extra_bytes: int) -> Iterator[None]:
    """Let this process map at most `extra_bytes` more than it has now, until the block is left.

    What asks for more gets what it would get from a full machine, an error instead of memory. Where the system does not
    tell how much is mapped, which is anywhere but on Linux, there is no ceiling.
    """
    if not _MAPPED.exists():
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    ceiling = int(_MAPPED.read_text().split()[0]) * resource.getpagesize() + extra_bytes
    if soft != resource.RLIM_INFINITY:
        ceiling = min(ceiling, soft)
    resource.setrlimit(resource.RLIMIT_AS, (ceiling, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
