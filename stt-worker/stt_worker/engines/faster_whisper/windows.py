"""Utterances in a window that is shorter than Whisper's thirty seconds.

The encoder's time grows faster than its window: on a CPU a third of it takes an eighth of the time, and CTranslate2
encodes any window up to thirty seconds. But Whisper was trained on the full one and may go astray in another. So the
window is one of a few, there is silence behind the speech, and a result that looks doubtful is none.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.audio import pad_or_trim
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import get_compression_ratio, get_suppressed_tokens

from stt_worker.engine import SAMPLE_RATE_HZ, Samples

#: Their lengths, and how much of one stays silent. A window that is cut to the clip loses words.
WINDOWS_S = (8, 10, 15, 20)
SILENCE_S = 1

#: Whisper's own bounds for a result that is to be trusted.
LEAST_LOG_PROBABILITY, MOST_NO_SPEECH, MOST_REPETITION = -1.0, 0.6, 2.4


@dataclass(frozen=True)
class Utterance:
    """Speech, and what is known of it."""

    speech: Samples
    language: str
    most_tokens: int
    """More than anybody says in that time."""


@dataclass(frozen=True)
class Heard:
    """What one utterance gave."""

    text: str
    doubt: str | None
    """Why it is not to be trusted: `empty`, `unfinished`, `silent`, `unlikely` or `repetitive`."""


def window_for(speech: Samples) -> int | None:
    """The shortest window that `speech` fits into, in seconds; None if none does."""
    length_s = speech.size / SAMPLE_RATE_HZ
    return next((window_s for window_s in WINDOWS_S if length_s + SILENCE_S <= window_s), None)


def hear(whisper: WhisperModel, utterances: Sequence[Utterance], window_s: int) -> list[Heard]:
    """What is said in each of `utterances`, in one pass of the encoder over as many windows of `window_s` seconds."""
    frames = window_s * whisper.frames_per_second
    # The last frame looks past the end; the library drops it, too.
    features = [whisper.feature_extractor(each.speech)[..., :-1] for each in utterances]
    tokenizers = [
        Tokenizer(whisper.hf_tokenizer, whisper.model.is_multilingual, "transcribe", each.language)
        for each in utterances
    ]
    prompts = [whisper.get_prompt(tokenizer, [], without_timestamps=True) for tokenizer in tokenizers]
    results = whisper.model.generate(
        whisper.encode(np.stack([pad_or_trim(each, frames) for each in features])),
        prompts,
        beam_size=1,
        max_length=len(prompts[0]) + max(each.most_tokens for each in utterances),
        return_scores=True,
        return_no_speech_prob=True,
        suppress_blank=True,
        suppress_tokens=list(get_suppressed_tokens(tokenizers[0], [-1])),
    )
    return [
        _judge(tokenizer.decode(result.sequences_ids[0]).strip(), result, each.most_tokens)
        for tokenizer, result, each in zip(tokenizers, results, utterances, strict=True)
    ]


def _judge(text: str, result: Any, most_tokens: int) -> Heard:
    count = len(result.sequences_ids[0])
    log_probability = result.scores[0] * count / (count + 1)  # over all tokens, the end's own among them
    doubts = {
        "empty": not text,
        "unfinished": count >= most_tokens,
        "silent": result.no_speech_prob > MOST_NO_SPEECH,
        "unlikely": log_probability < LEAST_LOG_PROBABILITY,
        "repetitive": get_compression_ratio(text) > MOST_REPETITION,
    }
    return Heard(text, next((doubt for doubt, applies in doubts.items() if applies), None))
