"""Serves the page with uvicorn until it is told to stop."""

from __future__ import annotations

import contextlib
import ipaddress
import signal
import socket
from typing import TYPE_CHECKING

import uvicorn

from clip_gaze.errors import GazeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from clip_gaze.web.app import Page

# Seconds in which open connections may end when the server stops.
_PATIENCE = 5


@contextlib.contextmanager
def listening(host: str, port: int) -> Iterator[tuple[socket.socket, bool]]:
    """Take a port, and say whether only this machine can reach it.

    Args:
        host: a name or address of this machine.
        port: which; 0: a free one.

    Raises:
        GazeError: it is taken, or there is no such host.

    """
    try:
        family, _, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        taken = socket.create_server(place[:2], family=family)
    except OSError as error:
        msg = f"{host}, port {port}: cannot be served ({error.strerror}); choose another --port"
        raise GazeError(msg) from None
    with taken:
        yield taken, ipaddress.ip_address(taken.getsockname()[0]).is_loopback


def serve(page: Page, taken: socket.socket, ready: Callable[[], object]) -> None:
    """Serve a page until the process is asked to end, and end cleanly.

    Args:
        page: what answers.
        taken: where; see `listening`.
        ready: called when it answers.

    """
    server = made(page, ready)
    with _ending(server):
        server.run(sockets=[taken])


def made(page: Page, ready: Callable[[], object]) -> uvicorn.Server:
    """Return the server of a page, which calls `ready` when it answers."""
    config = uvicorn.Config(
        page,
        http="h11",
        loop="asyncio",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        timeout_graceful_shutdown=_PATIENCE,
    )
    return _Server(config, page, ready)


class _Server(uvicorn.Server):
    """A server that says when it is ready, and stops what is done before it waits for the end."""

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


@contextlib.contextmanager
def _ending(server: uvicorn.Server) -> Iterator[None]:
    """Make a signal an end like any other: uvicorn raises it once more when all is done."""

    def end(*_: object) -> None:
        server.should_exit = True

    before = {each: signal.signal(each, end) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
