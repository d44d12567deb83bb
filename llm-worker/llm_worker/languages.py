"""English names of languages, for prompts: a small model may not know the code `el`."""

from babel import Locale
from babel.core import get_global


def language_name(code: str) -> str:
    """The English name of an ISO 639-1 code or of a tag such as `pt-BR`; for an unknown one, a phrase with the code."""
    names = Locale("en").languages
    language, *region = code.split("-")
    language = get_global("language_aliases").get(language.lower(), language.lower())  # Whisper returns `jw` for `jv`
    regional = "_".join([language, *(part.upper() if len(part) == 2 else part.title() for part in region)])
    return str(names.get(regional) or names.get(language) or f"the language with the code {code}")
