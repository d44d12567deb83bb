"""Redis, asked by command or by script. All that is particular to its client library ends here."""

import asyncio
import hashlib
import re
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from redis import exceptions
from redis.asyncio import BlockingConnectionPool, ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from shared.errors import QueueUnavailable, QueueUnreadable, StartupError
from shared.queue.keys import LUA_CONSTANTS

#: A peer that has gone without a word (an unplugged machine, a firewall) is noticed by the kernel within about this.
#: A socket timeout of the client's would do the same, at 40 % of the cost of each command.
UNREACHABLE_AFTER_S = 10

#: Past so many at once, those who have patience wait for a connection. The plain pool would raise: of three hundred who
#: wait for a job to end, two hundred would be told that Redis is away. But it is quicker by a fifth of a command, and
#: enough for a worker, which needs a handful.
CONNECTIONS = 64


def redis_client(url: str, password: SecretStr | None, patience_s: float | None) -> Redis:
    """A client for `url`; see `Queue.connect`.

    Raises:
        StartupError: `url` is not a Redis URL.
    """
    try:
        waiting = {"max_connections": CONNECTIONS, "timeout": patience_s}
        kind, options = (BlockingConnectionPool, waiting) if patience_s else (ConnectionPool, {})
        pool = kind.from_url(
            url,
            **options,
            password=password.get_secret_value() if password else None,  # one in the URL wins
            decode_responses=True,
            encoding_errors="surrogateescape",  # whatever bytes somebody pushes, they must come back out
            socket_timeout=patience_s,
            socket_keepalive=True,
            socket_keepalive_options=_keepalive(),
            socket_connect_timeout=5.0,
            # The client must not repeat a command by itself: one that Redis has already obeyed would count twice.
            retry=Retry(NoBackoff(), 0),
        )
        pool.make_connection()  # type: ignore[no-untyped-call]  # which is what refuses an option that it does not know
    except (ValueError, TypeError, exceptions.RedisError):
        raise StartupError("REDIS_URL is not a Redis address. Set it to one like redis://127.0.0.1:6379/0.") from None
    return Redis.from_pool(pool)


class Connection:
    """A pool of connections, and the scripts in `lua/`."""

    def __init__(self, redis: Redis) -> None:
        self.client: Any = redis  # its own annotations describe bytes, pipelines and the synchronous client at once
        self._sources = {path.stem: _source(path) for path in _LUA.glob("*.lua")}
        self._hashes = {name: hashlib.sha1(source.encode()).hexdigest() for name, source in self._sources.items()}

        self._idle: Any = None  # the connection that was used last, unless it is in use: its pool takes its time

    async def close(self) -> None:
        await self.client.aclose()

    async def run(self, script: str, *args: str | int) -> Any:
        """Run a script that may be repeated."""
        return await retry_once(self.evaluate, script, *args)

    async def evaluate(self, script: str, *args: str | int) -> Any:
        """Run a script, and let its errors be those of the client library."""
        try:
            return (await self.exchange(self.call(script, *args)))[-1]
        except exceptions.NoScriptError:
            # Redis has forgotten it. To load it first and name it again would fail if it forgot once more in between.
            return await self.client.eval(self._sources[script], 0, *args)

    async def exchange(self, *commands: tuple[Any, ...]) -> list[Any]:
        """Send commands at once, and read what Redis replies to each. They are sent once: where the connection breaks,
        or one is refused, it is not known what became of the others.

        The client library's own calls and pipelines do the same, but in twice the time: they watch themselves, and
        look for what to repeat and to convert.
        """
        pool, connection = self.client.connection_pool, self._idle
        self._idle = None
        if connection is None:
            connection = await pool.get_connection()
        try:
            await pool.ensure_connection(connection)  # it may have broken while it lay idle
            await connection.send_packed_command(b"".join(map(_packed, commands)))
            return [await connection.read_response() for _ in commands]
        except exceptions.ConnectionError:  # which a reply may say, too
            await connection.disconnect(nowait=True)
            raise
        except exceptions.ResponseError:
            if len(commands) > 1:
                await connection.disconnect(nowait=True)  # what follows the refusal must not be read as another's reply
            raise
        finally:
            if self._idle is None:
                self._idle = connection
            else:
                await pool.release(connection)

    def call(self, script: str, *args: str | int) -> tuple[Any, ...]:
        """The command that runs a script."""
        return "EVALSHA", self._hashes[script], 0, *args

    async def ask(self, command: str, *args: Any) -> Any:
        """Send a command that may be repeated."""
        return await retry_once(getattr(self.client, command), *args)


async def retry_once(command: Callable[..., Awaitable[Any]], *args: Any) -> Any:
    """Ask what may be asked again. A connection that broke while it lay idle fails the next command on it; a second try
    tells that from a Redis that is away."""
    with translate_redis_errors():
        try:
            return await command(*args)
        except exceptions.ConnectionError:
            return await command(*args)


def _packed(command: tuple[Any, ...]) -> bytes:
    """As Redis reads it."""
    pieces = [b"*%d\r\n" % len(command)]
    for argument in command:
        piece = str(argument).encode("utf-8", "surrogateescape")
        pieces.append(b"$%d\r\n%b\r\n" % (len(piece), piece))
    return b"".join(pieces)


_LUA = Path(__file__).parent / "lua"
_LIBRARY = "".join((_LUA / "lib" / f"{name}.lua").read_text() for name in ("conversations", "counters", "tasks"))
_COMMENT = re.compile(r"--.*")
_DEFINITIONS = re.split(r"(?m)^(?=local )", _COMMENT.sub("", _LIBRARY))
_CONSTANT = re.compile(rf"\b({'|'.join(LUA_CONSTANTS)})\b")


def _source(path: Path) -> str:
    """A script, after those functions of the library that it needs. Lua makes them anew at each call, and with them a
    link to every variable around them that they use, which took a tenth of a commit: so there are none too many, and
    constants are written out."""
    source = _COMMENT.sub("", path.read_text())
    for definition in reversed(_DEFINITIONS):  # what one needs stands before it
        name = re.match(r"local (?:function )?(\w+)", definition)
        if name and re.search(rf"\b{name[1]}\b", source):
            source = definition + source
    return _CONSTANT.sub(lambda constant: LUA_CONSTANTS[constant[0]], source)


def _keepalive() -> dict[int, int]:
    """Socket options by their numbers here: not every system has each."""
    wanted = {
        "TCP_KEEPIDLE": UNREACHABLE_AFTER_S // 2,
        "TCP_KEEPINTVL": 1,
        "TCP_KEEPCNT": UNREACHABLE_AFTER_S // 2,
        "TCP_USER_TIMEOUT": UNREACHABLE_AFTER_S * 1000,
    }
    return {getattr(socket, name): value for name, value in wanted.items() if hasattr(socket, name)}


#: Answers that mean "not now" or "not you": what is asked is right, and may be asked again. Of an error in a script
#: Redis 6 quotes the answer in the middle, as redis-py does of one in a pipeline.
_REFUSAL = re.compile(
    r"(^|[-('\"])(BUSY|DENIED|LOADING|MASTERDOWN|MISCONF|NOAUTH|NOPERM|NOREPLICAS|OOM|READONLY|WRONGPASS) "
)

#: redis-py cuts the first word off for these.
_REFUSED = (exceptions.OutOfMemoryError, exceptions.ReadOnlyError, exceptions.NoPermissionError)


@contextmanager
def translate_redis_errors() -> Iterator[None]:
    """Tell 'Redis does not serve us' from 'what it holds makes no sense'. It may be away, loading, full, or not the
    master.

    Before Python 3.12 a cancellation that arrives just as redis-py has sent a command gets lost in `asyncio.wait_for`;
    here it is raised after all.

    Raises:
        QueueUnavailable, QueueUnreadable: as said.
    """
    task = asyncio.current_task()
    cancellations = task.cancelling() if task else 0
    try:
        try:
            yield
        finally:
            if task and task.cancelling() > cancellations:  # also where it failed: its caller might go on otherwise
                raise asyncio.CancelledError
    except (exceptions.ConnectionError, exceptions.TimeoutError) as error:
        raise QueueUnavailable from error
    except exceptions.ResponseError as error:
        if isinstance(error, _REFUSED) or _REFUSAL.search(str(error)):
            raise QueueUnavailable from error
        raise QueueUnreadable from error
