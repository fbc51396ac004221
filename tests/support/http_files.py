"""A service that keeps files: HTTP with GET, HEAD, PUT and DELETE, in a folder, for tests of remote datastores."""

from __future__ import annotations

import contextlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class FileServer(ThreadingHTTPServer):
    """The server; what it refuses to be given is named by ``refused``."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder = folder
        self.refused: str | None = None

    @property
    def url(self) -> str:
        """URL of the folder."""
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: FileServer

    def _path(self) -> Path:
        return self.server.folder / unquote(urlsplit(self.path).path).lstrip("/")

    def _answer(self, status: int, content: bytes = b"", length: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content) if length is None else length))
        self.end_headers()
        self.wfile.write(content)

    def do_OPTIONS(self) -> None:
        self._answer(200)

    def do_HEAD(self) -> None:
        there = self._path().is_file()
        self._answer(200 if there else 404, length=self._path().stat().st_size if there else 0)

    def do_GET(self) -> None:
        if not self._path().is_file():
            self._answer(404)
            return
        content = self._path().read_bytes()
        span = self.headers.get("Range")
        if span is None:
            self._answer(200, content)
            return
        first, _, last = span.removeprefix("bytes=").partition("-")
        part = content[int(first) : int(last) + 1 if last else None]
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {first}-{int(first) + len(part) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        self.wfile.write(part)

    def do_PUT(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.server.refused is not None and self.server.refused in self.path:
            self._answer(403)
            return
        self._path().parent.mkdir(parents=True, exist_ok=True)
        self._path().write_bytes(content)
        self._answer(201)

    def do_DELETE(self) -> None:
        there = self._path().is_file()
        self._path().unlink(missing_ok=True)
        self._answer(204 if there else 404)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def file_server(folder: Path) -> Iterator[FileServer]:
    """Serve a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with FileServer(folder) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
