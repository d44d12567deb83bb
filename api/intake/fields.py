"""The fields that a request may have besides its recording or text, and their valid values."""

import re

from api.problems.catalogue import Problems
from api.problems.problem import Problem

MAX_PROMPT_CHARS = 4_000

CONVERSATION_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")

TEXT_FIELDS = {
    "language": re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,2}"),
    "voice": re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,63}"),
    "conversation_id": CONVERSATION_ID,
    "system_prompt": re.compile(rf".{{1,{MAX_PROMPT_CHARS}}}", re.DOTALL),
}

#: Each field's description in the OpenAPI document.
DESCRIPTIONS = {
    "language": "The language of the text, such as `en`.",
    "voice": "A voice other than the service's default.",
    "conversation_id": (
        "An id that the client chooses, hard to guess: the model sees the earlier questions and answers under the same "
        "id, and a turn without a language or voice has those of the turns before."
    ),
    "system_prompt": "Instructions to the model on how to answer.",
}

#: The valid values of each field, as a problem's sentence describes them.
_EXPECTED = {
    "text": "a text",
    "language": "a language code such as en or pt-BR",
    "voice": "a voice's name of at most 64 letters, digits, dots, dashes or underscores",
    "conversation_id": "1 to 64 letters, digits, dashes or underscores",
    "system_prompt": f"a text of at most {MAX_PROMPT_CHARS:,} characters",
}


def optional_pattern(name: str) -> str:
    """The pattern of a field that may also be blank."""
    return rf"^\s*({TEXT_FIELDS[name].pattern})?\s*$"


def validate_field(name: str, text: str) -> str:
    """`text` without the blanks around it. If that is empty, the field counts as absent.

    Raises:
        Problem: it is not a valid value of the field.
    """
    text = text.strip()
    if text and not TEXT_FIELDS[name].fullmatch(text):
        raise invalid_field_problem(name)
    return text


def invalid_field_problem(name: str) -> Problem:
    """The refusal of a field's text, with what the field takes."""
    return Problem(Problems.INVALID_FIELD, name=name, expected=_EXPECTED[name])
