"""A page that is served for a test, and a client that speaks plain HTTP to it."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from clip_gaze.clip import Clip
from clip_gaze.web import server as page_server
from clip_gaze.web.app import Page, Settings
from samples import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import uvicorn

BOUNDARY = "----a boundary"

# A field's value, or a file's name and bytes.
Part = tuple[str, str | tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        assert self.headers["content-type"] == "application/json"
        return json.loads(self.body)

    @property
    def error(self) -> str:
        """The one line that says what is wrong."""
        (key,) = self.json
        assert key == "error"
        line: str = self.json["error"]
        assert line
        assert len(line.splitlines()) == 1
        return line

    @property
    def events(self) -> list[tuple[str, Any]]:
        """The events of a stream, with their data."""
        assert self.headers["content-type"] == "text/event-stream; charset=utf-8"
        pieces = self.body.decode("utf-8").split("\n\n")
        assert pieces.pop() == ""
        found = []
        for piece in pieces:
            event, data = piece.split("\n")
            assert event.startswith("event: ")
            found.append((event[7:], json.loads(data.removeprefix("data: "))))
        return found


@dataclass(frozen=True, slots=True)
class Served:
    """A server at a port of this machine."""

    port: int
    clip: Clip | None = None
    server: uvicorn.Server | None = None
    address: str = "127.0.0.1"

    @property
    def host(self) -> str:
        """What a Host header says."""
        return f"127.0.0.1:{self.port}"

    def connect(self) -> http.client.HTTPConnection:
        """Open a connection."""
        return http.client.HTTPConnection(self.address, self.port, timeout=PATIENCE)

    def ask(
        self, method: str, path: str, body: bytes | None = None, **headers: str | None
    ) -> Reply:
        """Send a request; `_` in a header's name is "-", and None leaves a header out."""
        with contextlib.closing(self.connect()) as connection:
            given = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.putrequest(method, path, skip_host="host" in given)
            if body is not None and "content-length" not in given:
                given["content-length"] = str(len(body))
            for name, value in given.items():
                if value is not None:
                    connection.putheader(name, value)
            connection.endheaders(body)
            return reply(connection.getresponse())

    def get(self, path: str, **headers: str | None) -> Reply:
        """Ask for something to read."""
        return self.ask("GET", path, **headers)

    def post(self, path: str, *parts: Part, **headers: str | None) -> Reply:
        """Send a form."""
        kind = f'multipart/form-data; boundary="{BOUNDARY}"'
        return self.ask("POST", path, form(*parts), **({"content_type": kind} | headers))

    def stream(self, path: str, *parts: Part) -> list[tuple[str, Any]]:
        """Send a form and return the events of the answer."""
        return self.post(path, *parts, accept="text/event-stream").events

    def stop(self) -> None:
        """Ask the server to end."""
        assert self.server is not None
        self.server.should_exit = True

    def alone(self) -> None:
        """Wait until the server knows that all clients have gone."""
        assert self.server is not None
        deadline = time.monotonic() + PATIENCE
        while self.server.server_state.connections:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        # What it does for a question comes after what it does for those who left.
        assert self.get("/api/lists").status == 200

    def raw(self, head: str, *, more: bytes = b"") -> socket.socket:
        """Send a request byte by byte as it is, and return the open connection."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)
        connection.sendall(head.replace("\n", "\r\n").encode("latin-1") + more)
        return connection


def hear(connection: socket.socket, end: bytes) -> bytes:
    """Read from an open connection until something was said."""
    heard = b""
    while end not in heard:
        more = connection.recv(10_000)
        assert more, heard
        heard += more
    return heard


def reply(response: http.client.HTTPResponse) -> Reply:
    """Read a response to its end."""
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Reply(response.status, headers, response.read())


def form(*parts: Part) -> bytes:
    """Return parts as multipart/form-data."""
    pieces = []
    for name, value in parts:
        head = f'form-data; name="{name}"'
        if isinstance(value, tuple):
            head += f'; filename="{value[0]}"'
        data = value.encode() if isinstance(value, str) else value[1]
        line = f"--{BOUNDARY}\r\nContent-Disposition: {head}\r\n\r\n".encode()
        pieces += [line, data, b"\r\n"]
    return b"".join([*pieces, f"--{BOUNDARY}--\r\n".encode()])


@contextlib.contextmanager
def serving(
    max_megapixels: float | None = None, model: str | Path = "demo", **settings: Any
) -> Iterator[Served]:
    """Serve a model's page in a thread of this process, on a free port."""
    with (
        Clip(
            str(model), threads=1, offline=True, store=False, max_megapixels=max_megapixels
        ) as clip,
        page_server.listening("127.0.0.1", 0) as (taken, address),
    ):
        page = Page(clip, Settings(address, **settings))
        ready = threading.Event()
        server = page_server.made(page, ready.set)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [taken]})
        thread.start()
        try:
            assert ready.wait(PATIENCE)
            yield Served(address.port, clip, server)
        finally:
            server.should_exit = True
            thread.join(PATIENCE)
            assert not thread.is_alive()
