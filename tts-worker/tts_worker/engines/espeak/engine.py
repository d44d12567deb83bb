"""eSpeak NG: about a hundred languages in one wheel. No download, no model, a thousand times faster than real time.

Its voice sounds robotic. It is the voice of the demo and of machines too small for Piper.
"""

import re

import numpy as np

from shared.errors import StartupError, UnknownVoice
from shared.logs import get_logger
from tts_worker.engine import Speech
from tts_worker.engines.espeak.library import EspeakLibrary, espeak_library
from tts_worker.sanitize import sanitize_for_engine
from tts_worker.settings import TtsSettings

log = get_logger()

#: Recognizers understood en-us at this pace and pitch best (27 % word errors, 37 % at eSpeak's own pitch of 50).
_WORDS_PER_MINUTE = 150
_PITCH = 35

#: Default region of a language; the library's own for plain English is British.
_PREFERRED = {"en": "en-us"}

#: A Piper voice such as `en_US-lessac-medium`, the default of TTS_VOICE, of which eSpeak uses the language.
_PIPER_NAME = re.compile(r"([a-z]{2,3}_(?:[A-Z]{2}|\d{3}))-\w+-\w+")

#: Silence for a text without anything to pronounce.
_SILENCE_S = 0.1


class EspeakEngine:
    """Chooses a voice by the request or by the language, and synthesizes with it."""

    name = "espeak"

    def __init__(self, library: EspeakLibrary, tag: str, tags: dict[str, str], speed: float) -> None:
        """`tag` is the default voice's; `tags` are those of the voices that TTS_VOICES names."""
        self.model = tag
        self._library = library
        self._tags = tags
        self._words_per_minute = round(_WORDS_PER_MINUTE * speed)

    def synthesize(self, text: str, language: str | None, voice: str | None) -> Speech:
        tag = self._requested_tag(voice) if voice else self._language_tag(language)
        text = sanitize_for_engine(text)
        if text:
            samples = self._library.synthesize(text, self._library.voices[tag], self._words_per_minute, _PITCH)
        else:
            samples = np.zeros(round(_SILENCE_S * self._library.sample_rate_hz), np.int16)
        return Speech(samples, self._library.sample_rate_hz)

    def _requested_tag(self, voice: str) -> str:
        tag = self._tags.get(voice) or _normalize(voice)
        if tag not in self._library.voices:
            raise UnknownVoice
        return tag

    def _language_tag(self, language: str | None) -> str:
        # An operator who sets en-gb means every English answer.
        if not language or _primary_subtag(_normalize(language)) == _primary_subtag(self.model):
            return self.model
        tag = _closest_tag(language, self._library.voices)
        if tag is None:
            log.warning("language_unsupported", language=language, voice=self.model)
            return self.model
        return tag


def load(settings: TtsSettings) -> EspeakEngine:
    """Load and warm the voices that TTS_VOICE and TTS_VOICES name.

    Raises:
        StartupError: eSpeak has no voice for one of them.
    """
    library = espeak_library()
    tags = {voice: _configured_tag(voice, library.voices, "TTS_VOICES") for voice in settings.voices.values()}
    default_tag = _configured_tag(settings.tts_voice, library.voices, "TTS_VOICE")
    engine = EspeakEngine(library, default_tag, tags, settings.tts_speed)
    for voice in (None, *tags):
        engine.synthesize("Ready.", None, voice)
    return engine


def _configured_tag(voice: str, voices: dict[str, str], variable: str) -> str:
    """The language tag of a voice that an operator named in `variable`."""
    piper_name = _PIPER_NAME.fullmatch(voice)
    tag = (piper_name and _closest_tag(piper_name[1], voices)) or _normalize(voice)
    if tag not in voices:
        raise StartupError(
            f"{variable} names {voice}, which is not a language of TTS_ENGINE=espeak. Set it to a tag such as en-us, "
            "de or fr."
        )
    return tag


def _closest_tag(language: str, voices: dict[str, str]) -> str | None:
    """The tag in `voices` of the language and region, else of the language alone, as `de` for `de_DE`; None without."""
    tag = _normalize(language)
    return next((candidate for candidate in (tag, _normalize(_primary_subtag(tag))) if candidate in voices), None)


def _normalize(tag: str) -> str:
    tag = tag.strip().lower().replace("_", "-")
    return _PREFERRED.get(tag, tag)


def _primary_subtag(tag: str) -> str:
    return tag.partition("-")[0]
