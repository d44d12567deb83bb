"""An upload by `sendfile`, which costs the sender almost nothing: `python -m bench.lib.send_file <port> <path>`.

Prints the seconds from connecting to the response.
"""

import socket
import sys
import time
from pathlib import Path

from bench.lib.multipart_form import CONTENT_TYPE, HEAD, TAIL


def send_file(port: int, path: Path) -> float:
    length = len(HEAD) + path.stat().st_size + len(TAIL)
    request = (
        "POST /transcribe HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
        f"Content-Type: {CONTENT_TYPE}\r\nContent-Length: {length}\r\n\r\n"
    ).encode()
    with path.open("rb") as file:
        started = time.perf_counter()
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(request + HEAD)
            connection.sendfile(file)
            connection.sendall(TAIL)
            response = connection.recv(65536)
    elapsed_s = time.perf_counter() - started
    if not response.startswith(b"HTTP/1.1 202"):
        raise RuntimeError(response.decode(errors="replace"))
    return elapsed_s


if __name__ == "__main__":
    print(send_file(int(sys.argv[1]), Path(sys.argv[2])))
