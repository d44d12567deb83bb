"""ctypes bindings of the eSpeak NG library that the `espeakng_loader` wheel contains.

Nothing is played and no file is written: PCM arrives block by block in a callback.
"""

import ctypes
import threading
from functools import cache

import espeakng_loader
import numpy as np
from numpy.typing import NDArray

from shared.errors import EngineError, StartupError
from tts_worker.sanitize import MAX_SPEECH_S, too_long_error

# Constants from the library's `speak_lib.h`.
_AUDIO_OUTPUT_SYNCHRONOUS = 2
#: Without it, a missing data folder ends the whole process.
_INITIALIZE_DONT_EXIT = 0x8000
_CHARS_UTF8 = 1
_PARAMETER_RATE = 1
_PARAMETER_PITCH = 3
_OK = 0

#: Tags that are listed, but have no dictionary in the wheel: Faroese, Karakalpak and a test language stay silent.
_SILENT_TAGS = frozenset({"fo", "kaa", "xex"})

_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


class _Voice(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        # Pairs of a priority byte and a NUL-terminated tag, closed by a zero byte: not a C string.
        ("languages", ctypes.c_void_p),
        ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte),
        ("age", ctypes.c_ubyte),
        ("variant", ctypes.c_ubyte),
        ("reserved", ctypes.c_ubyte),
        ("score", ctypes.c_int),
        ("spare", ctypes.c_void_p),
    )


class EspeakLibrary:
    """The library of this process. Its state is global, and overlapping calls end in a segmentation fault: one lock
    serializes them."""

    def __init__(self) -> None:
        try:
            self._library = ctypes.CDLL(espeakng_loader.get_library_path())
            data_folder = espeakng_loader.get_data_path().encode()
        except (OSError, RuntimeError) as error:
            raise StartupError(
                "TTS_ENGINE=espeak cannot load its library on this machine. Set TTS_ENGINE to another engine."
            ) from error
        self.sample_rate_hz: int = self._library.espeak_Initialize(
            _AUDIO_OUTPUT_SYNCHRONOUS, 0, data_folder, _INITIALIZE_DONT_EXIT
        )
        if self.sample_rate_hz <= 0:
            raise StartupError(
                "TTS_ENGINE=espeak cannot read its data. Reinstall espeakng-loader or set TTS_ENGINE to another engine."
            )
        self._lock = threading.Lock()
        self._blocks: list[bytes] = []
        self._bytes_left = 0
        # The library keeps only a pointer; the object must live as long as the library does.
        self._callback = _Callback(self._receive)
        self._library.espeak_SetSynthCallback(self._callback)
        self.voices = self._list_voices()
        """The identifier of the best voice by language tag in lower case."""

    def synthesize(self, text: str, voice: str, words_per_minute: int, pitch: int) -> NDArray[np.int16]:
        """Return the PCM of `text`. `voice` is an identifier from `voices`: the library also accepts other names, some
        of which leave it broken."""
        encoded = text.encode()
        with self._lock:
            self._blocks = []
            self._bytes_left = MAX_SPEECH_S * self.sample_rate_hz * 2
            if self._library.espeak_SetVoiceByName(voice.encode()) != _OK:
                raise EngineError
            # After the voice, since setting one resets them.
            self._library.espeak_SetParameter(_PARAMETER_RATE, words_per_minute, 0)
            self._library.espeak_SetParameter(_PARAMETER_PITCH, pitch, 0)
            status = self._library.espeak_Synth(
                encoded, ctypes.c_size_t(len(encoded) + 1), 0, 0, 0, _CHARS_UTF8, None, None
            )
            blocks = self._blocks
            self._blocks = []
            is_too_long = self._bytes_left < 0
        if is_too_long:
            raise too_long_error()
        if status != _OK:
            raise EngineError
        return np.frombuffer(b"".join(blocks), np.int16).copy()

    def _receive(self, samples: "ctypes._Pointer[ctypes.c_short]", count: int, _events: int) -> int:
        """Store one block of samples; return 1 to stop a synthesis that is too long, else 0."""
        if samples and count > 0:
            self._blocks.append(ctypes.string_at(samples, count * 2))
            self._bytes_left -= count * 2
        return 1 if self._bytes_left < 0 else 0

    def _list_voices(self) -> dict[str, str]:
        self._library.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(_Voice))
        listed = self._library.espeak_ListVoices(None)
        best: dict[str, tuple[int, str]] = {}
        index = 0
        while listed[index]:
            voice = listed[index].contents
            for priority, tag in _language_tags(voice.languages):
                if tag not in _SILENT_TAGS and (tag not in best or priority < best[tag][0]):
                    best[tag] = (priority, voice.identifier.decode())
            index += 1
        return {tag: identifier for tag, (_, identifier) in best.items()}


@cache
def espeak_library() -> EspeakLibrary:
    """Return the only instance of this process."""
    return EspeakLibrary()


def _language_tags(address: int) -> list[tuple[int, str]]:
    """Pairs of priority and tag at a C address; a lower priority number is a better match."""
    tags = []
    while priority := ctypes.c_ubyte.from_address(address).value:
        tag = ctypes.string_at(address + 1)
        tags.append((priority, tag.decode().lower()))
        address += 1 + len(tag) + 1
    return tags
