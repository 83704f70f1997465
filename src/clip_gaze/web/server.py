"""Serve the page with uvicorn until the process is told to stop."""

from __future__ import annotations

import contextlib
import errno
import signal
import socket
from functools import partial
from typing import TYPE_CHECKING, Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from clip_gaze.errors import GazeError
from clip_gaze.web.address import Address, address_of

try:
    import resource
except ModuleNotFoundError:  # Windows sets no such limits
    resource = None  # type: ignore[assignment]

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator

    from clip_gaze.web.app import Page

# Seconds in which open connections may end when the server stops.
_PATIENCE = 5
_MOST_CONNECTIONS = 256
# Connections that are taken at once, before any can be closed again.
_BACKLOG = 64


@contextlib.contextmanager
def listening(host: str, port: int) -> Iterator[tuple[socket.socket, Address]]:
    """Take a port.

    Args:
        host: a name or address of this machine.
        port: which; 0: a free one.

    Raises:
        GazeError: it is taken, or the host is not this machine.

    """
    try:
        family, _, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        taken = socket.create_server(place[:2], family=family)
    except UnicodeError:
        msg = f"{host}: is no name of a machine; name another --host"
        raise GazeError(msg) from None
    except OSError as error:
        elsewhere = isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL
        what = "name another --host" if elsewhere else "choose another --port"
        msg = f"{host}, port {port}: cannot be served ({error.strerror}); {what}"
        raise GazeError(msg) from None
    with taken:
        yield taken, address_of(host, taken)


def serve(page: Page, taken: socket.socket, ready: Callable[[], object]) -> None:
    """Serve a page until the process is asked to end, and end cleanly.

    Args:
        page: what answers.
        taken: where; see `listening`.
        ready: called when it answers.

    """
    server = made(page, ready)
    # They stay: a second Ctrl-C must not break off what is left to do after the last answer.
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, server.handle_exit)
    server.run(sockets=[taken])


def made(page: Page, ready: Callable[[], object]) -> uvicorn.Server:
    """Return the server of a page, which calls `ready` when it answers."""
    config = uvicorn.Config(
        page,
        http=partial(_Connection, page, {}),  # type: ignore[arg-type]
        loop="asyncio",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        backlog=_BACKLOG,
        timeout_graceful_shutdown=_PATIENCE,
    )
    return _Server(config, page, ready)


class _Server(uvicorn.Server):
    """A server that says when it is ready, and stops its jobs before it waits for the end."""

    def __init__(self, config: uvicorn.Config, page: Page, ready: Callable[[], object]) -> None:
        super().__init__(config)
        self._page = page
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._page.stop()
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: object) -> None:
        # However often it is told to: uvicorn would break off what it does, with a traceback.
        del sig, frame
        self.should_exit = True


class _Connection(H11Protocol):
    """A connection that is closed if the head of its next request takes too long.

    Of too many connections, the one that has waited longest is closed: an honest client sends its
    head at once. `waiting` holds all connections without a request, the longest waiting first.
    """

    def __init__(self, page: Page, waiting: dict[_Connection, None], **uvicorn: Any) -> None:
        super().__init__(**uvicorn)
        self._waiting = waiting
        self._patience = page.settings.patience
        self._most = page.settings.connections or most_connections()
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._look()
        if len(self.connections) > self._most:
            next(iter(self._waiting))._leave()  # noqa: SLF001 - it is one of these

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._look()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._look()

    def _look(self) -> None:
        """Begin to wait for a head, or stop: it has come."""
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_waiting()
        elif self._timer is None:
            self._waiting[self] = None
            self._timer = self.loop.call_later(self._patience, self._leave)

    def _stop_waiting(self) -> None:
        self._waiting.pop(self, None)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _leave(self) -> None:
        self._stop_waiting()
        self.transport.abort()


def most_connections() -> int:
    """Return how many connections may be open: a quarter of the files that may be, at most 256."""
    if resource is None:
        return _MOST_CONNECTIONS
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MOST_CONNECTIONS if files < 0 else max(1, min(_MOST_CONNECTIONS, files // 4))
