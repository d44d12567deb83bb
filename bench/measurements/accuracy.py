"""`python -m bench.measurements.accuracy --model base --wavs DIR`: whether short windows cost words.

DIR holds recordings, NAME.wav, and what is said in each, NAME.txt. Without it, the recordings of the tests are heard by
their tiny model.
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

LONGEST_S = 600

#: Case, punctuation and spaces are no words.
NORMAL = jiwer.Compose(
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
    """What one setting of STT_SHORT_WINDOW made of all recordings."""

    texts: list[str]
    """In the order of the recordings; empty where nobody was heard."""

    error_rate: float
    """Wrong, missing and added words for each word that was said."""

    ways: Counter[str]
    """How often each way served, and behind a plus why a shorter one did not."""


def spoken(directory: Path | None) -> dict[Path, str]:
    """Each recording, with what is said in it.

    Raises:
        ValueError: there is none.
    """
    if directory is None:
        samples = MODELS / "samples"
        sentences = json.loads((samples / "sentences.json").read_text())
        return {samples / name: text for name, text in sentences.items()}
    pairs = {path: path.with_suffix(".txt") for path in sorted(directory.glob("*.wav"))}
    found = {path: text.read_text().strip() for path, text in pairs.items() if text.is_file()}
    if not found:
        raise ValueError(f"{directory} holds no NAME.wav with a NAME.txt beside it.")
    return found


def hear(engine: SttEngine, recordings: dict[Path, str], language: str) -> Result:
    heard = [_transcript(engine, path, language) for path in recordings]
    texts = [each.text if each else "" for each in heard]
    rate = jiwer.wer(list(recordings.values()), texts, reference_transform=NORMAL, hypothesis_transform=NORMAL)
    return Result(texts, rate, Counter(_way(each) for each in heard))


def _transcript(engine: SttEngine, path: Path, language: str) -> Transcript | None:
    try:
        return engine.transcribe(decode(path, LONGEST_S), language)
    except NoSpeech:
        return None


def _way(transcript: Transcript | None) -> str:
    if transcript is None:
        return "nobody speaks"
    return (
        f"{transcript.strategy}+{transcript.fallback_reason}"
        if transcript.fallback_reason
        else str(transcript.strategy)
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.measurements.accuracy", description=__doc__)
    parser.add_argument("--model", default=str(MODELS / "tiny-whisper"), help="as STT_MODEL; default: the tests' own")
    parser.add_argument("--wavs", type=Path, help="a folder of NAME.wav and NAME.txt; default: the tests' own")
    parser.add_argument("--language", default="en", help="that is spoken; default: en")
    chosen = parser.parse_args(arguments)
    try:
        recordings = spoken(chosen.wavs)
    except ValueError as error:
        sys.exit(str(error))
    results = {}
    for window in ("off", "auto"):
        settings = SttSettings(stt_model=chosen.model, stt_short_window=window, stt_device="cpu")
        results[window] = hear(load(settings), recordings, chosen.language)
    print_table(
        f"{len(recordings)} recordings",
        ["STT_SHORT_WINDOW", "word error rate", "ways"],
        [
            [window, f"{result.error_rate:.1%}", ", ".join(f"{way} {n}" for way, n in result.ways.most_common())]
            for window, result in results.items()
        ],
    )
    full, short = results["off"].texts, results["auto"].texts
    for path, long_text, short_text in zip(recordings, full, short, strict=True):
        if long_text != short_text:
            print(f"{path.name}\n  off:  {long_text}\n  auto: {short_text}")


if __name__ == "__main__":
    main()
