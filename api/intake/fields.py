"""What a request may carry beside a recording or a text, and what it must look like."""

import re

from api.problems.render import Problem

MAX_PROMPT_CHARS = 4_000

CONVERSATION_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")

TEXT_FIELDS = {
    "language": re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,2}"),
    "voice": re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,63}"),
    "conversation_id": CONVERSATION_ID,
    "system_prompt": re.compile(rf".{{1,{MAX_PROMPT_CHARS}}}", re.DOTALL),
}

#: As the OpenAPI document tells it.
DESCRIPTIONS = {
    "language": "The language of the text, such as `en`.",
    "voice": "Another voice than the service's own.",
    "conversation_id": (
        "A word of the caller's own, hard to guess: the model is told what was said and answered under it before, and "
        "a turn that names no language or voice has those of the turns before."
    ),
    "system_prompt": "How the model is to answer.",
}


def or_nothing(name: str) -> str:
    """The pattern of a field, which an empty one meets as well."""
    return rf"^\s*({TEXT_FIELDS[name].pattern})?\s*$"


def checked(name: str, text: str) -> str:
    """`text` without the blanks around it, which may leave nothing: then it was not given.

    Raises:
        Problem: it is not what the field must be.
    """
    text = text.strip()
    if text and not TEXT_FIELDS[name].fullmatch(text):
        raise bad_text(name)
    return text


def bad_text(name: str) -> Problem:
    wanted = {
        "text": "a text",
        "language": "a language code such as en or pt-BR",
        "voice": "a voice's name of at most 64 letters, digits, dots, dashes or underscores",
        "conversation_id": "1 to 64 letters, digits, dashes or underscores",
        "system_prompt": f"a text of at most {MAX_PROMPT_CHARS:,} characters",
    }[name]
    return Problem(422, "invalid_field", f"The field {name} must be {wanted}.")
