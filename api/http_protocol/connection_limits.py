"""Limits on the number of connections, and on the open files that they take.

The application needs these numbers too, so this module does not import the server.
"""

import resource

#: Above this number, the connection is closed whose client has kept the server waiting longest, for a head or for
#: reading a response. A connection can hold a third of a megabyte of a body in memory that the application has not
#: read.
_MAX_CONNECTIONS = 1_000

#: Clients that follow a job, by its audio or its events, are counted apart: they send nothing, and cost about 50 kB
#: each.
_MAX_LISTENERS = 2_000

#: A connection may have its socket, a file, and a connection to Redis with its own open at once.
_FILES_PER_CONNECTION = 4

#: A listener has its socket and a segment's file open.
_FILES_PER_LISTENER = 2


def max_connections() -> int:
    """The number of ordinary connections, fewer where the process may open fewer files."""
    return round(_MAX_CONNECTIONS * _available_share())


def max_listeners() -> int:
    """The number of listeners, fewer where the process may open fewer files."""
    return round(_MAX_LISTENERS * _available_share())


def raise_file_limit() -> None:
    """Raise the soft limit of open files to the number that all connections need, as far as the hard limit allows: the
    usual 1,024 are soon used up."""
    needed = _files_needed()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        allowed = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, allowed), hard))


def _available_share() -> float:
    """The share of the needed files that the process may open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 1 if soft == resource.RLIM_INFINITY else min(soft / _files_needed(), 1)


def _files_needed() -> int:
    return _MAX_CONNECTIONS * _FILES_PER_CONNECTION + _MAX_LISTENERS * _FILES_PER_LISTENER
