"""A server on loopback that speaks the part of the Hub's protocol that downloads use.

Like the Hub it answers for a large file with a redirect to another host (the same server under
another name), and for a small one itself. Failures are scripted by request.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import re
import shutil
import socket
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from clip_gaze.model import manifest as manifests
from clip_gaze.model import manifest_file
from clip_gaze.model.manifest import ModelFile, Source, Variant

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from typing_extensions import Self

    Action = Callable[["Answer"], bool]

_CHUNK = 1 << 16
_RESOLVE = re.compile(r"/(?P<repository>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<file>.+)")
PAGE = b"<!DOCTYPE html><title>Welcome</title><p>Please log in to this network.</p>\n"


@dataclass(frozen=True)
class Request:
    """A request that the server saw; `start` is where the range that it asked for begins."""

    method: str
    path: str
    headers: Mapping[str, str]

    @property
    def start(self) -> int:
        """Return the first byte that is asked for."""
        found = re.fullmatch(r"bytes=(\d+)-\d*", self.headers.get("range", ""))
        return int(found[1]) if found else 0


NAME = "clip-vit-base-patch32"
OPEN = "clip-vit-large-patch14"
REPOSITORY = "Xenova/clip-vit-base-patch32"
COMMIT = "d15189d7028b43f1d3e65039190477f6af591c2a"
SUFFIXES = {"q4": "_q4", "fp32": "", "q8": "_quantized"}


def publish(model: Path, store: Path, shelf: Path) -> None:
    """Give an exported model the layout and the file names of the published ones.

    Args:
        model: the folder that the export made.
        store: gets the files, as the Hub has them.
        shelf: gets two manifests in place of those that ship: one with commit and digests, and
            one that leaves them open.

    """
    exported = manifest_file.read(model / "manifest.json")

    def placed(file: ModelFile, name: str) -> ModelFile:
        (store / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(model / file.file, store / name)
        return dataclasses.replace(file, file=name)

    pinned = dataclasses.replace(
        exported,
        name=NAME,
        source=Source(REPOSITORY, COMMIT),
        tokenizer=placed(exported.tokenizer, "tokenizer.json"),
        variants={
            variant: Variant(
                **{
                    # A graph names the file of its weights, which can have no other name.
                    role: placed(file, f"onnx/{role}_model{suffix}.onnx")
                    if role in ("vision", "text")
                    else placed(file, f"onnx/{file.file}")
                    for role, file in exported.variants[variant].files().items()
                }
            )
            for variant, suffix in SUFFIXES.items()
        },
        default_variant="q4",
        download=True,
    )

    def opened(file: ModelFile) -> ModelFile:
        return dataclasses.replace(file, bytes=None, sha256=None)

    left_open = dataclasses.replace(
        pinned,
        name=OPEN,
        source=Source(REPOSITORY, None),
        tokenizer=opened(pinned.tokenizer),
        variants={
            name: Variant(**{role: opened(file) for role, file in towers.files().items()})
            for name, towers in pinned.variants.items()
        },
    )
    for manifest in (pinned, left_open):
        (shelf / "models" / manifest.name).mkdir(parents=True)
        path = shelf / "models" / manifest.name / "manifest.json"
        path.write_text(manifests.to_json(manifest), encoding="utf-8")


class Hub:
    """The server; a context manager.

    Attributes:
        requests: all that came, in order.
        sent: bytes of files that went out.

    """

    def __init__(self, folder: Path, commit: str = COMMIT) -> None:
        """Serve one repository.

        Args:
            folder: with the files, by their names in the repository. tokenizer.json is one that
                git keeps, and has git's digest as ETag.
            commit: the one that `main` is at.

        """
        self.repository, self.commit, self.small = REPOSITORY, commit, ("tokenizer.json",)
        self.folder = folder
        self.requests: list[Request] = []
        self.sent = 0
        self._scripts: dict[tuple[str, str], list[Action]] = {}
        self._always: dict[tuple[str, str], Action] = {}
        self._details: dict[str, tuple[int, str, str]] = {}
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.hub = self
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    @property
    def url(self) -> str:
        """Return what HF_ENDPOINT must be."""
        return f"http://127.0.0.1:{self.port}"

    def script(self, method: str, file: str, *actions: Action) -> None:
        """Let the next requests for a file go through the actions, one each."""
        self._scripts.setdefault((method, file), []).extend(actions)

    def always(self, method: str, file: str, action: Action) -> None:
        """Let every request for a file go through an action."""
        self._always[method, file] = action

    def heal(self) -> None:
        """Forget all scripts."""
        self._scripts.clear()
        self._always.clear()

    def action(self, method: str, file: str) -> Action | None:
        """Return what a request for a file must go through now."""
        with self._lock:
            waiting = self._scripts.get((method, file))
            return waiting.pop(0) if waiting else self._always.get((method, file))

    def count(self, method: str, file: str = "") -> int:
        """Return how many requests there were for files of this name."""
        return sum(r.method == method and r.path.endswith(file) for r in self.requests)

    def details(self, file: str) -> tuple[int, str, str]:
        """Return size, SHA-256 and git's digest of a file."""
        if file not in self._details:
            content = (self.folder / file).read_bytes()
            git = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
            self._details[file] = (len(content), hashlib.sha256(content).hexdigest(), git)
        return self._details[file]

    def stop(self) -> None:
        """Close the port and all connections: whoever asks afterwards is refused."""
        self._server.shutdown()
        self._server.server_close()
        for connection in self._server.connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        """Start."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.stop()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    hub: Hub
    daemon_threads = True
    block_on_close = False

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.connections: list[socket.socket] = []

    def process_request(self, request: Any, client_address: Any) -> None:
        """Remember a connection, to be able to close it."""
        self.connections.append(request)
        super().process_request(request, client_address)

    def handle_error(self, *_: object) -> None:
        """Say nothing of clients that hang up."""


@dataclass
class Answer:
    """What the server is about to send for a file; actions may change or spoil it.

    Attributes:
        headers: those that say what the file is.
        content: the file.
        cut: the connection breaks after so many bytes of the file were sent in this answer.
        at_cut: done when that is reached.

    """

    handler: _Handler
    request: Request
    headers: dict[str, str]
    content: bytes
    status: int = 200
    cut: int | None = None
    at_cut: list[Callable[[], None]] = field(default_factory=list)


def fails(status: int, **headers: str) -> Action:
    """Answer with an HTTP status instead."""

    def act(answer: Answer) -> bool:
        answer.handler.plain(status, {k.replace("_", "-"): v for k, v in headers.items()}, b"")
        return True

    return act


def page(answer: Answer) -> bool:
    """Answer with a page, as a network does that wants a login first."""
    answer.handler.plain(200, {"Content-Type": "text/html"}, PAGE)
    return True


def padded_page(answer: Answer) -> bool:
    """Send a page of the right size, with the right headers."""
    answer.content = PAGE.ljust(len(answer.content))
    return False


def altered(answer: Answer) -> bool:
    """Send the file with one byte changed."""
    middle = len(answer.content) // 2
    changed = bytes([answer.content[middle] ^ 1])
    answer.content = answer.content[:middle] + changed + answer.content[middle + 1 :]
    return False


def cut(after: int, then: Callable[[], None] | None = None) -> Action:
    """Promise the whole file and hang up after some bytes, perhaps doing something before."""

    def act(answer: Answer) -> bool:
        answer.cut = after
        if then is not None:
            answer.at_cut.append(then)
        return False

    return act


def silent(until: threading.Event) -> Action:
    """Answer nothing before an event."""

    def act(_: Answer) -> bool:
        until.wait(60)
        return False

    return act


def does(then: Callable[[], None]) -> Action:
    """Do something before the answer, and hang up."""

    def act(answer: Answer) -> bool:
        then()
        answer.handler.close_connection = True
        return True

    return act


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def plain(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Send a short answer."""
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def _answer(self) -> None:
        hub = self.server.hub
        path = urlsplit(self.path).path  # a client that goes through a proxy sends the whole URL
        request = Request(self.command, path, {k.lower(): v for k, v in self.headers.items()})
        hub.requests.append(request)
        if path.startswith("/cdn/"):
            return self._send(request, path.removeprefix("/cdn/"), {})
        found = _RESOLVE.fullmatch(path)
        if found is None or found["repository"] != hub.repository:
            # transformers asks for a folder of chat templates, which no CLIP model has.
            code = "EntryNotFound" if path.startswith("/api/") else "RepoNotFound"
            return self.plain(404, {"X-Error-Code": code}, b"")
        if found["revision"] not in ("main", hub.commit):
            return self.plain(404, {"X-Error-Code": "RevisionNotFound"}, b"")
        file = found["file"]
        if not (hub.folder / file).is_file():
            headers = {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": hub.commit}
            return self.plain(404, headers, b"")
        size, sha256, git = hub.details(file)
        if file in hub.small:
            return self._send(request, file, {"X-Repo-Commit": hub.commit, "ETag": f'"{git}"'})
        headers = {
            "X-Repo-Commit": hub.commit,
            "X-Linked-ETag": f'"{sha256}"',
            "X-Linked-Size": str(size),
            "ETag": '"of-the-redirect"',
            # Another origin than 127.0.0.1, as the Hub's store of large files is.
            "Location": f"http://localhost:{hub.port}/cdn/{file}",
        }
        action = hub.action("HEAD", file) if self.command == "HEAD" else None
        answer = Answer(self, request, headers, b"")
        if action is None or not action(answer):
            self.plain(302, answer.headers, b"")
        return None

    def _send(self, request: Request, file: str, headers: dict[str, str]) -> None:
        """Send a file, or the part of it that is asked for."""
        hub = self.server.hub
        answer = Answer(self, request, headers, (hub.folder / file).read_bytes())
        action = hub.action(self.command, file)
        if action is not None and action(answer):
            return
        start, size = request.start, len(answer.content)
        body = memoryview(answer.content)[start:]
        self.send_response(206 if start else 200)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        self.end_headers()
        if self.command == "HEAD":
            return
        stop = len(body) if answer.cut is None else min(answer.cut, len(body))
        for at in range(0, stop, _CHUNK):
            self.wfile.write(body[at : min(at + _CHUNK, stop)])
            hub.sent += min(_CHUNK, stop - at)
        if answer.cut is not None:
            for then in answer.at_cut:
                then()
            self.close_connection = True
