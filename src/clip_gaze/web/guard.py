"""Check every request before it is answered: its host, origin, token and size."""

from __future__ import annotations

import contextlib
import hmac
import math
from typing import TYPE_CHECKING

import anyio
from starlette.requests import Request
from starlette.responses import RedirectResponse

from clip_gaze.web.queue import StoppedError
from clip_gaze.web.responses import RefusedError, explained, refusal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.datastructures import Headers
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from clip_gaze.web.address import Address

_READS = ("GET", "HEAD", "OPTIONS")
# All requests together may hold so many largest bodies, those of waiting questions among them.
_BODIES = 4
# The slowest body, in bytes a second: one that comes slower holds up a place for others.
_SLOWEST = 1000
# A client that still sends when it is refused would not hear why if the connection closed at once:
# so many seconds, and as much as one body may have, is read and forgotten. One that waits until it
# may go on (Expect) is no exception: it does not wait long, and may have been told to go on.
_LINGER = 2
_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
_HEADERS = {
    b"content-security-policy": _CSP.encode("ascii"),
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
}


class Guard:
    """A middleware that passes allowed requests on, and refuses the others."""

    def __init__(
        self, app: ASGIApp, address: Address, token: str | None, max_body: int, patience: float
    ) -> None:
        """Guard `app`.

        Args:
            app: what answers.
            address: where the server is reached.
            token: the token that every request must carry, valid in a cookie; None: none.
            max_body: bytes of the largest body.
            patience: seconds that it may take, beside those that its size allows.

        """
        self.max_body = max_body
        self._patience = patience
        self._reading: set[anyio.CancelScope] = set()
        self._stopping = False
        self._app = app
        self._address = address
        self._token = token
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        exchange = _Exchange(self, request, receive, send)
        try:
            self._check_sender(request)
            length = _only(request.headers, "content-length")
            if length is not None and length.isdecimal() and int(length) > self.max_body:
                raise self._too_large()
            await self._admitted(request)(scope, exchange.receive, exchange.send)
        except RefusedError as error:
            await refusal(error)(scope, exchange.receive, exchange.send)
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

    def stop(self) -> None:
        """Refuse the requests whose bodies are still to come."""
        self._stopping = True
        for scope in self._reading:
            scope.cancel()

    @contextlib.contextmanager
    def reading(self, began: float, size: int) -> Iterator[None]:
        """Limit the time in which a body goes on.

        Args:
            began: the event loop's time when the body began.
            size: bytes that have come.

        Raises:
            RefusedError: it comes too slowly, or the server stops.

        """
        until = -math.inf if self._stopping else began + self._patience + size / _SLOWEST
        with anyio.CancelScope(deadline=until) as scope:
            self._reading.add(scope)
            try:
                yield
            finally:
                self._reading.remove(scope)
        if scope.cancelled_caught and self._stopping:
            raise explained(StoppedError())
        if scope.cancelled_caught:
            raise RefusedError(408, "the form comes too slowly; try again, or send less at once")

    def _check_sender(self, request: Request) -> None:
        host = _only(request.headers, "host")
        if host is None or not self._address.is_meant_by(host):
            msg = "this server is not known under that name; "
            raise RefusedError(403, f"{msg}open the address that clip-gaze serve printed")
        if request.method in _READS:
            return
        # Browsers say where a request comes from; other programs need not.
        origin = _only(request.headers, "origin")
        foreign = "origin" in request.headers and origin != f"http://{host.lower()}"
        if foreign or _only(request.headers, "sec-fetch-site") not in (None, "same-origin", "none"):
            raise RefusedError(403, "only this server's own page may ask this from a browser")

    def _too_large(self) -> RefusedError:
        limit = f"{self.max_body / (1 << 20):.3g} MB"
        return RefusedError(413, f"more than {limit} at once; send less, or raise --max-upload")

    def _admitted(self, request: Request) -> ASGIApp:
        """Return what answers a request with the right token; an address's becomes a cookie."""
        if self._token is None:
            return self._app
        name = cookie(self._address)
        tokens = request.query_params.getlist("token")
        if request.url.path == "/" and request.method == "GET" and any(map(self._is_token, tokens)):
            response = RedirectResponse("/", 303)
            response.set_cookie(name, self._token, httponly=True, samesite="strict")
            return response
        kind, _, given = (_only(request.headers, "authorization") or "").partition(" ")
        bearer = given.strip() if kind.lower() == "bearer" else ""
        if self._is_token(bearer) or self._is_token(request.cookies.get(name, "")):
            return self._app
        msg = "the token is missing or wrong; open the address that clip-gaze serve printed"
        raise RefusedError(401, msg)

    def _is_token(self, given: str) -> bool:
        known = self._token or ""
        return hmac.compare_digest(given.encode("utf-8"), known.encode("utf-8"))


def cookie(address: Address) -> str:
    """Return the name of the token's cookie; browsers keep cookies for all ports of a host."""
    return f"clip_gaze_token_{address.port}"


def _only(headers: Headers, name: str) -> str | None:
    """Return the value of a header that is given exactly once."""
    values = headers.getlist(name)
    return values[0] if len(values) == 1 else None


class _Exchange:
    """One request and its response: counts the body's bytes, and sets the response's headers."""

    def __init__(self, guard: Guard, request: Request, receive: Receive, send: Send) -> None:
        self.size = 0
        self._began = anyio.current_time()
        self._guard = guard
        self._receive = receive
        self._send = send
        # A page's files have names that stay, so a browser must ask whether they are still so.
        static = request.url.path.startswith("/static/")
        self._headers = {**_HEADERS, b"cache-control": b"no-cache" if static else b"no-store"}
        has_body = _only(request.headers, "content-length") not in (None, "0")
        self._whole = not has_body and "transfer-encoding" not in request.headers

    async def receive(self) -> Message:
        if self._whole:
            return await self._receive()
        with self._guard.reading(self._began, self.size):
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
        elif not message.get("more_body") and not self._whole:
            await self._send({**message, "more_body": True})
            await self._linger()
            message = {"type": "http.response.body", "body": b""}
        await self._send(message)

    async def _linger(self) -> None:
        left = self._guard.max_body
        with anyio.move_on_after(_LINGER):
            while left > 0 and not self._whole:
                message = await self._receive()
                left -= len(message.get("body", b""))
                self._note(message)

    def _note(self, message: Message) -> None:
        self._whole |= message["type"] == "http.disconnect" or not message.get("more_body")
