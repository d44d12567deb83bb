"""The conversation's earlier turns that fit into a prompt."""

import math
from collections.abc import Sequence

from llm_worker.engine import HistoryTurn

#: Tokens that a server adds around each message.
_MESSAGE_OVERHEAD_TOKENS = 4

#: Approximate bytes of UTF-8 in a token of current models: four letters of English, a character or two of Chinese.
_BYTES_PER_TOKEN = 4


def last_turns(history: Sequence[tuple[str, str]], max_tokens: int) -> tuple[HistoryTurn, ...]:
    """The latest turns that together have no more than about `max_tokens` tokens, oldest first."""
    turns: list[HistoryTurn] = []
    for user, assistant in reversed(history):
        max_tokens -= estimate_tokens(user) + estimate_tokens(assistant)
        if max_tokens < 0:
            break
        turns.append(HistoryTurn(user, assistant))
    return tuple(reversed(turns))


def estimate_tokens(text: str) -> int:
    """The approximate number of tokens in a message. Each model counts differently, and none reports it in advance."""
    return _MESSAGE_OVERHEAD_TOKENS + math.ceil(len(text.encode()) / _BYTES_PER_TOKEN)
