"""Refused uploads: each gets its own error code, leaves no file, and does not harm the next upload."""

from collections.abc import Awaitable, Callable

import httpx
import pytest

from api.settings import ApiSettings

Send = Callable[..., Awaitable[httpx.Response]]
Files = Callable[[], list[str]]

WAV = b"RIFF\x24\0\0\0WAVEfmt " + bytes(32)
RECORDING = ('name="audio_file"; filename="a.wav"', WAV)


def text_part(name: str, value: str) -> tuple[str, bytes]:
    return f'name="{name}"', value.encode()


REFUSED_FORMS = {
    "an empty file": ([('name="audio_file"; filename="a.wav"', b"")], 422, "empty_file"),
    "a text file named .wav": ([('name="audio_file"; filename="a.wav"', b"Hello!" * 9)], 415, "unsupported_media_type"),
    "a short text file": ([('name="audio_file"; filename="a.wav"', b"Hello!")], 415, "unsupported_media_type"),
    "an AVI film": (
        [('name="audio_file"; filename="a.avi"', b"RIFF\x24\0\0\0AVI " + bytes(32))],
        415,
        "unsupported_media_type",
    ),
    "no parts": ([], 422, "missing_file"),
    "no file": ([text_part("language", "en")], 422, "missing_file"),
    "two files": ([RECORDING, RECORDING], 422, "too_many_files"),
    "two files, the first empty": (
        [('name="audio_file"; filename="a.wav"', b""), RECORDING],
        422,
        "too_many_files",
    ),
    "an unexpected field": ([RECORDING, text_part("colour", "blue")], 422, "unexpected_field"),
    "the file in another field": ([('name="file"; filename="a.wav"', WAV)], 422, "unexpected_field"),
    "a part without a name": ([RECORDING, ("x=y", b"")], 422, "unexpected_field"),
    "a field twice": ([RECORDING, text_part("language", "en"), text_part("language", "de")], 422, "unexpected_field"),
    "a field twice, first empty": (
        [text_part("language", ""), text_part("language", "de"), RECORDING],
        422,
        "unexpected_field",
    ),
    "a word as language": ([RECORDING, text_part("language", "english!")], 422, "invalid_field"),
    "a line behind the language": ([RECORDING, text_part("language", "en\r\nde")], 422, "invalid_field"),
    "a long language": ([RECORDING, text_part("language", "e" * 40)], 422, "invalid_field"),
    "a path as voice": ([RECORDING, text_part("voice", "../../etc/passwd")], 422, "invalid_field"),
    "a hidden file as voice": ([RECORDING, text_part("voice", ".voice")], 422, "invalid_field"),
    "a long voice": ([RECORDING, text_part("voice", "v" * 65)], 422, "invalid_field"),
    "a long prompt": ([RECORDING, text_part("system_prompt", "p" * 4001)], 422, "invalid_field"),
    "an endless prompt": ([text_part("system_prompt", "p" * 90_000), RECORDING], 422, "invalid_field"),
}

REFUSED_BODIES = {
    "nothing at all": ("multipart/form-data; boundary=limit", b"", 400, "incomplete_upload"),
    "no content type": ("", WAV, 415, "not_a_form"),
    "the bare recording": ("audio/wav", WAV, 415, "not_a_form"),
    "JSON": ("application/json", b'{"audio_file": "x"}', 415, "not_a_form"),
    "a form of another kind": ("application/x-www-form-urlencoded", b"audio_file=x", 415, "not_a_form"),
    "no boundary": ("multipart/form-data", b"--limit--\r\n", 415, "not_a_form"),
    "an empty boundary": ("multipart/form-data; boundary=", b"--limit--\r\n", 415, "not_a_form"),
    "a boundary too long": (f"multipart/form-data; boundary={'b' * 300}", b"--b", 400, "malformed_form"),
    "another boundary": ("multipart/form-data; boundary=other", b"--limit--\r\n", 400, "malformed_form"),
    "a header without a colon": (
        "multipart/form-data; boundary=limit",
        b"--limit\r\nno header\r\n\r\nx\r\n--limit--\r\n",
        400,
        "malformed_form",
    ),
    "an endless header": (
        "multipart/form-data; boundary=limit",
        b"--limit\r\nX-Long: " + b"x" * 80_000 + b"\r\n\r\nx\r\n--limit--\r\n",
        400,
        "malformed_form",
    ),
}


async def assert_refused(response: httpx.Response, status: int, code: str, files: Files, upload: Send) -> None:
    """Assert the status and code, the form of the problem, that no file is left, and that the next upload is
    accepted."""
    problem = response.json()
    assert (response.status_code, problem["code"]) == (status, code), problem["detail"]
    assert response.headers["content-type"] == "application/problem+json"
    assert set(problem) == {"type", "title", "status", "detail", "code"}
    assert problem["status"] == status
    assert files() == [], "a refused upload left a file"
    job_id = (await upload()).raise_for_status().json()["job_id"]
    assert files() == [f"input/{job_id}"]


@pytest.mark.parametrize("case", REFUSED_FORMS)
async def test_an_invalid_form_is_refused(
    case: str, build_form: Callable[..., bytes], send_form: Send, files: Files, upload: Send
) -> None:
    """Each fault of a form gets its own status and code, and the next upload is accepted."""
    parts, status, code = REFUSED_FORMS[case]
    await assert_refused(await send_form(build_form(*parts)), status, code, files, upload)


@pytest.mark.parametrize("case", REFUSED_BODIES)
async def test_a_body_that_is_not_a_form_is_refused(case: str, send_form: Send, files: Files, upload: Send) -> None:
    """Each fault of a body gets its own status and code, and the next upload is accepted."""
    content_type, body, status, code = REFUSED_BODIES[case]
    await assert_refused(await send_form(body, content_type), status, code, files, upload)


async def test_a_form_without_its_end_is_refused(
    build_form: Callable[..., bytes], send_form: Send, files: Files, upload: Send
) -> None:
    """A complete request whose form lacks the closing boundary is refused as an upload that was cut off on its way."""
    await assert_refused(await send_form(build_form(RECORDING, closed=False)), 400, "incomplete_upload", files, upload)


async def test_a_refused_field_is_named(build_form: Callable[..., bytes], send_form: Send) -> None:
    """The detail of a refused field names the field and its limit."""
    problem = (await send_form(build_form(RECORDING, text_part("voice", "a b")))).json()
    assert "field voice" in problem["detail"]
    assert "64" in problem["detail"]


async def blocks(body: bytes):
    """The body in blocks, which httpx sends chunked."""
    for start in range(0, len(body), 65_536):
        yield body[start : start + 65_536]


@pytest.mark.parametrize("declared", [True, False], ids=["with a length", "chunked"])
async def test_a_recording_over_the_limit_is_refused(
    declared: bool, build_form: Callable[..., bytes], client: httpx.AsyncClient, files: Files, upload: Send
) -> None:
    """A recording of 26 MB against a limit of 25 is 413, and the detail names the limit."""
    body = build_form((RECORDING[0], WAV + bytes(26_000_000)))
    headers = {"Content-Type": "multipart/form-data; boundary=limit"}
    response = await client.post("/transcribe", content=body if declared else blocks(body), headers=headers)
    assert "25 MB" in response.json()["detail"]
    await assert_refused(response, 413, "file_too_large", files, upload)


@pytest.mark.parametrize(("excess", "status"), [(0, 202), (1, 413)])
async def test_the_limit_is_exact_to_the_byte(
    excess: int, status: int, build_form: Callable[..., bytes], send_form: Send, settings: ApiSettings
) -> None:
    """A recording of exactly MAX_UPLOAD_MB is accepted, and one byte more is not."""
    recording = WAV.ljust(settings.max_upload_bytes + excess, b"\0")
    assert (await send_form(build_form((RECORDING[0], recording)))).status_code == status


async def test_bytes_after_the_form_count_towards_the_limit(
    build_form: Callable[..., bytes], client: httpx.AsyncClient, files: Files, upload: Send
) -> None:
    """A small form with 26 MB behind it is refused as too large."""
    body = build_form(RECORDING) + bytes(26_000_000)
    headers = {"Content-Type": "multipart/form-data; boundary=limit"}
    response = await client.post("/transcribe", content=blocks(body), headers=headers)
    await assert_refused(response, 413, "file_too_large", files, upload)
