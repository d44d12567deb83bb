"""faster-whisper: OpenAI's Whisper models in CTranslate2, on a CPU or a GPU."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

import ctranslate2
import numpy as np
from faster_whisper import BatchedInferencePipeline, WhisperModel
from faster_whisper.audio import pad_or_trim

from shared.errors import CascadeError, NoSpeech, StartupError, UnsupportedLanguage
from shared.worker.cpu import available_cpus
from stt_worker.engine import SAMPLE_RATE_HZ, Samples, Transcript
from stt_worker.engines.faster_whisper.model_files import model_directory, model_name
from stt_worker.engines.faster_whisper.windows import WINDOWS_S, Utterance, transcribe_windows, window_for
from stt_worker.engines.vad import trim
from stt_worker.settings import SttSettings

#: More threads than this wait for each other more than they compute.
_MAX_THREADS = 8

#: The longest utterance that fits into one window of 30 s. A longer one is cut into chunks at pauses.
_ONE_WINDOW_S = 28

#: Chunks of a long recording that a GPU computes at once.
_GPU_CHUNKS = 8

#: Chunks that a CPU computes at once: one full window uses all of its cores.
_CPU_CHUNKS = 1

#: The language of models that know only one.
_ENGLISH = "en"

#: Bounds a model that repeats itself endlessly: twice what fast English needs, as other scripts take more tokens.
_TOKENS_PER_S = 16

#: Tokens on top of that, so that the shortest utterance has room.
_EXTRA_TOKENS = 32

#: The sum with the prompt must stay within Whisper's 448.
_MAX_TOKENS = 440

#: For low latency: a client waits for each utterance. `chunk_length` must never be among them: it does not shorten the
#: encoder's pass, and the library keeps it for all later calls.
_DECODING_OPTIONS: dict[str, Any] = {
    "beam_size": 1,  # the library's 5 takes a third longer to decode
    "temperature": [0.0, 0.4],  # a low-quality result gets one more try, not five
    "condition_on_previous_text": False,  # so that one bad window does not spoil those after it
}


class OnePassWhisper(WhisperModel):  # type: ignore[misc]  # the library has no types
    """WhisperModel that encodes the first window once instead of twice.

    The library encodes it to detect the language, drops the result and encodes it again. A pass costs the same for a
    word as for 30 s, a second with `base` on one CPU. This class keeps the result.
    """

    _first_window: ctranslate2.StorageView | None = None

    def detect_language(
        self, *, features: np.ndarray[Any, Any], **_: object
    ) -> tuple[str, float, list[tuple[str, float]]]:
        window = self.encode(pad_or_trim(features[..., : self.feature_extractor.nb_max_frames]))
        languages = [(token[2:-2], probability) for token, probability in self.model.detect_language(window)[0]]
        self._first_window = window
        return *languages[0], languages

    def generate_segments(
        self,
        features: np.ndarray[Any, Any],
        tokenizer: Any,
        options: Any,
        log_progress: bool,
        encoder_output: ctranslate2.StorageView | None = None,
    ) -> Iterable[Any]:
        first_window = self._first_window
        self._first_window = None
        segments: Iterable[Any] = super().generate_segments(
            features, tokenizer, options, log_progress, encoder_output if first_window is None else first_window
        )
        return segments

    def forget_window(self) -> None:
        """Drop the kept window after a call that only detected its language."""
        self._first_window = None


class FasterWhisperEngine:
    """Recognizes each recording by the fastest of three strategies: a short window, the full window, or in chunks."""

    name = "faster-whisper"

    def __init__(self, whisper: OnePassWhisper, model: str, *, short_windows: bool) -> None:
        self.model = model
        self._whisper = whisper
        self._short_windows = short_windows
        multilingual = whisper.model.is_multilingual
        token_id = whisper.hf_tokenizer.token_to_id
        #: The library lists Cantonese for models that are older than its token.
        self.languages = [
            code for code in whisper.supported_languages if not multilingual or token_id(f"<|{code}|>") is not None
        ]

    def transcribe(self, samples: Samples, language: str | None) -> Transcript:
        speech = self._speech(samples, language)
        rejection = None
        if window_s := self._window_for(speech, language):
            [result] = transcribe_windows(self._whisper, [_utterance(speech, language)], window_s)
            if result.rejection is None:
                return Transcript(result.text, language or _ENGLISH, f"short_{window_s}")
            rejection = result.rejection
        if speech.size <= _ONE_WINDOW_S * SAMPLE_RATE_HZ:
            return self._transcribe_full(speech, language, rejection)
        return self._transcribe_chunked(speech, language)

    def transcribe_batch(
        self, recordings: Sequence[Samples], languages: Sequence[str | None]
    ) -> list[Transcript | CascadeError | None]:
        transcripts: list[Transcript | CascadeError | None] = [None] * len(recordings)
        batches: dict[int, dict[int, Utterance]] = defaultdict(dict)  # by window, then by index in `recordings`
        for index, (samples, language) in enumerate(zip(recordings, languages, strict=True)):
            try:
                speech = self._speech(samples, language)
            except CascadeError as error:
                transcripts[index] = error
                continue
            if window_s := self._window_for(speech, language):
                batches[window_s][index] = _utterance(speech, language)
        for window_s, batch in batches.items():
            results = transcribe_windows(self._whisper, list(batch.values()), window_s)
            for index, result in zip(batch, results, strict=True):
                if result.rejection is None:
                    transcripts[index] = Transcript(result.text, batch[index].language, f"short_{window_s}")
        return transcripts

    def warm(self) -> None:
        """Run each part of the model once, so that the first job does not wait for it."""
        noise = np.random.default_rng(0).normal(0, 0.01, SAMPLE_RATE_HZ).astype(np.float32)
        trim(noise)
        transcribe_windows(self._whisper, [_utterance(noise, self.languages[0])], WINDOWS_S[0])
        with suppress(NoSpeech):
            self._transcribe_full(noise, self.languages[0], None)

    def _speech(self, samples: Samples, language: str | None) -> Samples:
        if language is not None and language not in self.languages:
            raise UnsupportedLanguage
        # Before Whisper, which would invent words for silence: it costs a hundredth of one of its passes.
        speech = trim(samples)
        if speech is None:
            raise NoSpeech
        return speech

    def _window_for(self, speech: Samples, language: str | None) -> int | None:
        """The short window for `speech`; None if it takes the full one, as detecting the language does."""
        has_language = language is not None or not self._whisper.model.is_multilingual
        return window_for(speech) if self._short_windows and has_language else None

    def _transcribe_full(self, speech: Samples, language: str | None, rejection: str | None) -> Transcript:
        segments, info = self._whisper.transcribe(
            speech, language=language, without_timestamps=True, max_new_tokens=_max_tokens(speech), **_DECODING_OPTIONS
        )
        return _transcript(segments, info.language, "full", rejection)

    def _transcribe_chunked(self, speech: Samples, language: str | None) -> Transcript:
        on_gpu = self._whisper.model.device == "cuda"
        segments, info = BatchedInferencePipeline(self._whisper).transcribe(
            speech,
            language=language,
            batch_size=_GPU_CHUNKS if on_gpu else _CPU_CHUNKS,
            max_new_tokens=_MAX_TOKENS,
            **_DECODING_OPTIONS,
        )
        self._whisper.forget_window()
        return _transcript(segments, info.language, "batched")


def _max_tokens(speech: Samples) -> int:
    return min(int(speech.size / SAMPLE_RATE_HZ * _TOKENS_PER_S) + _EXTRA_TOKENS, _MAX_TOKENS)


def _utterance(speech: Samples, language: str | None) -> Utterance:
    return Utterance(speech, language or _ENGLISH, _max_tokens(speech))


def _transcript(segments: Iterable[Any], language: str, strategy: str, rejection: str | None = None) -> Transcript:
    # The segments are lazy: the model computes here.
    text = "".join(segment.text for segment in segments).strip()
    return Transcript(text, language, strategy, rejection)


def load(settings: SttSettings) -> FasterWhisperEngine:
    """Load and warm the model.

    Raises:
        StartupError: the model, the device or the language is not available; the message names the setting.
    """
    device, compute_type = _hardware(settings)
    directory = model_directory(settings.stt_model, settings.models_dir)
    threads = settings.stt_threads or min(available_cpus(), _MAX_THREADS)
    try:
        whisper = OnePassWhisper(str(directory), device=device, compute_type=compute_type, cpu_threads=threads)
        engine = FasterWhisperEngine(
            whisper, model_name(settings.stt_model), short_windows=settings.stt_short_window == "auto"
        )
        engine.warm()
    except (RuntimeError, ValueError) as error:
        raise StartupError(
            "The model that STT_MODEL names could not be loaded. Its files may be damaged, it may be too large for the "
            "memory, or the CUDA libraries that STT_DEVICE=cuda needs are missing."
        ) from error
    if settings.stt_language and settings.stt_language not in engine.languages:
        raise StartupError(f"STT_LANGUAGE must be empty or one of {', '.join(sorted(engine.languages))}.")
    return engine


def _hardware(settings: SttSettings) -> tuple[str, str]:
    """The device and the compute type for CTranslate2."""
    has_gpu = ctranslate2.get_cuda_device_count() > 0
    if settings.stt_device == "cuda" and not has_gpu:
        raise StartupError("STT_DEVICE=cuda, but no GPU was found. Set STT_DEVICE to cpu or auto.")
    device = "cuda" if has_gpu and settings.stt_device != "cpu" else "cpu"
    supported = ctranslate2.get_supported_compute_types(device)
    if settings.stt_compute_type == "default":
        best = "int8_float16" if device == "cuda" else "int8"
        return device, best if best in supported else "auto"
    if settings.stt_compute_type not in supported | {"auto"}:
        raise StartupError(f"STT_COMPUTE_TYPE must be default, auto or one of {', '.join(sorted(supported))} here.")
    return device, settings.stt_compute_type
