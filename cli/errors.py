"""What ends the command with a message instead of a stack, and with which exit code.

CommandError         1   the job failed, or the stack could not start
├── WrongUsage       2   the command line asks for what cannot be
├── Unreachable      3   no server answers
└── Refused          4   the server says no
"""

#: What `--help` says of them.
EXIT_CODES = (
    "Exit codes: 0 done, 1 the job failed, 2 wrong usage, 3 the server was not reachable, "
    "4 the server refused, 130 interrupted."
)


class CommandError(Exception):
    """Raised with a sentence that tells the user what to do."""

    exit_code = 1

    def __init__(self, message: str, code: str = "failed") -> None:
        super().__init__(message)
        self.code = code
        """A word for programs."""


class WrongUsage(CommandError):
    """What was asked for cannot be."""

    exit_code = 2

    def __init__(self, message: str) -> None:
        super().__init__(message, "wrong_usage")


class Unreachable(CommandError):
    """No server answers, or what answers is none of ours."""

    exit_code = 3

    def __init__(self, message: str) -> None:
        super().__init__(message, "unreachable")


class Refused(CommandError):
    """The server understood, and says no."""

    exit_code = 4
