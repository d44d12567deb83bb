"""Languages by their names: a small model may not know what `el` is."""

from babel import Locale
from babel.core import get_global


def name_of(code: str) -> str:
    """The English name of an ISO 639-1 code or a tag such as `pt-BR`; of an unknown one, the code itself."""
    names = Locale("en").languages
    language, *region = code.split("-")
    language = get_global("language_aliases").get(language.lower(), language.lower())  # Whisper says `jw` for Javanese
    regional = "_".join([language, *(part.upper() if len(part) == 2 else part.title() for part in region)])
    return str(names.get(regional) or names.get(language) or f"the language with the code {code}")
