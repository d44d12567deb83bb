"""Stored segments of an answer, as `wav.join` opens them."""

from functools import partial
from pathlib import Path

from shared.storage.local import LocalStorage
from tts_worker.engine import Speech
from tts_worker.wav import OpenSegment, encode


def store_segments(folder: Path, *speeches: Speech) -> list[OpenSegment]:
    """Store each speech as a segment of one job; return functions that open them."""
    storage = LocalStorage(folder)
    names = [storage.write_segment("job", index, "token", encode(speech)) for index, speech in enumerate(speeches)]
    return [partial(storage.open_segment, name) for name in names]
