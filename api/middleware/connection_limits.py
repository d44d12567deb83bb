"""The limits of connections: how many there may be, and which ones listen to a job.

Apart from the server's protocol, so that the application does not import the server.
"""

import resource

from starlette.types import Scope

#: Past so many, whoever has kept us waiting longest makes room: for a head, or for an answer to be taken. A connection
#: can have a third of a megabyte of a body in memory that nobody reads.
_MOST_CONNECTIONS = 1_000

#: Beside these there may be so many who listen to a job: they send nothing, and cost about 50 kB each.
_MOST_LISTENERS = 2_000

#: A connection may have a file and a connection to Redis open, a listener a file.
_FILES_EACH, _FILES_OF_LISTENER = 4, 2

#: The key in the state of a request's scope that marks a listener.
LISTENS = "listens"


def mark_listener(scope: Scope) -> None:
    """Say that a request is one to listen to a job."""
    scope.setdefault("state", {})[LISTENS] = True


def most_connections() -> int:
    """How many that do not listen: as many as the process may have files open for."""
    return round(_MOST_CONNECTIONS * _share_of_files())


def most_listeners() -> int:
    """How many that do."""
    return round(_MOST_LISTENERS * _share_of_files())


def _share_of_files() -> float:
    """How many of the files that are wanted the process may open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 1 if soft == resource.RLIM_INFINITY else min(soft / _files(), 1)


def _files() -> int:
    return _MOST_CONNECTIONS * _FILES_EACH + _MOST_LISTENERS * _FILES_OF_LISTENER


def allow_files() -> None:
    """Let this process open as many files as it may need, where its user may: the usual 1,024 are soon used up."""
    wanted = _files()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))
