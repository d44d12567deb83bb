"""What a model is told of a conversation."""

import math
from collections.abc import Sequence

from llm_worker.engine import Turn

#: What a server puts around a message, in tokens.
_FRAME = 4

#: UTF-8's bytes of one token, about, for the models of today: English has four letters, Chinese a character or two.
_BYTES_A_TOKEN = 4


def recent(history: Sequence[tuple[str, str]], max_tokens: int) -> tuple[Turn, ...]:
    """The latest turns that together have no more than about so many tokens, oldest first."""
    turns: list[Turn] = []
    for user, assistant in reversed(history):
        max_tokens -= tokens(user) + tokens(assistant)
        if max_tokens < 0:
            break
        turns.append(Turn(user, assistant))
    return tuple(reversed(turns))


def tokens(text: str) -> int:
    """About how many a message has. Each model counts otherwise, and none tells before it is asked."""
    return _FRAME + math.ceil(len(text.encode()) / _BYTES_A_TOKEN)
