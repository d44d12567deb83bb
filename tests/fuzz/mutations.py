"""Recordings damaged in every way that we could think of; the same ones for the same seed."""

import random
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

SAMPLES = Path(__file__).parents[1] / "speech_models" / "samples"

#: One recording of each kind that the API accepts.
FORMATS = ("wav", "mp3", "ogg", "webm", "m4a", "flac")

#: Where containers keep their lengths and counts: right before or behind these.
_LANDMARKS = re.compile(
    b"RIFF|fmt |data|LIST|ID3|Xing|Info|LAME|OggS|OpusHead|OpusTags|fLaC|ftyp|moov|mvhd|trak|mdhd|stsd|mp4a|esds|stts"
    b"|stsc|stsz|stco|mdat|udta|\x1aE\xdf\xa3|\x18S\x80g|\x15I\xa9f|\x16T\xaek|\x1fC\xb6u|\x1cS\xbbk|\xa3|\xb5|\xff[\xe0-\xff]",
    re.DOTALL,
)

#: What arithmetic on lengths, counts and rates is not prepared for.
_EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)

#: How the bits of a byte look the other way round.
_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))

Recording = bytearray
Mutation = Callable[[random.Random, Recording, list[bytes]], None]


@dataclass(frozen=True)
class Mutant:
    """A damaged recording."""

    name: str
    """Its number, its format and what was done to it, in order."""

    data: bytes


def seeds() -> dict[str, bytes]:
    """An undamaged recording of each format."""
    return {kind: (SAMPLES / f"how-much-is-seven-plus-five.{kind}").read_bytes() for kind in FORMATS}


def mutants(seed: int, recordings: dict[str, bytes] | None = None) -> Iterator[Mutant]:
    """Damaged recordings without end, of one format after the other; made of `recordings`, or of the six of `seeds`."""
    chance = random.Random(seed)
    undamaged = recordings or seeds()
    others = list(undamaged.values())
    number = 0
    while True:
        for kind, whole in undamaged.items():
            data = bytearray(whole)
            # Most have one to three faults: many at once are seldom looked at behind the first.
            mutations = chance.choices(MUTATIONS, k=chance.choice((1, 1, 1, 2, 2, 3, 8)))
            for mutation in mutations:
                mutation(chance, data, others)
            if chance.random() < 0.7:  # else the decoder behind the checksum would hardly ever see the damage
                seal_ogg(data)
            yield Mutant(f"{number}-{kind}-" + "-".join(mutation.__name__ for mutation in mutations), bytes(data))
            number += 1


def _place(chance: random.Random, data: Recording) -> int:
    """An offset: in the header, beside a landmark, or anywhere."""
    if not data:
        return 0
    kind = chance.random()
    if kind < 0.3:
        return chance.randrange(min(len(data), 300))
    if kind < 0.6 and (found := [match.start() for match in _LANDMARKS.finditer(data)]):
        return max(0, min(len(data) - 1, chance.choice(found) + chance.randrange(-8, 24)))
    return chance.randrange(len(data))


def _span(chance: random.Random, data: Recording) -> slice:
    start = _place(chance, data)
    return slice(start, start + int(2 ** chance.uniform(0, 13)))


def bits(chance: random.Random, data: Recording, _others: list[bytes]) -> None:
    """Flip some."""
    for _ in range(chance.choice((1, 2, 8, 64)) if data else 0):
        data[_place(chance, data)] ^= 1 << chance.randrange(8)


def extreme(chance: random.Random, data: Recording, _others: list[bytes]) -> None:
    """Replace a number, of whatever width and byte order, with one at the edge."""
    at, width = _place(chance, data), chance.choice((1, 2, 3, 4, 8))
    value = chance.choice(_EXTREMES) + chance.choice((0, 0, 1 << 63 if width == 8 else 0))
    order = chance.choice(("little", "big"))
    data[at : at + width] = (value % (1 << 8 * width)).to_bytes(width, order)  # type: ignore[arg-type]


def length(chance: random.Random, data: Recording, _others: list[bytes]) -> None:
    """Replace the length that stands before or behind a landmark."""
    found = [match for match in _LANDMARKS.finditer(data) if len(match[0]) > 2]
    if not found:
        return
    match = chance.choice(found)
    at = chance.choice((max(0, match.start() - 4), match.end()))
    value = chance.choice((*_EXTREMES, len(data), len(data) + 1, chance.randrange(len(data))))
    data[at : at + 4] = value.to_bytes(4, chance.choice(("little", "big")))  # type: ignore[arg-type]


def truncated(chance: random.Random, data: Recording, _others: list[bytes]) -> None:
    """Cut it off."""
    del data[_place(chance, data) :]


def beheaded(chance: random.Random, data: Recording, _others: list[bytes]) -> None:
    """Take a piece out, such as a page or a frame's header."""
    del data[_span(chance, data)]


def doubled(chance: random.Random, data: Recording, _others: list[bytes]) -> None:
    """Put a piece in again, somewhere else, once or often."""
    piece = data[_span(chance, data)] * chance.choice((1, 1, 2, 9))
    at = _place(chance, data)
    data[at:at] = piece


def blanked(chance: random.Random, data: Recording, _others: list[bytes]) -> None:
    """Overwrite a piece with one byte, as a disk or a line that failed would."""
    span = _span(chance, data)
    data[span] = bytes([chance.choice((0, 0, 0xFF, 0x55))]) * len(data[span])


def noise(chance: random.Random, data: Recording, _others: list[bytes]) -> None:
    """Overwrite a piece with anything."""
    span = _span(chance, data)
    data[span] = chance.randbytes(len(data[span]))


def spliced(chance: random.Random, data: Recording, others: list[bytes]) -> None:
    """Go on in the middle of another recording, mostly of another format."""
    other = bytearray(chance.choice(others))
    data[_place(chance, data) :] = other[_place(chance, other) :]


def grafted(chance: random.Random, data: Recording, others: list[bytes]) -> None:
    """Overwrite a piece with one of another recording."""
    other = bytearray(chance.choice(others))
    piece = other[_span(chance, other)]
    at = _place(chance, data)
    data[at : at + len(piece)] = piece


MUTATIONS: tuple[Mutation, ...] = (
    bits, bits, extreme, extreme, length, truncated, beheaded, doubled, blanked, noise, spliced, grafted,
)  # fmt: skip


def seal_ogg(data: Recording) -> None:
    """Write the checksum of each Ogg page anew; a damaged page is dropped unread otherwise."""
    at = data.find(b"OggS")
    while 0 <= at <= len(data) - 27:
        segments = data[at + 27 : at + 27 + data[at + 26]]
        end = at + 27 + len(segments) + sum(segments)
        data[at + 22 : at + 26] = bytes(4)
        # zlib's checksum is Ogg's, but for the order of the bits and for beginning and ending at ~0.
        mirrored = zlib.crc32(data[at:end].translate(_MIRRORED), 0xFFFFFFFF) ^ 0xFFFFFFFF
        data[at + 22 : at + 26] = mirrored.to_bytes(4, "big").translate(_MIRRORED)
        at = data.find(b"OggS", at + 4)
