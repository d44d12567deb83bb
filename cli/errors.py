"""Errors that end the command with a message instead of a traceback, and their exit codes.

CommandError             1   the job failed, or the stack could not start
├── UsageError           2   invalid arguments or options
├── ServerUnreachable    3   no server responds
└── RequestRefused       4   the server refuses the request
"""

#: The last paragraph of `--help`.
EXIT_CODES = (
    "Exit codes: 0 done, 1 the job failed, 2 wrong usage, 3 the server was not reachable, "
    "4 the server refused, 130 interrupted."
)


class CommandError(Exception):
    """Raised with a sentence for the user that says what to do."""

    exit_code = 1

    def __init__(self, message: str, code: str = "failed") -> None:
        super().__init__(message)
        self.code = code
        """The error's code in the output of `--json`."""


class UsageError(CommandError):
    """The arguments or options are invalid."""

    exit_code = 2

    def __init__(self, message: str) -> None:
        super().__init__(message, "wrong_usage")


class ServerUnreachable(CommandError):
    """No server responds, or the one that does is not a Cascade server."""

    exit_code = 3

    def __init__(self, message: str) -> None:
        super().__init__(message, "unreachable")


class RequestRefused(CommandError):
    """The server understood the request and refuses it."""

    exit_code = 4
