"""Recordings damaged in many ways, the same ones for the same seed."""

import random
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

SAMPLES = Path(__file__).parents[1] / "speech_models" / "samples"

#: One recording of each kind that the API accepts.
FORMATS = ("wav", "mp3", "ogg", "webm", "m4a", "flac")

#: Markers right before or behind which containers keep their lengths and counts.
_LANDMARKS = re.compile(
    b"RIFF|fmt |data|LIST|ID3|Xing|Info|LAME|OggS|OpusHead|OpusTags|fLaC|ftyp|moov|mvhd|trak|mdhd|stsd|mp4a|esds|stts"
    b"|stsc|stsz|stco|mdat|udta|\x1aE\xdf\xa3|\x18S\x80g|\x15I\xa9f|\x16T\xaek|\x1fC\xb6u|\x1cS\xbbk|\xa3|\xb5|\xff[\xe0-\xff]",
    re.DOTALL,
)

#: Numbers at which arithmetic on lengths, counts and rates overflows or changes sign.
_EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)

#: Each byte with its bits in reverse order.
_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))

Recording = bytearray
Mutation = Callable[[random.Random, Recording, list[bytes]], None]


@dataclass(frozen=True)
class Mutant:
    """A damaged recording."""

    name: str
    """Its number, its format and its mutations, in order."""

    data: bytes


def seeds() -> dict[str, bytes]:
    """An undamaged recording of each format."""
    return {kind: (SAMPLES / f"how-much-is-seven-plus-five.{kind}").read_bytes() for kind in FORMATS}


def mutants(seed: int, recordings: dict[str, bytes] | None = None) -> Iterator[Mutant]:
    """Damaged recordings without end, of one format after the other, made of `recordings` or of `seeds()`."""
    rng = random.Random(seed)
    undamaged = recordings or seeds()
    others = list(undamaged.values())
    number = 0
    while True:
        for kind, whole in undamaged.items():
            data = bytearray(whole)
            # Most have one to three faults: a decoder seldom gets past the first of many.
            mutations = rng.choices(MUTATIONS, k=rng.choice((1, 1, 1, 2, 2, 3, 8)))
            for mutation in mutations:
                mutation(rng, data, others)
            if rng.random() < 0.7:  # else the decoder would drop nearly every damaged page by its checksum
                seal_ogg(data)
            yield Mutant(f"{number}-{kind}-" + "-".join(mutation.__name__ for mutation in mutations), bytes(data))
            number += 1


def _pick_offset(rng: random.Random, data: Recording) -> int:
    """An offset: in the header, beside a landmark, or anywhere."""
    if not data:
        return 0
    kind = rng.random()
    if kind < 0.3:
        return rng.randrange(min(len(data), 300))
    if kind < 0.6 and (found := [match.start() for match in _LANDMARKS.finditer(data)]):
        return max(0, min(len(data) - 1, rng.choice(found) + rng.randrange(-8, 24)))
    return rng.randrange(len(data))


def _pick_span(rng: random.Random, data: Recording) -> slice:
    start = _pick_offset(rng, data)
    return slice(start, start + int(2 ** rng.uniform(0, 13)))


def flip_bits(rng: random.Random, data: Recording, _others: list[bytes]) -> None:
    """Flip some bits."""
    for _ in range(rng.choice((1, 2, 8, 64)) if data else 0):
        data[_pick_offset(rng, data)] ^= 1 << rng.randrange(8)


def set_extreme(rng: random.Random, data: Recording, _others: list[bytes]) -> None:
    """Replace a number, of any width and byte order, by one of the extremes."""
    at = _pick_offset(rng, data)
    width = rng.choice((1, 2, 3, 4, 8))
    value = rng.choice(_EXTREMES) + rng.choice((0, 0, 1 << 63 if width == 8 else 0))
    order = rng.choice(("little", "big"))
    data[at : at + width] = (value % (1 << 8 * width)).to_bytes(width, order)  # type: ignore[arg-type]


def set_length(rng: random.Random, data: Recording, _others: list[bytes]) -> None:
    """Replace the length that stands before or behind a landmark."""
    found = [match for match in _LANDMARKS.finditer(data) if len(match[0]) > 2]
    if not found:
        return
    match = rng.choice(found)
    at = rng.choice((max(0, match.start() - 4), match.end()))
    value = rng.choice((*_EXTREMES, len(data), len(data) + 1, rng.randrange(len(data))))
    data[at : at + 4] = value.to_bytes(4, rng.choice(("little", "big")))  # type: ignore[arg-type]


def truncate(rng: random.Random, data: Recording, _others: list[bytes]) -> None:
    """Cut the file off."""
    del data[_pick_offset(rng, data) :]


def cut_out(rng: random.Random, data: Recording, _others: list[bytes]) -> None:
    """Remove a span, such as a page or a frame's header."""
    del data[_pick_span(rng, data)]


def duplicate(rng: random.Random, data: Recording, _others: list[bytes]) -> None:
    """Insert a span again at another offset, once or more."""
    span = data[_pick_span(rng, data)] * rng.choice((1, 1, 2, 9))
    at = _pick_offset(rng, data)
    data[at:at] = span


def blank(rng: random.Random, data: Recording, _others: list[bytes]) -> None:
    """Overwrite a span with one byte, as a failing disk or line would."""
    span = _pick_span(rng, data)
    data[span] = bytes([rng.choice((0, 0, 0xFF, 0x55))]) * len(data[span])


def randomize(rng: random.Random, data: Recording, _others: list[bytes]) -> None:
    """Overwrite a span with random bytes."""
    span = _pick_span(rng, data)
    data[span] = rng.randbytes(len(data[span]))


def splice(rng: random.Random, data: Recording, others: list[bytes]) -> None:
    """Continue in the middle of another recording, mostly of another format."""
    other = bytearray(rng.choice(others))
    data[_pick_offset(rng, data) :] = other[_pick_offset(rng, other) :]


def graft(rng: random.Random, data: Recording, others: list[bytes]) -> None:
    """Overwrite a span with one of another recording."""
    other = bytearray(rng.choice(others))
    span = other[_pick_span(rng, other)]
    at = _pick_offset(rng, data)
    data[at : at + len(span)] = span


MUTATIONS: tuple[Mutation, ...] = (
    flip_bits, flip_bits, set_extreme, set_extreme, set_length, truncate, cut_out, duplicate, blank, randomize,
    splice, graft,
)  # fmt: skip


def seal_ogg(data: Recording) -> None:
    """Recompute the checksum of each Ogg page, since decoders drop a page whose checksum is wrong."""
    at = data.find(b"OggS")
    while 0 <= at <= len(data) - 27:
        segments = data[at + 27 : at + 27 + data[at + 26]]
        end = at + 27 + len(segments) + sum(segments)
        data[at + 22 : at + 26] = bytes(4)
        # Ogg's checksum is zlib's with the bits in reverse order and without the inversion at start and end.
        mirrored = zlib.crc32(data[at:end].translate(_MIRRORED), 0xFFFFFFFF) ^ 0xFFFFFFFF
        data[at + 22 : at + 26] = mirrored.to_bytes(4, "big").translate(_MIRRORED)
        at = data.find(b"OggS", at + 4)
