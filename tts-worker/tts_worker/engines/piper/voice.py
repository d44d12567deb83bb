"""A Piper voice in memory."""

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
from tts_worker.sanitize import MAX_SPEECH_S, too_long_error

#: About half a minute of speech. The model attends from every phoneme to every other: a sentence of several pages would
#: take gigabytes.
_MAX_PHONEMES = 600

#: Silence for a text without anything to pronounce, such as "…".
_SILENCE_S = 0.1

#: Peak of the reference text after amplification: audible next to other sound, with headroom for louder sentences.
_REFERENCE_PEAK = 0.6
_MAX_GAIN = 4.0
_REFERENCE_TEXT = "The quick brown fox jumps over the lazy dog."

#: Sample rates that a voice may have.
_RATES_HZ = range(8_000, 48_001)

#: Maximum of a voice's speed and noise, which are about 1. At a length_scale of 1,000, a sentence took 2.5 GB.
_MAX_SCALE = 10.0

#: Exceptions that damaged, foreign or partly supported voices were seen to raise when they are opened and first used.
_VOICE_EXCEPTIONS = (
    onnx_errors.Fail,
    onnx_errors.InvalidArgument,
    onnx_errors.InvalidGraph,
    onnx_errors.InvalidProtobuf,
    onnx_errors.NotImplemented,
    onnx_errors.RuntimeException,
    ArithmeticError,
    AttributeError,
    CascadeError,  # this product's checks: a rate of 0, a sentence that lasts an hour
    ImportError,  # some languages need a package that piper-tts does not install
    LookupError,
    OSError,
    RuntimeError,  # its eSpeak language is unknown
    TypeError,
    ValueError,
)


class BrokenVoice(Exception):
    """Raised for files that are not a Piper voice, or a voice that does not work with the installed packages."""


@dataclass(frozen=True)
class Voice:
    """A loaded voice."""

    name: str
    """As in TTS_VOICE, but without folder and suffix."""

    gain: float
    """The same for all sentences: scaling each to its own peak would make the loudness jump between segments."""

    piper: PiperVoice

    def synthesize(self, text: str, speed: float) -> Speech:
        """Synthesize `text`, which is sanitized.

        Raises:
            InputError: its speech would be longer than MAX_SPEECH_S.
        """
        config = SynthesisConfig(length_scale=self.piper.config.length_scale / speed)
        rate_hz = self.piper.config.sample_rate
        blocks = []
        samples_left = MAX_SPEECH_S * rate_hz
        for block in _synthesize_blocks(self.piper, text, config):
            blocks.append((np.clip(block * self.gain, -1.0, 1.0) * 32767).astype(np.int16))
            samples_left -= len(block)
            if samples_left < 0:
                raise too_long_error()
        return Speech(np.concatenate(blocks or [np.zeros(round(_SILENCE_S * rate_hz), np.int16)]), rate_hz)


def open_voice(model: Path, threads: int, download_dir: Path) -> Voice:
    """Load and warm the voice in the file `model`; its configuration is in the same folder.

    Raises:
        BrokenVoice: it cannot be loaded, or cannot synthesize.
    """
    try:
        config = PiperConfig.from_dict(json.loads(Path(f"{model}.json").read_text(encoding="utf-8")))
        _check(config)
        # PiperVoice.load would take every core of the machine, whatever the container may use.
        session = InferenceSession(str(model), _session_options(threads), ["CPUExecutionProvider"])
        piper = PiperVoice(session=session, config=config, download_dir=download_dir)
        # Without noise the model is deterministic, so that every worker measures the same loudness.
        noiseless = SynthesisConfig(noise_scale=0.0, noise_w_scale=0.0)
        peak = max(float(np.abs(block).max()) for block in _synthesize_blocks(piper, _REFERENCE_TEXT, noiseless))
        gain = min(max(_REFERENCE_PEAK / max(peak, 1e-6), 1.0), _MAX_GAIN)
        voice = Voice(model.name.removesuffix(".onnx"), gain, piper)
        # As in a job, with the configuration's rate, speed and noise: an error in them shows here.
        voice.synthesize(_REFERENCE_TEXT, 1.0)
    except _VOICE_EXCEPTIONS as error:
        raise BrokenVoice(model.name) from error
    return voice


def _check(config: PiperConfig) -> None:
    scales = (config.length_scale, config.noise_scale, config.noise_w_scale)
    if config.sample_rate not in _RATES_HZ or not all(0 <= scale <= _MAX_SCALE for scale in scales):
        raise ValueError("The configuration's sample rate or scales are out of range.")


def _session_options(threads: int) -> SessionOptions:
    options = SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ExecutionMode.ORT_SEQUENTIAL
    # Threads that spin while they wait for work would take the cores from other workers.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def _synthesize_blocks(piper: PiperVoice, text: str, config: SynthesisConfig) -> Iterator[NDArray[np.float32]]:
    """Yield the audio of a sentence, or of a part of one that is too long, at a time."""
    for sentence in piper.phonemize(text):
        for phonemes in _limit_length(sentence):
            block = piper.phoneme_ids_to_audio(piper.phonemes_to_ids(phonemes), config)
            yield np.asarray(block, np.float32).reshape(-1)


def _limit_length(phonemes: list[str]) -> Iterator[list[str]]:
    """Cut `phonemes` between two words into parts of at most `_MAX_PHONEMES`."""
    while len(phonemes) > _MAX_PHONEMES:
        word_ends = [index for index in range(1, _MAX_PHONEMES) if phonemes[index] == " "]
        cut = word_ends[-1] if word_ends else _MAX_PHONEMES
        yield phonemes[:cut]
        phonemes = phonemes[cut:]
    if phonemes:
        yield phonemes
