"""Damaged multipart forms: each is refused with a code, or its recording is stored byte for byte."""

import re
from collections.abc import Iterator

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.intake.multipart import TEXT_FIELDS, _Form
from api.intake.sniff import is_audio
from api.problems.problem import Problem
from fuzz.api_in_process import ApiInProcess

SOUND = b"RIFF\x24\0\0\0WAVEfmt \r\n--limi\r\n--\r\n\r\n\0\xff\x80"
BODY = (
    b'--limit\r\nContent-Disposition: form-data; name="language"\r\n\r\nen-US\r\n'
    b'--limit\r\nContent-Disposition: form-data; name="audio_file"; filename="a b.wav"\r\n'
    b"Content-Type: audio/wav\r\n\r\n" + SOUND + b"\r\n"
    b'--limit\r\nContent-Disposition: form-data; name="voice"\r\n\r\namy\r\n--limit--\r\n'
)
REFUSALS = {
    (400, "incomplete_upload"),
    (400, "malformed_form"),
    (413, "file_too_large"),
    (415, "unsupported_media_type"),
    (415, "not_a_form"),
    (422, "missing_file"),
    (422, "empty_file"),
    (422, "too_many_files"),
    (422, "unexpected_field"),
    (422, "invalid_field"),
}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiInProcess]:
    with ApiInProcess(tmp_path_factory.mktemp("multipart") / "volume") as api:
        yield api


def expected_recording(body: bytes) -> bytes | None:
    """The content of the part audio_file by RFC 2046, read with other code than the product's."""
    form = re.split(rb"\r\n--limit--", b"\r\n" + body)[0]
    for part in re.split(rb"\r\n--limit(?=\r\n)", form)[1:]:
        head, blank, content = part.partition(b"\r\n\r\n")
        if blank and re.search(rb'name="?audio_file"?\s*(;|\r\n|$)', head):
            return content
    return None


def check_response(response: httpx.Response, stored: bytes | None, body: bytes) -> int:
    """Assert what holds for every body, and return the status."""
    if response.status_code == 202:
        assert stored == expected_recording(body)
        assert stored
        assert is_audio(stored)
    else:
        problem = response.json()
        assert response.headers["content-type"] == "application/problem+json"
        assert (response.status_code, problem["code"]) in REFUSALS, problem
        assert stored is None, "a refused upload left a file"
    return response.status_code


def test_the_undamaged_form_is_accepted(api: ApiInProcess) -> None:
    """The form from which the damaged ones are made is accepted."""
    response, stored = api.post(BODY)
    assert (check_response(response, stored, BODY), stored) == (202, SOUND)


def test_a_form_that_is_cut_anywhere_is_incomplete(api: ApiInProcess) -> None:
    """A form cut at any byte is refused as incomplete, unless only the line end behind the last boundary is missing."""
    for end in range(len(BODY)):
        status = check_response(*api.post(BODY[:end]), BODY[:end])
        assert (status == 202) == (end >= len(BODY) - 2), end


def test_a_form_that_lacks_a_byte_anywhere(api: ApiInProcess) -> None:
    """A form that lacks any one byte is refused, or its recording is stored as it came."""
    for at in range(len(BODY)):
        body = BODY[:at] + BODY[at + 1 :]
        check_response(*api.post(body), body)


def test_a_form_with_any_byte_repeated(api: ApiInProcess) -> None:
    """A form with any one byte repeated is refused, or its recording is stored as it came."""
    for at in range(len(BODY)):
        body = BODY[: at + 1] + BODY[at:]
        check_response(*api.post(body), body)


STRUCTURE = sorted({edge for match in re.finditer(rb'\r\n|--|limit|[";:=]|[\w-]+', BODY) for edge in match.span()})


@pytest.mark.parametrize("foreign", [b"\0", b"\r", b"\n", b"\r\n", b"--limit", b'"', b"\\", b"\xff", b"; name=x", b":"])
def test_a_form_with_foreign_bytes_between_any_tokens(api: ApiInProcess, foreign: bytes) -> None:
    """A form with foreign bytes between any two tokens is refused, or its recording is stored as it came."""
    for at in STRUCTURE:
        body = BODY[:at] + foreign + BODY[at:]
        check_response(*api.post(body), body)


def test_a_form_with_lines_removed_repeated_or_swapped(api: ApiInProcess) -> None:
    """A form with lines removed, repeated or swapped is refused, or its recording is stored as it came."""
    lines = BODY.split(b"\r\n")
    for first in range(len(lines)):
        for second in range(len(lines)):
            mixed = lines.copy()
            mixed.insert(second, mixed.pop(first))
            for body in (b"\r\n".join(mixed), b"\r\n".join([*lines[:first], *lines[second:]])):
                check_response(*api.post(body), body)


@given(
    st.lists(st.tuples(st.integers(0, len(BODY)), st.integers(0, 40), st.binary(max_size=12)), min_size=1, max_size=4)
)
def test_a_form_that_is_damaged_at_random(api: ApiInProcess, edits: list[tuple[int, int, bytes]]) -> None:
    """A form with random edits is refused, or its recording is stored as it came."""
    body = BODY
    for at, removed, put in edits:
        body = body[:at] + put + body[at + removed :]
    check_response(*api.post(body), body)


@given(st.text(max_size=300) | st.binary(max_size=300).map(lambda raw: raw.decode("latin-1")))
def test_a_content_type_of_any_kind(api: ApiInProcess, options: str) -> None:
    """A content type with arbitrary options is refused with a code, or the form is accepted."""
    content_type = f"multipart/form-data; {options}".encode("utf-8", "replace").translate(None, b"\r\n\0")
    response, stored = api.post(BODY, content_type)
    check_response(response, stored, BODY)


def part(head: bytes, content: bytes = b"x") -> bytes:
    return b"--limit\r\n" + head + b"\r\n\r\n" + content + b"\r\n"


def disposition(options: bytes) -> bytes:
    return b"Content-Disposition: form-data; " + options


FILE = part(disposition(b'name="audio_file"'), SOUND)
END = b"--limit--\r\n"

UNUSUAL_FORMS = {
    "thousands of parts": (part(disposition(b'name="language"'), b"") * 2000 + END, 422),
    "thousands of parts without a head": (b"--limit\r\n\r\n\r\n" * 5000 + END, 422),
    "thousands of boundaries": (b"--limit\r\n" * 5000 + END, 400),
    "a thousand headers": (part(b"X: y\r\n" * 1000 + disposition(b'name="audio_file"'), SOUND) + END, 400),
    "a long header": (part(b"X: " + b"y" * 5000 + b"\r\n" + disposition(b'name="audio_file"'), SOUND) + END, 400),
    "a long name of a header": (part(b"X" * 5000 + b": y\r\n" + disposition(b'name="audio_file"')) + END, 400),
    "a form in a form": (
        part(b'Content-Type: multipart/mixed; boundary=inner\r\n' + disposition(b'name="audio_file"'),
             b"--inner\r\n\r\n" + SOUND + b"\r\n--inner--") + END,
        415,
    ),
    "NUL in a name": (part(disposition(b'name="audio_file\0"'), SOUND) + END, 422),
    "a name that is not UTF-8": (FILE + part(disposition(b'name="\xff\xfe"')) + END, 422),
    "a text that is not UTF-8": (FILE + part(disposition(b'name="voice"'), b"\xff\xfe") + END, 422),
    "a prompt that is not UTF-8": (FILE + part(disposition(b'name="system_prompt"'), b"\xff\xfe") + END, 202),
    "an encoded file name": (part(disposition(b"name=audio_file; filename*=utf-8''a%2F..%2F%00b"), SOUND) + END, 202),
    "a path as file name": (part(disposition(b'name="audio_file"; filename="../../../etc/passwd"'), SOUND) + END, 202),
    "an encoded name": (part(disposition(b"name*=utf-8''%ff%00"), SOUND) + END, 422),
    "base64": (
        part(b"Content-Transfer-Encoding: base64\r\n" + disposition(b'name="audio_file"'), b"UklGRg==") + END,
        415,
    ),
    "two dispositions": (
        part(disposition(b'name="voice"') + b"\r\n" + disposition(b'name="audio_file"'), SOUND) + END,
        202,
    ),
    "a name twice": (part(disposition(b'name="audio_file"; name="voice"'), SOUND) + END, 422),
    "something before the form": (b"preamble\r\n" + FILE + END, 400),
    "something behind the form": (FILE + END + b"epilogue" * 100, 202),
}  # fmt: skip


@pytest.mark.parametrize("case", UNUSUAL_FORMS)
def test_an_unusual_form_gets_its_status(api: ApiInProcess, case: str) -> None:
    """A form with a structure that parsers may fail on gets the expected status."""
    body, status = UNUSUAL_FORMS[case]
    assert check_response(*api.post(body), body) == status


def parse(chunks: list[bytes]) -> tuple[bytes, dict[str, str], str]:
    """The recording, the texts and the digest of a form that arrives in these chunks."""
    form = _Form(b"limit", 10_000)
    for chunk in chunks:
        form.feed(chunk)
    recording = bytes(form.pending)
    form.flush(Discard())
    upload = form.finish()
    return recording, upload.texts, upload.digest


class Discard:
    """A file that discards what is written to it."""

    def write(self, _data: bytes) -> None:
        pass


def test_a_form_is_parsed_the_same_in_any_chunks() -> None:
    """A form that arrives in two chunks, in three or in single bytes is parsed as if it came whole."""
    expected = parse([BODY])
    assert expected[:2] == (SOUND, {"language": "en-US", "voice": "amy"})
    assert parse([BODY[at : at + 1] for at in range(len(BODY))]) == expected
    for first in range(len(BODY)):
        for second in range(first, min(first + 12, len(BODY))):  # a boundary's line has no more
            assert parse([BODY[:first], BODY[first:second], BODY[second:]]) == expected


@given(st.binary(max_size=200), st.integers(1, 60))
def test_a_recording_may_hold_any_bytes(sound: bytes, size: int) -> None:
    """A recording with any bytes but the boundary, parts of the boundary included, is parsed byte for byte."""
    sound = b"RIFF\0\0\0\0WAVE" + sound.replace(b"\xff", b"\r\n--limi").replace(b"\0", b"\r\n").replace(
        b"\r\n--limit", b""
    )
    body = part(disposition(b'name="audio_file"'), sound) + END
    assert parse([body[at : at + size] for at in range(0, len(body), size)])[0] == sound


@pytest.mark.parametrize("chunk", [b"x", b"X: " + b"y" * 61, b"X: y\r\n"])
def test_endless_headers_take_little_memory(chunk: bytes) -> None:
    """A part with an endless header or endless headers is refused after a few kilobytes."""
    form = _Form(b"limit", 10_000_000)
    form.feed(b"--limit\r\n")
    fed = 0
    with pytest.raises(Problem, match="well-formed"):  # noqa: PT012 - where it raises is what is measured
        while fed < 1_000_000:
            form.feed(chunk)
            fed += len(chunk)
    assert fed < 10_000


@given(st.sampled_from(sorted(TEXT_FIELDS)), st.text(alphabet="aA0-_.+\n \xe9", max_size=90))
def test_a_text_field_matches_its_rule(name: str, text: str) -> None:
    """A text field is stripped and stored if it matches its rule, and refused by its name otherwise."""
    body = part(disposition(b'name="%b"' % name.encode()), text.encode()) + FILE + END
    if text.strip() and not TEXT_FIELDS[name].fullmatch(text.strip()):
        with pytest.raises(Problem, match=f"The field {name} must be"):
            parse([body])
    else:
        assert parse([body])[1] == ({name: text.strip()} if text.strip() else {})
