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
from stt_worker.engines.faster_whisper.windows import WINDOWS_S, Utterance, hear, window_for
from stt_worker.settings import SttSettings
from stt_worker.vad import trim

#: More threads than this wait for each other more than they compute.
MOST_THREADS = 8

#: Up to here the whole utterance fits into one window of 30 s. What is longer is cut where nobody speaks.
ONE_WINDOW_S = 28

#: How many of its pieces are computed at once. On a CPU a full window uses all that there is.
PIECES_ON_GPU, PIECES_ON_CPU = 8, 1

#: What a model speaks that knows one language.
ENGLISH = "en"

#: Bounds a model that repeats itself without end: twice what fast English needs, as other scripts take more tokens.
#: The sum with the prompt must stay within Whisper's 448.
TOKENS_PER_S, MORE_TOKENS, MOST_TOKENS = 16, 32, 440

#: Chosen for one utterance that somebody waits for. `chunk_length` must never be among them: it does not shorten the
#: encoder's pass, and the library keeps it for all later calls.
UTTERANCE: dict[str, Any] = {
    "beam_size": 1,  # the library's 5 takes a third longer to decode
    "temperature": [0.0, 0.4],  # a doubtful result gets one more try, not five
    "condition_on_previous_text": False,  # so that one bad window does not spoil those after it
}


class OnePassWhisper(WhisperModel):  # type: ignore[misc]  # the library has no types
    """The library encodes the first window to detect its language, forgets the result and encodes it again.

    A pass costs the same for a word as for 30 s, a second with `base` on one CPU. This keeps it.
    """

    _first_window: ctranslate2.StorageView | None = None

    def detect_language(
        self, *, features: np.ndarray[Any, Any], **_: object
    ) -> tuple[str, float, list[tuple[str, float]]]:
        window = self.encode(pad_or_trim(features[..., : self.feature_extractor.nb_max_frames]))
        found = [(token[2:-2], probability) for token, probability in self.model.detect_language(window)[0]]
        self._first_window = window
        return *found[0], found

    def generate_segments(
        self,
        features: np.ndarray[Any, Any],
        tokenizer: Any,
        options: Any,
        log_progress: bool,
        encoder_output: ctranslate2.StorageView | None = None,
    ) -> Iterable[Any]:
        kept, self._first_window = self._first_window, None
        segments: Iterable[Any] = super().generate_segments(
            features, tokenizer, options, log_progress, encoder_output if kept is None else kept
        )
        return segments

    def forget_window(self) -> None:
        """The language was all that was asked for."""
        self._first_window = None


class FasterWhisperEngine:
    """One model, and the shortest of three ways for each recording: a short window, the full one, or piece by piece."""

    name = "faster-whisper"

    def __init__(self, whisper: OnePassWhisper, model: str, *, short_windows: bool) -> None:
        self.model = model
        self._whisper, self._short_windows = whisper, short_windows
        multilingual, token_id = whisper.model.is_multilingual, whisper.hf_tokenizer.token_to_id
        #: The library lists Cantonese for models that are older than its token.
        self.languages = [
            code for code in whisper.supported_languages if not multilingual or token_id(f"<|{code}|>") is not None
        ]

    def transcribe(self, samples: Samples, language: str | None) -> Transcript:
        speech = self._speech(samples, language)
        doubt = None
        if window_s := self._window_for(speech, language):
            [heard] = hear(self._whisper, [_utterance(speech, language)], window_s)
            if heard.doubt is None:
                return Transcript(heard.text, language or ENGLISH, f"short_{window_s}")
            doubt = heard.doubt
        if speech.size <= ONE_WINDOW_S * SAMPLE_RATE_HZ:
            return self._hear_in_full(speech, language, doubt)
        return self._hear_in_pieces(speech, language)

    def transcribe_together(
        self, recordings: Sequence[Samples], languages: Sequence[str | None]
    ) -> list[Transcript | CascadeError | None]:
        answers: list[Transcript | CascadeError | None] = [None] * len(recordings)
        batches: dict[int, dict[int, Utterance]] = defaultdict(dict)  # by window, and by place in the answers
        for place, (samples, language) in enumerate(zip(recordings, languages, strict=True)):
            try:
                speech = self._speech(samples, language)
            except CascadeError as error:
                answers[place] = error
                continue
            if window_s := self._window_for(speech, language):
                batches[window_s][place] = _utterance(speech, language)
        for window_s, batch in batches.items():
            for place, heard in zip(batch, hear(self._whisper, list(batch.values()), window_s), strict=True):
                if heard.doubt is None:
                    answers[place] = Transcript(heard.text, batch[place].language, f"short_{window_s}")
        return answers

    def warm(self) -> None:
        """Use everything once, so that the first job does not pay for it."""
        noise = np.random.default_rng(0).normal(0, 0.01, SAMPLE_RATE_HZ).astype(np.float32)
        trim(noise)
        hear(self._whisper, [_utterance(noise, self.languages[0])], WINDOWS_S[0])
        with suppress(NoSpeech):
            self._hear_in_full(noise, self.languages[0], None)

    def _speech(self, samples: Samples, language: str | None) -> Samples:
        if language is not None and language not in self.languages:
            raise UnsupportedLanguage
        # First of all: it costs a hundredth of what Whisper takes to hear nothing, and then to invent words for it.
        speech = trim(samples)
        if speech is None:
            raise NoSpeech
        return speech

    def _window_for(self, speech: Samples, language: str | None) -> int | None:
        """The short window for `speech`. Detecting the language takes the full one."""
        known = language is not None or not self._whisper.model.is_multilingual
        return window_for(speech) if self._short_windows and known else None

    def _hear_in_full(self, speech: Samples, language: str | None, doubt: str | None) -> Transcript:
        segments, heard = self._whisper.transcribe(
            speech, language=language, without_timestamps=True, max_new_tokens=_most_tokens(speech), **UTTERANCE
        )
        return _transcript(segments, heard.language, "full", doubt)

    def _hear_in_pieces(self, speech: Samples, language: str | None) -> Transcript:
        on_gpu = self._whisper.model.device == "cuda"
        segments, heard = BatchedInferencePipeline(self._whisper).transcribe(
            speech,
            language=language,
            batch_size=PIECES_ON_GPU if on_gpu else PIECES_ON_CPU,
            max_new_tokens=MOST_TOKENS,
            **UTTERANCE,
        )
        self._whisper.forget_window()
        return _transcript(segments, heard.language, "batched")


def _most_tokens(speech: Samples) -> int:
    return min(int(speech.size / SAMPLE_RATE_HZ * TOKENS_PER_S) + MORE_TOKENS, MOST_TOKENS)


def _utterance(speech: Samples, language: str | None) -> Utterance:
    return Utterance(speech, language or ENGLISH, _most_tokens(speech))


def _transcript(segments: Iterable[Any], language: str, path: str, doubt: str | None = None) -> Transcript:
    # The segments are lazy: here is where it computes.
    return Transcript("".join(segment.text for segment in segments).strip(), language, path, doubt)


def load(settings: SttSettings) -> FasterWhisperEngine:
    """Raises: StartupError: the model, the device or the language is not to be had; the message names the setting."""
    device, compute_type = _hardware(settings)
    directory = model_directory(settings.stt_model, settings.models_dir)
    threads = settings.stt_threads or min(available_cpus(), MOST_THREADS)
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
    """The device and the compute type that CTranslate2 is asked for."""
    has_gpu = ctranslate2.get_cuda_device_count() > 0
    if settings.stt_device == "cuda" and not has_gpu:
        raise StartupError("STT_DEVICE=cuda, but no GPU can be seen. Set STT_DEVICE to cpu or auto.")
    device = "cuda" if has_gpu and settings.stt_device != "cpu" else "cpu"
    possible = ctranslate2.get_supported_compute_types(device)
    if settings.stt_compute_type == "default":
        best = "int8_float16" if device == "cuda" else "int8"
        return device, best if best in possible else "auto"
    if settings.stt_compute_type not in possible | {"auto"}:
        raise StartupError(f"STT_COMPUTE_TYPE must be default, auto or one of {', '.join(sorted(possible))} here.")
    return device, settings.stt_compute_type
