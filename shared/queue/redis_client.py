"""The client of Redis: commands, scripts and subscriptions. The only module that imports redis."""

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self

from pydantic import SecretStr
from redis import exceptions
from redis.asyncio import BlockingConnectionPool, ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from shared.errors import QueueUnavailable, QueueUnreadable, StartupError
from shared.queue.scripts import load_scripts

#: The kernel notices within about this time that a peer is gone (an unplugged machine, a firewall). A socket timeout of
#: the client library would do the same, at 40 % of the cost of each command.
UNREACHABLE_AFTER_S = 10

#: Past so many connections at once, callers with a timeout wait for one. The plain pool would raise: of three hundred
#: requests that wait for a job to end, two hundred would be answered that Redis is away. But the plain pool saves a
#: fifth of a command, and suffices for a worker, which needs a handful.
MAX_CONNECTIONS = 64

#: A command's name and its arguments.
Command = tuple[str | int | float, ...]


class RedisClient:
    """A pool of connections to one Redis.

    Every method raises QueueUnavailable when Redis does not serve, and QueueUnreadable when it cannot do what a command
    asks because a key holds something else.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis: Any = redis  # its annotations mix bytes, pipelines and the synchronous client
        self._scripts = load_scripts()
        self._idle: Any = None  # the connection that was used last, unless it is in use: to ask the pool is slower

    @classmethod
    def connect(cls, url: str, password: SecretStr | None, timeout_s: float | None) -> Self:
        """Return a client of the Redis at `url`; see `Queue.connect`.

        Raises:
            StartupError: `url` is not a Redis URL.
        """
        try:
            blocking = {"max_connections": MAX_CONNECTIONS, "timeout": timeout_s}
            pool_class, options = (BlockingConnectionPool, blocking) if timeout_s else (ConnectionPool, {})
            pool = pool_class.from_url(
                url,
                **options,
                password=password.get_secret_value() if password else None,  # one in the URL takes precedence
                decode_responses=True,
                encoding_errors="surrogateescape",  # bytes that another program has written must survive a round trip
                socket_timeout=timeout_s,
                socket_keepalive=True,
                socket_keepalive_options=_keepalive_options(),
                socket_connect_timeout=5.0,
                # The library must not repeat a command: one that Redis has already obeyed would count twice.
                retry=Retry(NoBackoff(), 0),
            )
            pool.make_connection()  # type: ignore[no-untyped-call]  # raises for an unknown option in the URL
        except (ValueError, TypeError, exceptions.RedisError):
            message = "REDIS_URL is not a Redis address. Set it to one like redis://127.0.0.1:6379/0."
            raise StartupError(message) from None
        return cls(Redis.from_pool(pool))

    @property
    def pool(self) -> Any:
        """The library's pool of connections, for a library that brings its own client."""
        return self._redis.connection_pool

    async def close(self) -> None:
        await self._redis.aclose()

    async def command(self, name: str, *args: Any) -> Any:
        """Send a command that may be repeated, by the name of the library's method."""
        return await self.retry_once(getattr(self._redis, name), *args)

    async def run_script(self, script: str, *args: str | int) -> Any:
        """Run a script that may be repeated."""
        return await self.retry_once(self._evaluate, script, *args)

    async def run_script_once(self, script: str, *args: str | int) -> Any:
        """Run a script that must not be repeated. After an error the caller does not know whether it ran."""
        with _translated_errors():
            return await self._evaluate(script, *args)

    async def run_script_after(self, command: Command, script: str, *args: str | int) -> Any:
        """Send a command and a script in one round trip, once, and return the script's reply. Redis reads the script
        when the command has ended."""
        with _translated_errors():
            try:
                return (await self._exchange(command, self._call(script, *args)))[-1]
            except exceptions.NoScriptError:
                return await self._evaluate(script, *args)

    async def run_scripts(self, script: str, calls: Sequence[Sequence[str | int]]) -> list[Any]:
        """Run a script once with each of the arguments, in one round trip."""
        with _translated_errors():
            return await self._exchange(*(self._call(script, *args) for args in calls))

    async def subscribe(self, channel: str, poll_s: float) -> AsyncIterator[str | None]:
        """Yield None once the subscription is in force, and then each message. Ends only by QueueUnavailable."""
        async with self._redis.pubsub() as subscription:
            with _translated_errors():
                await subscription.subscribe(channel)
            yield None
            while True:
                with _translated_errors():
                    message = await subscription.get_message(ignore_subscribe_messages=True, timeout=poll_s)
                if message:
                    yield str(message["data"])

    @staticmethod
    async def retry_once(operation: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        """Await an operation that may be repeated, and repeat it if the connection breaks. One that broke while idle
        fails the next command; a second failure means that Redis is away."""
        with _translated_errors():
            try:
                return await operation(*args)
            except exceptions.ConnectionError:
                return await operation(*args)

    async def _evaluate(self, script: str, *args: str | int) -> Any:
        try:
            return (await self._exchange(self._call(script, *args)))[-1]
        except exceptions.NoScriptError:
            # Redis has forgotten it. To load it first and name it again would fail if Redis forgot it in between.
            return await self._redis.eval(self._scripts[script].source, 0, *args)

    def _call(self, script: str, *args: str | int) -> Command:
        return "EVALSHA", self._scripts[script].sha1, 0, *args

    async def _exchange(self, *commands: Command) -> list[Any]:
        """Send commands at once, and return the reply to each. Each is sent once: if the connection breaks, or Redis
        refuses one, it is not known whether the others ran.

        The library's own calls and pipelines do the same in twice the time: they measure themselves, and look for
        commands to repeat and replies to convert.
        """
        connection, self._idle = self._idle, None
        if connection is None:
            connection = await self.pool.get_connection()
        try:
            await self.pool.ensure_connection(connection)  # it may have broken while idle
            await connection.send_packed_command(b"".join(map(_encode, commands)))
            return [await connection.read_response() for _ in commands]
        except exceptions.ConnectionError:  # raised for some replies, too
            await connection.disconnect(nowait=True)
            raise
        except exceptions.ResponseError:
            if len(commands) > 1:
                await connection.disconnect(nowait=True)  # later replies must not be read as those of other commands
            raise
        finally:
            if self._idle is None:
                self._idle = connection
            else:
                await self.pool.release(connection)


def _encode(command: Command) -> bytes:
    """Return a command in the Redis protocol."""
    encoded = [b"*%d\r\n" % len(command)]
    for argument in command:
        text = str(argument).encode("utf-8", "surrogateescape")
        encoded.append(b"$%d\r\n%b\r\n" % (len(text), text))
    return b"".join(encoded)


def _keepalive_options() -> dict[int, int]:
    """Return the socket options by their numbers on this system, which may lack some."""
    options = {
        "TCP_KEEPIDLE": UNREACHABLE_AFTER_S // 2,
        "TCP_KEEPINTVL": 1,
        "TCP_KEEPCNT": UNREACHABLE_AFTER_S // 2,
        "TCP_USER_TIMEOUT": UNREACHABLE_AFTER_S * 1000,
    }
    return {getattr(socket, name): value for name, value in options.items() if hasattr(socket, name)}


#: Error replies that mean "not now" or "not you": the command is right, and may be repeated later. Redis 6 quotes the
#: error of a script in the middle of a sentence, and redis-py does so with one in a pipeline.
_UNAVAILABLE_REPLY = re.compile(
    r"(^|[-('\"])(BUSY|DENIED|LOADING|MASTERDOWN|MISCONF|NOAUTH|NOPERM|NOREPLICAS|OOM|READONLY|WRONGPASS) "
)

#: The same for the errors whose first word redis-py removes.
_UNAVAILABLE_ERRORS = (exceptions.OutOfMemoryError, exceptions.ReadOnlyError, exceptions.NoPermissionError)


@contextmanager
def _translated_errors() -> Iterator[None]:
    """Distinguish a Redis that does not serve from data that makes no sense.

    Before Python 3.12 a cancellation that arrives just as redis-py has sent a command is lost in `asyncio.wait_for`;
    here it is raised after all.

    Raises:
        QueueUnavailable: Redis is away, loading, full, or not the master.
        QueueUnreadable: a key holds something that the queue has not written.
    """
    task = asyncio.current_task()
    cancellations = task.cancelling() if task else 0
    try:
        try:
            yield
        finally:
            if task and task.cancelling() > cancellations:  # also after an error: the caller might continue otherwise
                raise asyncio.CancelledError
    except (exceptions.ConnectionError, exceptions.TimeoutError) as error:
        raise QueueUnavailable from error
    except exceptions.ResponseError as error:
        if isinstance(error, _UNAVAILABLE_ERRORS) or _UNAVAILABLE_REPLY.search(str(error)):
            raise QueueUnavailable from error
        raise QueueUnreadable from error
