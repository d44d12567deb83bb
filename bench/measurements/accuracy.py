"""Word error rates with and without short windows: `python -m bench.measurements.accuracy --model base --wavs DIR`.

DIR holds recordings, NAME.wav, with their reference texts, NAME.txt. Without it, the tests' recordings are transcribed
by the tests' tiny model.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jiwer

from bench.lib.table import print_table
from shared.errors import NoSpeech
from stt_worker.audio import decode
from stt_worker.engine import SttEngine, Transcript
from stt_worker.engines.faster_whisper.engine import load
from stt_worker.settings import SttSettings

MODELS = Path(__file__).parents[2] / "tests" / "speech_models"

MAX_AUDIO_S = 600

#: Differences in case, punctuation and spaces are no errors.
NORMALIZATION = jiwer.Compose(
    [
        jiwer.ToLowerCase(),
        jiwer.RemovePunctuation(),
        jiwer.RemoveMultipleSpaces(),
        jiwer.Strip(),
        jiwer.ReduceToListOfListOfWords(),
    ]
)


@dataclass(frozen=True)
class Result:
    """Texts and error rate of all recordings with one value of STT_SHORT_WINDOW."""

    texts: list[str]
    """In the order of the recordings; empty where no speech was detected."""

    error_rate: float
    """Wrong, missing and added words per word of the reference texts."""

    strategies: Counter[str]
    """Number of recordings by strategy; a plus precedes the reason why a shorter window was rejected."""


def load_references(directory: Path | None) -> dict[Path, str]:
    """The recordings with their reference texts; the tests' own without a directory.

    Raises:
        ValueError: the directory holds no such pair.
    """
    if directory is None:
        samples = MODELS / "samples"
        sentences = json.loads((samples / "sentences.json").read_text())
        return {samples / name: text for name, text in sentences.items()}
    pairs = {path: path.with_suffix(".txt") for path in sorted(directory.glob("*.wav"))}
    references = {path: text.read_text().strip() for path, text in pairs.items() if text.is_file()}
    if not references:
        raise ValueError(f"{directory} holds no NAME.wav with a NAME.txt beside it.")
    return references


def transcribe_all(engine: SttEngine, references: dict[Path, str], language: str) -> Result:
    transcripts = [_transcribe(engine, path, language) for path in references]
    texts = [transcript.text if transcript else "" for transcript in transcripts]
    rate = jiwer.wer(
        list(references.values()), texts, reference_transform=NORMALIZATION, hypothesis_transform=NORMALIZATION
    )
    return Result(texts, rate, Counter(_strategy(transcript) for transcript in transcripts))


def _transcribe(engine: SttEngine, path: Path, language: str) -> Transcript | None:
    try:
        return engine.transcribe(decode(path, MAX_AUDIO_S), language)
    except NoSpeech:
        return None


def _strategy(transcript: Transcript | None) -> str:
    if transcript is None:
        return "no speech"
    if transcript.fallback_reason:
        return f"{transcript.strategy}+{transcript.fallback_reason}"
    return str(transcript.strategy)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.measurements.accuracy", description=__doc__)
    parser.add_argument("--model", default=str(MODELS / "tiny-whisper"), help="as STT_MODEL; default: the tests' own")
    parser.add_argument("--wavs", type=Path, help="a folder of NAME.wav and NAME.txt; default: the tests' own")
    parser.add_argument("--language", default="en", help="language of the recordings; default: en")
    options = parser.parse_args(arguments)
    try:
        references = load_references(options.wavs)
    except ValueError as error:
        sys.exit(str(error))
    results = {}
    for window in ("off", "auto"):
        settings = SttSettings(stt_model=options.model, stt_short_window=window, stt_device="cpu")
        results[window] = transcribe_all(load(settings), references, options.language)
    _print(results, references)


def _print(results: dict[str, Result], references: dict[Path, str]) -> None:
    rows = []
    for window, result in results.items():
        strategies = ", ".join(f"{strategy} {count}" for strategy, count in result.strategies.most_common())
        rows.append([window, f"{result.error_rate:.1%}", strategies])
    print_table(f"{len(references)} recordings", ["STT_SHORT_WINDOW", "word error rate", "strategies"], rows)
    for path, full, short in zip(references, results["off"].texts, results["auto"].texts, strict=True):
        if full != short:
            print(f"{path.name}\n  off:  {full}\n  auto: {short}")


if __name__ == "__main__":
    main()
