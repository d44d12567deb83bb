"""One Piper voice in memory."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from onnxruntime import ExecutionMode, InferenceSession, SessionOptions
from onnxruntime.capi import onnxruntime_pybind11_state as onnx_errors
from piper import PiperVoice, SynthesisConfig
from piper.config import PiperConfig

from shared.errors import CascadeError
from tts_worker.engine import Speech
from tts_worker.sanitize import MAX_SPEECH_S, too_long

#: The model attends from every phoneme to every other: a sentence of pages would take gigabytes. About half a minute.
_MAX_PHONEMES = 600

#: What a text without anything to say becomes, such as "…".
_SILENCE_S = 0.1

#: Loud enough beside other sound, with room above for a sentence that is louder than the reference.
_REFERENCE_PEAK = 0.6
_MAX_GAIN = 4.0
_REFERENCE_TEXT = "The quick brown fox jumps over the lazy dog."

_RATES_HZ = range(8_000, 48_001)

#: Of a voice's speed and noise, which are about 1. At a length_scale of 1,000, a sentence took 2.5 GB.
_MAX_SCALE = 10.0

#: All that a damaged, foreign or half-supported voice was seen to raise while it is opened and first used.
_BROKEN = (
    onnx_errors.Fail,
    onnx_errors.InvalidArgument,
    onnx_errors.InvalidGraph,
    onnx_errors.InvalidProtobuf,
    onnx_errors.NotImplemented,
    onnx_errors.RuntimeException,
    ArithmeticError,
    AttributeError,
    CascadeError,  # our own checks: a rate of 0, a sentence that lasts an hour
    ImportError,  # some languages need a package that piper-tts does not bring
    LookupError,
    OSError,
    RuntimeError,  # its eSpeak language is unknown
    TypeError,
    ValueError,
)


class BrokenVoice(Exception):
    """The files are no Piper voice, or one that cannot speak here."""


@dataclass(frozen=True)
class Voice:
    name: str
    """As in TTS_VOICE, without folder and suffix."""

    gain: float
    """One for all that it says: scaling each sentence to its own peak makes the loudness jump between segments."""

    piper: PiperVoice

    def speak(self, text: str, speed: float) -> Speech:
        config = SynthesisConfig(length_scale=self.piper.config.length_scale / speed)
        rate_hz = self.piper.config.sample_rate
        pieces = []
        left = MAX_SPEECH_S * rate_hz
        for sound in _sounds(self.piper, text, config):
            pieces.append((np.clip(sound * self.gain, -1.0, 1.0) * 32767).astype(np.int16))
            left -= len(sound)
            if left < 0:
                raise too_long()
        return Speech(np.concatenate(pieces or [np.zeros(round(_SILENCE_S * rate_hz), np.int16)]), rate_hz)


def open_voice(model: Path, threads: int, download_dir: Path) -> Voice:
    """The voice in the file `model`, warm. Its configuration lies beside it.

    Raises:
        BrokenVoice: it cannot be opened, or cannot speak.
    """
    try:
        config = PiperConfig.from_dict(json.loads(Path(f"{model}.json").read_text(encoding="utf-8")))
        _check(config)
        # PiperVoice.load would take every core of the machine, whatever the container may use.
        session = InferenceSession(str(model), _session_options(threads), ["CPUExecutionProvider"])
        piper = PiperVoice(session=session, config=config, download_dir=download_dir)
        # Without noise the model is deterministic, so that every worker measures the same loudness.
        still = SynthesisConfig(noise_scale=0.0, noise_w_scale=0.0)
        peak = max(float(np.abs(sound).max()) for sound in _sounds(piper, _REFERENCE_TEXT, still))
        gain = min(max(_REFERENCE_PEAK / max(peak, 1e-6), 1.0), _MAX_GAIN)
        voice = Voice(model.name.removesuffix(".onnx"), gain, piper)
        # As it will be in a job, with the configuration's rate, speed and noise: what is wrong in them shows here.
        voice.speak(_REFERENCE_TEXT, 1.0)
    except _BROKEN as error:
        raise BrokenVoice(model.name) from error
    return voice


def _check(config: PiperConfig) -> None:
    scales = (config.length_scale, config.noise_scale, config.noise_w_scale)
    if config.sample_rate not in _RATES_HZ or not all(0 <= scale <= _MAX_SCALE for scale in scales):
        raise ValueError("The configuration's numbers are no voice's.")


def _session_options(threads: int) -> SessionOptions:
    options = SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ExecutionMode.ORT_SEQUENTIAL
    # Threads that spin while they wait for work take the cores from the worker beside them.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def _sounds(piper: PiperVoice, text: str, config: SynthesisConfig) -> Iterator[NDArray[np.float32]]:
    for sentence in piper.phonemize(text):
        for phonemes in _bounded(sentence):
            sound = piper.phoneme_ids_to_audio(piper.phonemes_to_ids(phonemes), config)
            yield np.asarray(sound, np.float32).reshape(-1)


def _bounded(phonemes: list[str]) -> Iterator[list[str]]:
    """`phonemes`, cut between two words wherever it is longer than the model should be given."""
    while len(phonemes) > _MAX_PHONEMES:
        word_ends = [index for index in range(1, _MAX_PHONEMES) if phonemes[index] == " "]
        cut = word_ends[-1] if word_ends else _MAX_PHONEMES
        yield phonemes[:cut]
        phonemes = phonemes[cut:]
    if phonemes:
        yield phonemes
