"""Recognition in windows shorter than Whisper's 30 s.

The encoder's time grows faster than its window: on a CPU a third of the window takes an eighth of the time, and
CTranslate2 encodes any window up to 30 s. But Whisper was trained on the full window and may hallucinate in another. So
the window is one of a few, silence follows the speech, and a result that fails a quality check is rejected.
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

#: The windows' lengths. A few are enough: each utterance takes the shortest that holds it.
WINDOWS_S = (8, 10, 15, 20)

#: Silence at the end of each window. A window that is cut to the utterance loses words.
_SILENCE_S = 1

#: Whisper's own threshold for the mean log probability of a token.
_MIN_LOG_PROBABILITY = -1.0

#: Whisper's own threshold for the probability that there is no speech.
_MAX_NO_SPEECH_PROBABILITY = 0.6

#: Whisper's own threshold for how well a text may compress: repeated text compresses better.
_MAX_COMPRESSION_RATIO = 2.4


@dataclass(frozen=True)
class Utterance:
    """Speech without silence at its ends, and its language."""

    speech: Samples

    language: str

    max_tokens: int
    """More tokens than speech of this length has."""


@dataclass(frozen=True)
class WindowResult:
    """The text of one utterance, and the verdict of the quality check."""

    text: str

    rejection: str | None
    """Why the text is not trusted: `empty`, `unfinished`, `silent`, `unlikely` or `repetitive`; None if it is."""


def window_for(speech: Samples) -> int | None:
    """The shortest window that holds `speech`, in seconds; None if none does."""
    length_s = speech.size / SAMPLE_RATE_HZ
    return next((window_s for window_s in WINDOWS_S if length_s + _SILENCE_S <= window_s), None)


def transcribe_windows(whisper: WhisperModel, utterances: Sequence[Utterance], window_s: int) -> list[WindowResult]:
    """The text of each of `utterances`, in one pass of the encoder over windows of `window_s` seconds."""
    frames = window_s * whisper.frames_per_second
    # The last frame looks past the end; the library drops it, too.
    features = [whisper.feature_extractor(utterance.speech)[..., :-1] for utterance in utterances]
    tokenizers = [
        Tokenizer(whisper.hf_tokenizer, whisper.model.is_multilingual, "transcribe", utterance.language)
        for utterance in utterances
    ]
    prompts = [whisper.get_prompt(tokenizer, [], without_timestamps=True) for tokenizer in tokenizers]
    results = whisper.model.generate(
        whisper.encode(np.stack([pad_or_trim(feature, frames) for feature in features])),
        prompts,
        beam_size=1,
        max_length=len(prompts[0]) + max(utterance.max_tokens for utterance in utterances),
        return_scores=True,
        return_no_speech_prob=True,
        suppress_blank=True,
        suppress_tokens=list(get_suppressed_tokens(tokenizers[0], [-1])),
    )
    return [
        _check_quality(tokenizer.decode(result.sequences_ids[0]).strip(), result, utterance.max_tokens)
        for tokenizer, result, utterance in zip(tokenizers, results, utterances, strict=True)
    ]


def _check_quality(text: str, result: Any, max_tokens: int) -> WindowResult:
    token_count = len(result.sequences_ids[0])
    log_probability = result.scores[0] * token_count / (token_count + 1)  # over all tokens and the end token
    checks = {
        "empty": not text,
        "unfinished": token_count >= max_tokens,
        "silent": result.no_speech_prob > _MAX_NO_SPEECH_PROBABILITY,
        "unlikely": log_probability < _MIN_LOG_PROBABILITY,
        "repetitive": get_compression_ratio(text) > _MAX_COMPRESSION_RATIO,
    }
    return WindowResult(text, next((reason for reason, failed in checks.items() if failed), None))
