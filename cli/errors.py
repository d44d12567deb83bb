"""What ends the command with a message instead of a stack."""


class CommandError(Exception):
    """Raised with a sentence that tells the user what to do."""
