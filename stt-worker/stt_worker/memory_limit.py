"""A limit on the memory that native code may allocate."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: Linux's count of the pages that this process has mapped; other systems have no such file.
_MAPPED_PAGES = Path("/proc/self/statm")


@contextmanager
def memory_ceiling(extra_bytes: int) -> Iterator[None]:
    """Let this process map at most `extra_bytes` more than now, until the block is left.

    An allocation past the limit fails as on a machine without free memory. Without Linux's page count there is no
    limit.
    """
    if not _MAPPED_PAGES.exists():
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    ceiling = int(_MAPPED_PAGES.read_text().split()[0]) * resource.getpagesize() + extra_bytes
    if soft != resource.RLIM_INFINITY:
        ceiling = min(ceiling, soft)
    resource.setrlimit(resource.RLIMIT_AS, (ceiling, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
