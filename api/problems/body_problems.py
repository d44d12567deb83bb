"""Problems of request bodies: recordings as multipart forms, and texts as JSON."""

from api.problems.problem import ProblemType


class BodyProblems:
    """Problems of a request's body."""

    # Any body

    UPLOAD_STALLED = ProblemType(
        408,
        "upload_stalled",
        "The upload was too slow. Send it again.",
        "A body is slower than 1 kB/s, pauses for 30 s, takes too long in all, or is slow while other uploads wait.",
    )
    TOO_MANY_UPLOADS = ProblemType(
        503,
        "too_many_uploads",
        "Too many uploads are being received at once. Try again in a moment.",
        "MAX_UPLOADS bodies are being received, and none of them is slow.",
        headers={"Retry-After": "1"},
    )
    INCOMPLETE_UPLOAD = ProblemType(
        400,
        "incomplete_upload",
        "The upload ended before it was complete.",
        "The connection or the form ends before the body does.",
    )
    UNEXPECTED_FIELD = ProblemType(
        422,
        "unexpected_field",
        "Send only these fields, each at most once: {fields}.",
        "A form or a JSON object has an unknown field, or a form has a field more than once.",
        example={"fields": "text, language, voice"},
    )
    INVALID_FIELD = ProblemType(
        422,
        "invalid_field",
        "The field {name} must be {expected}.",
        "A field of a form or of a JSON object has an invalid value.",
        example={"name": "language", "expected": "a language code such as en or pt-BR"},
    )

    # Recordings

    NOT_A_FORM = ProblemType(
        415,
        "not_a_form",
        "Send multipart/form-data with the recording in the field {field}.",
        "A recording is sent with another Content-Type, or without a boundary.",
        example={"field": "audio_file"},
    )
    MALFORMED_FORM = ProblemType(
        400,
        "malformed_form",
        "The body is not well-formed multipart/form-data.",
        "The form cannot be parsed.",
    )
    MISSING_FILE = ProblemType(
        422,
        "missing_file",
        "Send the recording in the form's field {field}.",
        "The form has no recording.",
        example={"field": "audio_file"},
    )
    EMPTY_FILE = ProblemType(
        422,
        "empty_file",
        "The file in {field} is empty. Send a recording.",
        "The recording has no bytes.",
        example={"field": "audio_file"},
    )
    TOO_MANY_FILES = ProblemType(
        422,
        "too_many_files",
        "Send one recording, in one field {field}.",
        "The form has more than one recording.",
        example={"field": "audio_file"},
    )
    FILE_TOO_LARGE = ProblemType(
        413,
        "file_too_large",
        "The recording is larger than {max_mb:g} MB. Send a shorter or compressed one.",
        "The recording is larger than MAX_UPLOAD_MB.",
        example={"max_mb": 25},
    )
    UNSUPPORTED_MEDIA_TYPE = ProblemType(
        415,
        "unsupported_media_type",
        "The file in {field} is not audio in an accepted format: {formats}.",
        "The first bytes of the recording are of no accepted format.",
        example={"field": "audio_file", "formats": "wav, mp3, m4a, ogg, opus, webm or flac"},
    )

    # Texts

    NOT_JSON = ProblemType(
        415,
        "not_json",
        "Send JSON, with the header Content-Type: application/json.",
        "A text is sent with another Content-Type.",
    )
    MALFORMED_JSON = ProblemType(
        400,
        "malformed_json",
        'The body is not well-formed JSON. Send an object such as {{"text": "Hello."}}.',
        "The body cannot be parsed.",
    )
    BODY_TOO_LARGE = ProblemType(
        413,
        "body_too_large",
        "The body is larger than {max_bytes:,} bytes. Send a shorter text.",
        "The JSON body is too large for any text that is accepted.",
        example={"max_bytes": 400_000},
    )
    EMPTY_TEXT = ProblemType(
        422,
        "empty_text",
        "The field text is missing or blank. Send a text with at least one word.",
        "The JSON object has no text.",
    )
    TEXT_TOO_LONG = ProblemType(
        422,
        "text_too_long",
        "The text is longer than {max_chars:,} characters. Send a shorter one, or several.",
        "The text is longer than the path accepts.",
        example={"max_chars": 4_000},
    )
