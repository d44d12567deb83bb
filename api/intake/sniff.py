"""Magic bytes: audio formats are recognized by a file's first bytes. A name or a declared type proves nothing."""

#: The number of bytes that `is_audio` needs.
HEAD_BYTES = 16

ACCEPTED_FORMATS = "wav, mp3, m4a, ogg, opus, webm or flac"


def is_audio(head: bytes) -> bool:
    """True if `head`, the first bytes of a file, begins one of the accepted formats."""
    return (
        (head[:4] in (b"RIFF", b"RF64") and head[8:12] == b"WAVE")
        or head[:4] in (b"OggS", b"fLaC", b"\x1aE\xdf\xa3")  # the last is EBML: WebM and Matroska
        or head[4:8] == b"ftyp"  # m4a, mp4
        or head[:3] == b"ID3"
        or _is_mpeg_frame(head)
    )


def _is_mpeg_frame(head: bytes) -> bool:
    """An MPEG audio or ADTS frame header: eleven set bits, then no reserved value (ISO/IEC 11172-3, 2.4.2.3).

    Layer I is left out: it is not in use, and its first bytes are those of a text in UTF-16.
    """
    if len(head) < 3 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return False
    is_adts = head[1] & 0xF6 == 0xF0
    version = head[1] >> 3 & 3
    layer = head[1] >> 1 & 3
    bitrate = head[2] >> 4
    rate = head[2] >> 2 & 3
    return is_adts or (version != 1 and layer in (1, 2) and bitrate != 15 and rate != 3)
