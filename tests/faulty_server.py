"""A local web server that can be told to misbehave."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from seglib.data.fetch import Retry

QUICK = Retry(attempts=4, first_wait=0.01, longest_wait=0.02)


class FaultyServer(ThreadingHTTPServer):
    """Serves `folder`; `faults[path]` lists what goes wrong with the next requests for a path.

    Faults: "drop" (half the body, then the connection ends), "long" (Content-Length too
    large), "503", "404", "truncated" (a complete response with half the file), "flipped" (one
    byte changed). With `ranges` False, every response is the whole file.
    """

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.folder = folder
        self.faults: dict[str, list[str]] = defaultdict(list)
        self.ranges = True
        self.requests: list[tuple[str, str | None]] = []
        self.sent: dict[str, int] = defaultdict(int)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request, client_address) -> None:  # a dropped client is expected here
        pass


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FaultyServer

    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        server, wanted = self.server, self.headers.get("Range")
        server.requests.append((self.path, wanted))
        fault = server.faults[self.path].pop(0) if server.faults[self.path] else ""
        file = server.folder / self.path.lstrip("/")
        if fault in ("404", "503") or not file.is_file():
            self.send_response(int(fault or 404))
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        data, first = file.read_bytes(), 0
        total = len(data)
        ranged = bool(wanted) and server.ranges
        if ranged:
            low, high = wanted.removeprefix("bytes=").split("-")
            first = int(low) if low else total - int(high)
            last = min(int(high), total - 1) if low and high else total - 1
            first = max(first, 0)
            if first >= total:
                self.send_response(416)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            data = data[first : last + 1]
        if fault == "truncated":
            data = data[: len(data) // 2]
        if fault == "flipped":
            middle = len(data) // 2
            data = data[:middle] + bytes([data[middle] ^ 0xFF]) + data[middle + 1 :]
        self.send_response(206 if ranged else 200)
        if ranged:
            self.send_header("Content-Range", f"bytes {first}-{first + len(data) - 1}/{total}")
        self.send_header("Content-Length", str(len(data) + (100 if fault == "long" else 0)))
        self.end_headers()
        body = data[: len(data) // 2] if fault == "drop" else data
        server.sent[self.path] += len(body)  # before the client can have received it all
        self.wfile.write(body)
        if fault in ("drop", "long"):
            self.close_connection = True


@contextmanager
def serve(folder: Path) -> Iterator[FaultyServer]:
    server = FaultyServer(folder)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
