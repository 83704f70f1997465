"""Speak to the Hub over HTTP; the only module that imports huggingface_hub.

Of huggingface_hub its session, token, addresses, settings, bars and locks are used, but none of its
functions that download. Those name the packages of this machine and fetch a list of agents unless
a setting of the process forbids it, wait for as long as a server asks, and keep nothing of what
came before a connection broke. Before 1.0 it sends by requests, since then by httpx.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from clip_gaze.errors import DownloadError
from clip_gaze.hub.address import host
from clip_gaze.wording import first_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import ModuleType

logger = logging.getLogger(__name__)

# A resolver or a list of dead addresses can outlast any time limit of the HTTP client; whoever
# has no network shall read so within 10 s, on a slow machine too.
_PATIENCE = 6.0
_MOST_REDIRECTS = 5
# What is not written yet is lost when a connection breaks; larger pieces take a minute on a slow
# line.
_CHUNK = 1 << 18


def address(repository: str, revision: str, file: str) -> str:
    """Return the URL of a file of a repository.

    Raises:
        DownloadError: the Hub knows no repository of such a name.

    """
    try:
        url: str = _library().hf_hub_url(repository, file, revision=revision, endpoint=host())
    except ValueError as error:
        msg = f"{repository!r} is no name of a repository of the Hub ({first_line(error)})"
        raise DownloadError(msg) from error
    return url


def head(url: str) -> Any:
    """Return the answer to a HEAD request, whatever its status; fail soon where none comes.

    Raises:
        DownloadError: the Hub cannot be reached.

    """
    constants = _library().constants
    patience: float = constants.HF_HUB_ETAG_TIMEOUT
    if patience == constants.DEFAULT_ETAG_TIMEOUT:
        patience = _PATIENCE
    headers = _headers()
    try:
        return _within(patience, lambda: _head(url, headers, patience))
    except Exception as error:
        # The errors of the HTTP client and of its sockets share no base class.
        msg = f"{host()} cannot be reached ({first_line(error)})"
        raise DownloadError(msg) from error


def opened(url: str, start: int) -> Any:
    """Return a context manager of the answer to a GET request, whose body is not read yet.

    Args:
        url: of a file.
        start: where in the file to begin; the answer need not follow.

    """
    headers = _headers() | ({"Range": f"bytes={start}-"} if start else {})
    timeout, session = _library().constants.HF_HUB_DOWNLOAD_TIMEOUT, _library().utils.get_session()
    if _is_httpx(session):
        return session.stream("GET", url, headers=headers, timeout=timeout, follow_redirects=True)
    return session.get(url, headers=headers, timeout=timeout, stream=True)


def pieces(response: Any) -> Iterator[bytes]:
    """Return the body of an answer, piece by piece."""
    read = response.iter_bytes if hasattr(response, "iter_bytes") else response.iter_content
    found: Iterator[bytes] = read(_CHUNK)
    return found


def bar(file: str, size: int | None, had: int) -> Any:
    """Return a bar for a download, which is shown in a terminal alone."""
    from huggingface_hub.utils import tqdm  # type: ignore[attr-defined] # noqa: PLC0415

    return tqdm(  # type: ignore[no-untyped-call]
        desc=file, total=size, initial=had, unit="B", unit_scale=True,
        disable=None if sys.stderr else True,
    )  # fmt: skip


@contextlib.contextmanager
def locked(lock: Path, file: str) -> Iterator[None]:
    """Hold huggingface_hub's lock on a file, and say so where that means to wait."""
    # Not of its public interface; but only who takes the same lock can share its cache.
    from huggingface_hub.utils import WeakFileLock  # type: ignore[attr-defined] # noqa: PLC0415

    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(WeakFileLock(lock, timeout=1))
        except TimeoutError:
            logger.warning("another process is fetching %s; waiting for it", file)
            stack.enter_context(WeakFileLock(lock))
        yield


def _head(url: str, headers: dict[str, str], timeout: float) -> Any:
    """Return the Hub's own answer to a HEAD request, not that of the store it redirects to.

    A redirect within the Hub, as for a repository that has a new name, is followed.
    """
    for _ in range(_MOST_REDIRECTS):
        session = _library().utils.get_session()
        follow = "follow_redirects" if _is_httpx(session) else "allow_redirects"
        response = session.head(url, headers=headers, timeout=timeout, **{follow: False})
        there = urljoin(url, response.headers.get("Location", ""))
        if there == url or urlsplit(there)[:2] != urlsplit(url)[:2]:
            break
        url = there
    return response


def _is_httpx(session: Any) -> bool:
    """Return whether the Hub's client sends by httpx, as since 1.0; before, it was requests."""
    return hasattr(session, "follow_redirects")


def _headers() -> dict[str, str]:
    """Return the headers of each request: its sender, and the user's token if there is one."""
    # A compressed answer cannot be continued.
    headers = {"user-agent": "clip-gaze", "accept-encoding": "identity"}
    library = _library()
    try:
        if not library.constants.HF_HUB_DISABLE_IMPLICIT_TOKEN and (token := library.get_token()):
            headers["authorization"] = f"Bearer {token}"
    except OSError as error:
        msg = f"{error.filename}: cannot be read ({error.strerror}); set HF_HOME to a folder"
        raise DownloadError(msg) from error
    return headers


def _within(seconds: float, call: Callable[[], Any]) -> Any:
    """Return what `call` returns, or give it up after some seconds."""
    outcome: Future[Any] = Future()

    def run() -> None:
        try:
            outcome.set_result(call())
        except Exception as error:  # noqa: BLE001 - raised below, in the caller's thread
            outcome.set_exception(error)

    # A daemon: a resolver that hangs must not keep the process from ending.
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if not outcome.done():
        msg = f"no answer in {seconds:.0f} s"
        raise TimeoutError(msg)
    return outcome.result()


def _library() -> ModuleType:
    """Import huggingface_hub late: it takes a third of a second, and most runs do without.

    Raises:
        DownloadError: a variable that it reads while it is imported has a wrong value.

    """
    try:
        import huggingface_hub.constants  # noqa: PLC0415
        import huggingface_hub.utils  # noqa: PLC0415
    except ValueError as error:
        wrong = [f"{name}={it}" for name, it in os.environ.items() if it and repr(it) in str(error)]
        named = ", ".join(wrong) or "a variable"
        msg = f"{named}: huggingface_hub cannot use this ({error}); correct or unset it"
        raise DownloadError(msg) from error
    return huggingface_hub
