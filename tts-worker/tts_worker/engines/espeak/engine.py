"""eSpeak NG: about a hundred languages out of one wheel. No download, no model, a thousand times faster than speech.

Its voice is a robot's. It is the voice of the demo and of machines too small for Piper.
"""

import re

import numpy as np
import structlog

from shared.errors import StartupError, UnknownVoice
from tts_worker.engine import Speech
from tts_worker.engines.espeak.library import EspeakLibrary, espeak_library
from tts_worker.sanitize import speakable
from tts_worker.settings import TtsSettings

log = structlog.get_logger()

#: Recognizers understood en-us at this pace and pitch best (27 % word errors, 37 % at eSpeak's own pitch of 50).
_WORDS_PER_MINUTE = 150
_PITCH = 35

#: The library's own choice for plain English is the British voice.
_PREFERRED = {"en": "en-us"}

#: `en_US-lessac-medium`: the default of TTS_VOICE names a Piper voice, of which eSpeak can keep the language.
_PIPER_NAME = re.compile(r"([a-z]{2,3}_(?:[A-Z]{2}|\d{3}))-\w+-\w+")

_SILENCE_S = 0.1


class EspeakEngine:
    name = "espeak"

    def __init__(self, library: EspeakLibrary, tag: str, tags: dict[str, str], speed: float) -> None:
        """`tags` are those of the voices that TTS_VOICES names."""
        self.model = tag
        self._library, self._tags = library, tags
        self._words_per_minute = round(_WORDS_PER_MINUTE * speed)

    def synthesize(self, text: str, language: str | None, voice: str | None) -> Speech:
        tag = self._requested(voice) if voice else self._of_language(language)
        text = speakable(text)
        if text:
            samples = self._library.synthesize(text, self._library.voices[tag], self._words_per_minute, _PITCH)
        else:
            samples = np.zeros(round(_SILENCE_S * self._library.sample_rate_hz), np.int16)
        return Speech(samples, self._library.sample_rate_hz)

    def _requested(self, voice: str) -> str:
        tag = self._tags.get(voice) or _normalized(voice)
        if tag not in self._library.voices:
            raise UnknownVoice
        return tag

    def _of_language(self, language: str | None) -> str:
        # An operator who chose en-gb means every English answer.
        if not language or _primary(_normalized(language)) == _primary(self.model):
            return self.model
        tag = _closest_tag(language, self._library.voices)
        if tag is None:
            log.warning("language_not_spoken", language=language, voice=self.model)
            return self.model
        return tag


def load(settings: TtsSettings) -> EspeakEngine:
    """The engine with the voices of the languages that TTS_VOICE and TTS_VOICES name, warm.

    Raises:
        StartupError: it speaks none such.
    """
    library = espeak_library()
    tags = {voice: _tag(voice, library.voices, "TTS_VOICES") for voice in settings.voices.values()}
    engine = EspeakEngine(library, _tag(settings.tts_voice, library.voices, "TTS_VOICE"), tags, settings.tts_speed)
    for voice in (None, *tags):
        engine.synthesize("Ready.", None, voice)
    return engine


def _tag(voice: str, known: dict[str, str], variable: str) -> str:
    piper_name = _PIPER_NAME.fullmatch(voice)
    tag = (piper_name and _closest_tag(piper_name[1], known)) or _normalized(voice)
    if tag not in known:
        raise StartupError(
            f"{variable} names {voice}, which is no language that TTS_ENGINE=espeak speaks. Name a tag such as en-us, "
            "de or fr."
        )
    return tag


def _closest_tag(language: str, known: dict[str, str]) -> str | None:
    """The tag itself, else that of its language alone: `de_DE` → `de`."""
    tag = _normalized(language)
    return next((candidate for candidate in (tag, _normalized(_primary(tag))) if candidate in known), None)


def _normalized(tag: str) -> str:
    tag = tag.strip().lower().replace("_", "-")
    return _PREFERRED.get(tag, tag)


def _primary(tag: str) -> str:
    return tag.partition("-")[0]
