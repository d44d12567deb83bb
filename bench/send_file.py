"""An upload by `sendfile`, which costs the sender next to nothing: `python -m bench.send_file <port> <path>`.

Prints the seconds from connecting to the answer.
"""

import socket
import sys
import time
from pathlib import Path

_BOUNDARY = "----bench"
_HEAD = (
    f"--{_BOUNDARY}\r\n"
    'Content-Disposition: form-data; name="audio_file"; filename="bench.wav"\r\n'
    "Content-Type: audio/wav\r\n\r\n"
).encode()
_TAIL = f"\r\n--{_BOUNDARY}--\r\n".encode()


def send(port: int, path: Path) -> float:
    length = len(_HEAD) + path.stat().st_size + len(_TAIL)
    request = (
        "POST /transcribe HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
        f"Content-Type: multipart/form-data; boundary={_BOUNDARY}\r\nContent-Length: {length}\r\n\r\n"
    ).encode()
    with path.open("rb") as file:
        started = time.perf_counter()
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(request + _HEAD)
            connection.sendfile(file)
            connection.sendall(_TAIL)
            answer = connection.recv(65536)
    elapsed = time.perf_counter() - started
    if not answer.startswith(b"HTTP/1.1 202"):
        raise RuntimeError(answer.decode(errors="replace"))
    return elapsed


if __name__ == "__main__":
    print(send(int(sys.argv[1]), Path(sys.argv[2])))
