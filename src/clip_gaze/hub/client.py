"""Ask the Hub over HTTP; the only module that imports huggingface_hub.

Of huggingface_hub its session, token, addresses, settings, bars and locks are used, but none of its
functions that download. Those name the packages of this machine and fetch a list of agents unless
a setting of the process forbids it, wait for as long as a server asks, and keep nothing of what
came before a connection broke.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import sys
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import urljoin, urlsplit

from clip_gaze.errors import DownloadError
from clip_gaze.hub.address import host
from clip_gaze.model.pins import is_commit
from clip_gaze.wording import first_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import ModuleType

    from clip_gaze.model.manifest import ModelFile

logger = logging.getLogger(__name__)

# A resolver or a list of dead addresses can outlast any time limit of the HTTP client; whoever
# has no network shall read so within 10 s, on a slow machine too.
_PATIENCE = 6.0
_DIGEST = re.compile(r"[0-9a-f]{64}|[0-9a-f]{40}")
_MOST_REDIRECTS = 5
# So often in a row a download may break without a byte of news.
_RETRIES = 5
_TOO_BUSY = {408, 429}
_LONGEST_WAIT = 60  # seconds
# What is not written yet is lost when a connection breaks; larger pieces take a minute on a slow
# line.
_CHUNK = 1 << 18


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """What the Hub says of a file: the commit it is of, its ETag (a digest) and its size."""

    commit: str
    etag: str
    bytes: int | None

    @property
    def sha256(self) -> str | None:
        """The file's SHA-256, which is the ETag of a large file; None for one that git keeps."""
        return self.etag if len(self.etag) == 64 else None


def ask(repository: str, revision: str, file: ModelFile) -> RemoteFile:
    """Ask the Hub about a file; fail soon where there is no network.

    Args:
        repository: its name on the Hub.
        revision: a commit, a branch or a tag.
        file: the file, with the size and SHA-256 that it must have, where known.

    Raises:
        DownloadError: the Hub cannot be reached, refuses, or has another file than expected.

    """
    constants = _library().constants
    patience: float = constants.HF_HUB_ETAG_TIMEOUT
    if patience == constants.DEFAULT_ETAG_TIMEOUT:
        patience = _PATIENCE
    headers = _headers()
    url = _url(repository, revision, file.file)
    try:
        response = _within(patience, lambda: _head(url, headers, patience))
    except Exception as error:
        # The errors of the HTTP client and of its sockets share no base class.
        msg = f"{host()} cannot be reached ({first_line(error)})"
        raise DownloadError(msg) from error
    if response.status_code >= 400:
        raise _refusal(response, f"{file.file} of {repository}")
    found = response.headers
    commit = found.get("X-Repo-Commit")
    if not is_commit(commit):
        msg = (
            f"{host()} does not answer as the Hub does when asked for {file.file}; is HF_ENDPOINT "
            "right, or does the network want a login?"
        )
        raise DownloadError(msg)
    tag = (found.get("X-Linked-ETag") or found.get("ETag") or "").removeprefix("W/").strip('"')
    etag = tag if _DIGEST.fullmatch(tag) else file.sha256
    if etag is None:
        msg = f"{host()} reports no digest for {file.file}, so that it could not be checked"
        raise DownloadError(msg)
    # The length of an answer that leads elsewhere is not the file's.
    length = None if "Location" in found else found.get("Content-Length")
    size = found.get("X-Linked-Size") or length or ""
    remote = RemoteFile(commit, etag, int(size) if size.isdecimal() else None)
    if is_commit(revision) and remote.commit != revision:
        msg = f"{host()} answers with revision {remote.commit} where {revision} was asked for"
        raise DownloadError(msg)
    if None not in (file.bytes, remote.bytes) and file.bytes != remote.bytes:
        msg = f"{file.file}: {file.bytes:,} bytes were expected, {host()} offers {remote.bytes:,}"
        raise DownloadError(msg)
    if None not in (file.sha256, remote.sha256) and file.sha256 != remote.sha256:
        msg = (
            f"{file.file}: the model's manifest pins SHA-256 {file.sha256}, and {host()} reports "
            f"{remote.sha256} for the same revision, {commit}: one of the two is wrong; "
            "unset HF_ENDPOINT if it names a mirror, else use another --variant and report it"
        )
        raise DownloadError(msg)
    return remote


def append(repository: str, file: str, remote: RemoteFile, part: Path, size: int | None) -> None:
    """Fetch the rest of a partial file, and resume when the connection breaks.

    Args:
        repository: its name on the Hub.
        file: its name there.
        remote: what `ask` returned for it.
        part: what there is of the file; need not exist.
        size: of the whole file in bytes, where known.

    Raises:
        DownloadError: the Hub refuses, or breaks off again and again.
        OSError: `part` cannot be written.

    """
    library, url, headers = _library(), _url(repository, remote.commit, file), _headers()
    failures = 0
    with part.open("ab") as target, _bar(file, size, target.tell()) as bar:
        while size is None or target.tell() < size:
            before, wait = target.tell(), 1
            try:
                rest = {**headers, "Range": f"bytes={before}-"} if before else headers
                with _opened(url, rest, library.constants.HF_HUB_DOWNLOAD_TIMEOUT) as response:
                    if response.status_code not in _TOO_BUSY:
                        _receive(response, file, target, bar)
                        return
                    broken = _refusal(response, file)
                    wait = _seconds(response, wait)
            except DownloadError:
                raise
            except Exception as error:  # the HTTP clients' share no public base
                if isinstance(error, OSError) and not hasattr(error, "request"):
                    raise  # of the disk; those of requests know their request
                of = f" of {size:,}" if size is not None else ""
                broken = DownloadError(
                    f"the download of {file} broke after {target.tell():,}{of} bytes "
                    f"({first_line(error)}); the next one goes on from there"
                )
            failures = 1 if target.tell() > before else failures + 1
            if failures > _RETRIES or wait > _LONGEST_WAIT:
                raise broken
            logger.warning("%s: trying again in %d s (%s)", file, wait, broken)
            time.sleep(wait)


def _receive(response: Any, file: str, target: BinaryIO, bar: Any) -> None:
    """Append the body of an answer to a file."""
    if response.status_code >= 400:
        raise _refusal(response, file)
    if response.status_code == 200:  # the whole file comes, whatever was asked for
        bar.update(-target.tell())
        target.truncate(0)
    pieces = response.iter_bytes if hasattr(response, "iter_bytes") else response.iter_content
    for chunk in pieces(_CHUNK):
        target.write(chunk)
        bar.update(len(chunk))


def _is_httpx(session: Any) -> bool:
    """Return whether the Hub's client sends by httpx, as since 1.0; before, it was requests."""
    return hasattr(session, "follow_redirects")


def _opened(url: str, headers: dict[str, str], timeout: float) -> Any:
    """Return a context manager of the answer to a GET request, whose body is not read yet."""
    session = _library().utils.get_session()
    if _is_httpx(session):
        return session.stream("GET", url, headers=headers, timeout=timeout, follow_redirects=True)
    return session.get(url, headers=headers, timeout=timeout, stream=True)


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


def _url(repository: str, revision: str, file: str) -> str:
    try:
        url: str = _library().hf_hub_url(repository, file, revision=revision, endpoint=host())
    except ValueError as error:
        msg = f"{repository!r} is no name of a repository of the Hub ({first_line(error)})"
        raise DownloadError(msg) from error
    return url


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


def _within(seconds: float, call: Callable[[], Any]) -> Any:
    """Return what `call` returns, or give it up after some seconds."""
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.append((call(), None))
        except Exception as error:  # noqa: BLE001 - raised below, in the caller's thread
            outcome.append((None, error))

    # A daemon: a resolver that hangs must not keep the process from ending.
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if not outcome:
        msg = f"no answer in {seconds:.0f} s"
        raise TimeoutError(msg)
    result, error = outcome[0]
    if error is not None:
        raise error
    return result


def _bar(file: str, size: int | None, had: int) -> Any:
    """Return a bar for a download, which is shown in a terminal alone."""
    from huggingface_hub.utils import tqdm  # type: ignore[attr-defined] # noqa: PLC0415

    return tqdm(  # type: ignore[no-untyped-call]
        desc=file, total=size, initial=had, unit="B", unit_scale=True,
        disable=None if sys.stderr else True,
    )  # fmt: skip


def _seconds(response: Any, default: int) -> int:
    """Return how long a busy server asks to wait, where it says so in seconds."""
    wanted = response.headers.get("Retry-After", "")
    return int(wanted) if wanted.isdecimal() else default


def _refusal(response: Any, what: str) -> DownloadError:
    """Return the error for an HTTP status that is no success, with what to do."""
    status = response.status_code
    if status in (401, 403):
        return DownloadError(f"{host()} refuses {what} (HTTP {status}); is HF_TOKEN right?")
    if status == 404:
        return DownloadError(
            f"{host()} has no {what} at this revision (HTTP 404); is HF_ENDPOINT right?"
        )
    if status == 429:
        after = f"in {wait} s" if (wait := _seconds(response, 0)) else "later"
        return DownloadError(f"{host()} had too many requests (HTTP 429); try again {after}")
    return DownloadError(f"{host()} fails on {what} (HTTP {status}); try again later")
