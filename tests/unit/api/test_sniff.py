"""Recognizing audio by its first bytes."""

import pytest

from api.intake.sniff import HEAD_BYTES, is_audio

AUDIO = {
    "wav": b"RIFF\x24\0\0\0WAVEfmt ",
    "wav over 4 GB": b"RF64\xff\xff\xff\xffWAVEds64",
    "ogg": b"OggS\0\x02" + bytes(10),
    "flac": b"fLaC\0\0\0\x22" + bytes(8),
    "webm": b"\x1aE\xdf\xa3\x9fB\x86\x81\x01B\xf7\x81\x01B\xf2\x81",
    "m4a": b"\0\0\0\x20ftypM4A \0\0\0\0",
    "mp4": b"\0\0\0\x18ftypisom\0\0\x02\0",
    "mp3 with tags": b"ID3\x04\0\0\0\0\0\x23TSSE\0\0",
    "mp3": b"\xff\xfb\x90\x64" + bytes(12),
    "mp3, MPEG 2": b"\xff\xf3\x48\xc4" + bytes(12),
    "aac": b"\xff\xf1\x50\x80" + bytes(12),
}
NOT_AUDIO = {
    "nothing": b"",
    "one byte": b"\xff",
    "text": b"RIFF is a word in",
    "avi": b"RIFF\x24\0\0\0AVI LIST",
    "webp": b"RIFF\x24\0\0\0WEBPVP8 ",
    "zip": b"PK\x03\x04" + bytes(12),
    "png": b"\x89PNG\r\n\x1a\n" + bytes(8),
    "jpeg": b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01",
    "UTF-16 text": b"\xff\xfeH\0e\0l\0l\0o\0,\0 \0",
    "bits set": b"\xff" * 16,
    "html": b"<!doctype html><h",
    "zeros": bytes(16),
}


@pytest.mark.parametrize("kind", AUDIO)
def test_audio_is_recognized(kind: str) -> None:
    """A recording in each supported container is recognized by its first 16 bytes."""
    assert is_audio(AUDIO[kind][:HEAD_BYTES])


@pytest.mark.parametrize("kind", NOT_AUDIO)
def test_other_files_are_not_taken_for_audio(kind: str) -> None:
    """A file of another kind is not taken for audio."""
    assert not is_audio(NOT_AUDIO[kind])
