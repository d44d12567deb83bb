"""The multipart form of an upload: `HEAD`, the recording's bytes, `TAIL`."""

_BOUNDARY = "----bench"

CONTENT_TYPE = f"multipart/form-data; boundary={_BOUNDARY}"
HEAD = (
    f"--{_BOUNDARY}\r\n"
    'Content-Disposition: form-data; name="audio_file"; filename="bench.wav"\r\n'
    "Content-Type: audio/wav\r\n\r\n"
).encode()
TAIL = f"\r\n--{_BOUNDARY}--\r\n".encode()
