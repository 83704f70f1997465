"""What every request must pass before it is answered: host, origin, token and size of its body."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, MutableMapping

    from clip_gaze.web.address import Address

    Scope = MutableMapping[str, Any]
    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    App = Callable[[Scope, Receive, Send], Awaitable[None]]

COOKIE = "clip_gaze_token"
_READS = ("GET", "HEAD", "OPTIONS")
# All requests together may hold so many largest bodies, those of waiting questions among them.
_BODIES = 4
# A client that still sends when it is refused would not hear why if the connection closed at once:
# so many seconds, and as much as one body may have, is read and forgotten.
_LINGER = 2
# Seconds after which to try again.
_RETRY = 2
_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    b"content-security-policy": _CSP.encode("ascii"),
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
}


class RefusedError(Exception):
    """A request that is not answered as it was meant to be.

    Attributes:
        status: of the answer.
        message: one line that says why, and what to do.

    """

    def __init__(self, status: int, message: str) -> None:
        """Say why."""
        super().__init__(message)
        self.status = status
        self.message = message


class Guard:
    """An ASGI application around another one, which only sees requests that are allowed."""

    def __init__(self, app: App, address: Address, token: str | None, max_body: int) -> None:
        """Guard `app`.

        Args:
            app: what answers.
            address: where the server is reached.
            token: what every request must carry, in letters that a cookie may have; None: nothing.
            max_body: bytes that the body of a request may have.

        """
        self.max_body = max_body
        self._app = app
        self._address = address
        self._token = token
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = _Headers(scope["headers"])
        exchange = _Exchange(self, scope, headers, receive, send)
        try:
            self._check_sender(scope["method"], headers)
            self._check_length(headers)
            if await self._admitted(scope, headers, exchange.send):
                await self._app(scope, exchange.receive, exchange.send)
        except RefusedError as error:
            await _refuse(exchange.send, error)
        finally:
            self._held -= exchange.size

    def take(self, size: int, more: int) -> None:
        """Count `more` bytes of a body that has `size` already.

        Raises:
            RefusedError: the body, or all of them together, would be too large.

        """
        if size + more > self.max_body:
            raise self._too_large()
        if self._held + more > _BODIES * self.max_body:
            raise RefusedError(503, "too many pictures are on their way; try again in a moment")
        self._held += more

    def _check_sender(self, method: str, headers: _Headers) -> None:
        host = headers.only("host")
        if host is None or not self._address.is_meant_by(host):
            msg = f"this server is not known under that name; open {self._address.url}"
            raise RefusedError(403, msg)
        if method in _READS:
            return
        # Browsers say where a request comes from; other programs need not.
        foreign = "origin" in headers and headers.only("origin") != f"http://{host.lower()}"
        if foreign or headers.only("sec-fetch-site") not in (None, "same-origin", "none"):
            raise RefusedError(403, "only this server's own page may ask this from a browser")

    def _check_length(self, headers: _Headers) -> None:
        length = headers.only("content-length")
        if length is not None and length.isdecimal() and int(length) > self.max_body:
            raise self._too_large()

    def _too_large(self) -> RefusedError:
        limit = f"{self.max_body / (1 << 20):.3g} MB"
        return RefusedError(413, f"more than {limit} at once; send less, or raise --max-upload")

    async def _admitted(self, scope: Scope, headers: _Headers, send: Send) -> bool:
        """Return whether a request has the token; turn the one in a page's address into a cookie.

        Raises:
            RefusedError: it has none.

        """
        if self._token is None:
            return True
        if scope["path"] == "/" and scope["method"] == "GET":
            query = parse_qs(scope["query_string"].decode("latin-1"))
            if any(map(self._is_token, query.get("token", ()))):
                cookie = f"{COOKIE}={self._token}; HttpOnly; SameSite=Strict; Path=/"
                head = [(b"location", b"/"), (b"set-cookie", cookie.encode("ascii"))]
                head.append((b"content-length", b"0"))
                await send({"type": "http.response.start", "status": 303, "headers": head})
                await send({"type": "http.response.body", "body": b""})
                return False
        kind, _, given = (headers.only("authorization") or "").partition(" ")
        if kind.lower() == "bearer" and self._is_token(given.strip()):
            return True
        if any(map(self._is_token, headers.cookies(COOKIE))):
            return True
        msg = "the token is missing or wrong; open the address that clip-gaze serve printed"
        raise RefusedError(401, msg)

    def _is_token(self, given: str) -> bool:
        known = self._token or ""
        return hmac.compare_digest(given.encode("utf-8", "replace"), known.encode("utf-8"))


class _Headers:
    """The headers of a request; one that stands twice has no value."""

    def __init__(self, raw: list[tuple[bytes, bytes]]) -> None:
        self._raw = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in raw]

    def __contains__(self, name: str) -> bool:
        return any(each == name for each, _ in self._raw)

    def only(self, name: str) -> str | None:
        values = [value for each, value in self._raw if each == name]
        return values[0] if len(values) == 1 else None

    def cookies(self, name: str) -> Iterator[str]:
        for each, value in self._raw:
            if each == "cookie":
                with contextlib.suppress(CookieError):
                    found = SimpleCookie(value)
                    if name in found:
                        yield found[name].value


class _Exchange:
    """A request and its answer as they pass: the body is counted, the answer's headers are set."""

    def __init__(
        self, guard: Guard, scope: Scope, headers: _Headers, receive: Receive, send: Send
    ) -> None:
        self.size = 0
        self._guard = guard
        self._receive = receive
        self._send = send
        # A page's files have names that stay, so a browser must ask whether they are still so.
        kept = b"no-cache" if scope["path"].startswith("/static/") else b"no-store"
        self._headers = {**_HEADERS, b"cache-control": kept}
        has_body = headers.only("content-length") not in (None, "0")
        self._whole = not has_body and "transfer-encoding" not in headers
        # What a client holds back until it may go on will not come after a refusal.
        self._held_back = "expect" in headers

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            more = len(message.get("body", b""))
            self._guard.take(self.size, more)
            self.size += more
        self._note(message)
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            own = {} if self._whole else {b"connection": b"close"}
            message = {**message, "headers": [*message["headers"], *(self._headers | own).items()]}
        elif not message.get("more_body") and not self._whole and not self._held_back:
            await self._send({**message, "more_body": True})
            await self._linger()
            message = {"type": "http.response.body", "body": b""}
        await self._send(message)

    async def _linger(self) -> None:
        left = self._guard.max_body
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LINGER):
                while left > 0 and not self._whole:
                    message = await self._receive()
                    left -= len(message.get("body", b""))
                    self._note(message)

    def _note(self, message: Message) -> None:
        self._whole |= message["type"] == "http.disconnect" or not message.get("more_body")


async def _refuse(send: Send, error: RefusedError) -> None:
    body = json.dumps({"error": error.message}, ensure_ascii=False).encode("utf-8")
    head = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode("ascii")),
        *more_headers(error.status),
    ]
    await send({"type": "http.response.start", "status": error.status, "headers": head})
    await send({"type": "http.response.body", "body": body})


def more_headers(status: int) -> list[tuple[bytes, bytes]]:
    """Return what an answer with this status says beside its error."""
    if status == 401:
        return [(b"www-authenticate", b'Bearer realm="clip-gaze"')]
    return [(b"retry-after", str(_RETRY).encode("ascii"))] if status == 503 else []
