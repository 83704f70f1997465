"""Ask the Hub about files, and fetch them; judge what it answers."""

from __future__ import annotations

import logging
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from clip_gaze.errors import DownloadError
from clip_gaze.hub import http
from clip_gaze.hub.address import host
from clip_gaze.model.pins import is_commit
from clip_gaze.wording import first_line

if TYPE_CHECKING:
    from pathlib import Path

    from clip_gaze.model.manifest import ModelFile

logger = logging.getLogger(__name__)

_DIGEST = re.compile(r"[0-9a-f]{64}|[0-9a-f]{40}")
# So often in a row a download may break without a byte of news.
_RETRIES = 5
_TOO_BUSY = {408, 429}
_LONGEST_WAIT = 60  # seconds


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
    response = http.head(http.address(repository, revision, file.file))
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
    url = http.address(repository, remote.commit, file)
    failures = 0
    with part.open("ab") as target, http.bar(file, size, target.tell()) as bar:
        while size is None or target.tell() < size:
            before, wait = target.tell(), 1
            try:
                with http.opened(url, before) as response:
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
    for chunk in http.pieces(response):
        target.write(chunk)
        bar.update(len(chunk))


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
