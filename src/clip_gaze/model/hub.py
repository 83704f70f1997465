"""The Hub: its settings, where its cache lies, and what it says of a file."""

from __future__ import annotations

import contextlib
import os
import re
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clip_gaze.errors import DownloadError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from clip_gaze.model.manifest import ModelFile

# A resolver or a list of dead addresses can outlast any time limit of the HTTP client; whoever
# has no network shall read so within 10 s, on a slow machine too.
_PATIENCE = 6.0
_COMMIT = re.compile(r"[0-9a-f]{40}")
_DIGEST = re.compile(r"[0-9a-f]{64}|[0-9a-f]{40}")
_SETTINGS = {
    "HF_HUB_DISABLE_TELEMETRY": True,
    # It writes so much at once, and forgets what it has not written when a connection breaks;
    # its own 10 MB are a minute or more on a slow line.
    "DOWNLOAD_CHUNK_SIZE": 1 << 18,
}
# huggingface_hub's settings belong to the process; one thread at a time may change them.
_ONE_AT_A_TIME = threading.Lock()


@dataclass(frozen=True, slots=True)
class Offer:
    """What the Hub says of a file: the commit it is of, its ETag (a digest) and its size."""

    commit: str
    etag: str
    bytes: int | None

    @property
    def sha256(self) -> str | None:
        """The file's SHA-256, which is the ETag of a large file; None for one that git keeps."""
        return self.etag if len(self.etag) == 64 else None


def host() -> str:
    """Return the address of the Hub that is asked: HF_ENDPOINT, or huggingface.co."""
    return (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


def is_offline() -> bool:
    """Return whether the environment forbids to ask the Hub."""
    value = os.environ.get("HF_HUB_OFFLINE") or os.environ.get("TRANSFORMERS_OFFLINE") or ""
    return value.upper() in {"1", "ON", "YES", "TRUE"}


def is_commit(revision: str | None) -> bool:
    """Return whether a revision can never mean another state of the repository."""
    return revision is not None and _COMMIT.fullmatch(revision) is not None


def cache_folder() -> Path:
    """Return the Hub's cache as huggingface_hub finds it, without importing that."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join("~", ".cache")  # noqa: PTH118 - unexpanded
    folder = (
        os.environ.get("HF_HUB_CACHE")
        or os.environ.get("HUGGINGFACE_HUB_CACHE")
        or os.path.join(os.environ.get("HF_HOME") or os.path.join(home, "huggingface"), "hub")  # noqa: PTH118
    )
    return Path(os.path.expandvars(folder)).expanduser()


def snapshot(repository: str, revision: str) -> Path:
    """Return the folder where the files of a repository's revision lie, or would lie."""
    return folder(repository) / "snapshots" / revision


def folder(repository: str) -> Path:
    """Return the folder of a repository in the Hub's cache."""
    return cache_folder() / ("models--" + repository.replace("/", "--"))


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep huggingface_hub from sending anything but the requests made here.

    Its telemetry setting (HF_HUB_DISABLE_TELEMETRY) also spares the list of agents that it asks
    for, and the names of installed packages. It reads the variable once, when it is imported,
    perhaps long ago and by others; so the value is set where it keeps it, and set back after.
    """
    # huggingface_hub takes a third of a second to import, and most runs download nothing.
    from huggingface_hub import constants  # noqa: PLC0415

    with _ONE_AT_A_TIME:
        before = {name: getattr(constants, name, None) for name in _SETTINGS}
        try:
            for name, value in _SETTINGS.items():
                setattr(constants, name, value)
            yield
        finally:
            for name, old in before.items():
                setattr(constants, name, old)


def ask(repository: str, revision: str, file: ModelFile) -> Offer:
    """Ask the Hub about a file; fail soon where there is no network.

    Args:
        repository: its name on the Hub.
        revision: a commit, a branch or a tag.
        file: the file, with the size and SHA-256 that it must have, where known.

    Raises:
        DownloadError: the Hub cannot be reached, refuses, or has another file than expected.

    """
    from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url  # noqa: PLC0415

    url = hf_hub_url(repository, file.file, revision=revision, endpoint=host())
    patience: float = constants.HF_HUB_ETAG_TIMEOUT
    if patience == constants.DEFAULT_ETAG_TIMEOUT:
        patience = _PATIENCE
    try:
        said = _within(patience, lambda: get_hf_file_metadata(url, timeout=patience))
    except Exception as error:
        # The errors of the HTTP client, its sockets and huggingface_hub share no base class.
        raise DownloadError(explained(error, f"{file.file} of {repository}")) from error
    if not is_commit(said.commit_hash):
        msg = (
            f"{host()} does not answer as the Hub does when asked for {file.file}; is HF_ENDPOINT "
            "right, or does the network want a login?"
        )
        raise DownloadError(msg)
    etag = said.etag if said.etag and _DIGEST.fullmatch(said.etag) else file.sha256
    if etag is None:
        msg = f"{host()} reports no digest for {file.file}, so that it could not be checked"
        raise DownloadError(msg)
    offer = Offer(said.commit_hash, etag, said.size)
    if is_commit(revision) and offer.commit != revision:
        msg = f"{host()} answers with revision {offer.commit} where {revision} was asked for"
        raise DownloadError(msg)
    if None not in (file.bytes, offer.bytes) and file.bytes != offer.bytes:
        msg = f"{file.file}: {file.bytes:,} bytes were expected, {host()} offers {offer.bytes:,}"
        raise DownloadError(msg)
    if None not in (file.sha256, offer.sha256) and file.sha256 != offer.sha256:
        msg = f"{file.file}: SHA-256 {file.sha256} was expected, {host()} offers {offer.sha256}"
        raise DownloadError(msg)
    return offer


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


def first_line(error: Exception) -> str:
    """Return what an error says, in one line."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def explained(error: Exception, what: str) -> str:
    """Return in one line why the Hub did not say what it was asked."""
    response = getattr(error, "response", None)
    status = getattr(response, "status_code", None)
    if status is None:
        return f"{host()} cannot be reached ({first_line(error)})"
    if status in (401, 403):
        return f"{host()} refuses {what} (HTTP {status}); is HF_TOKEN right?"
    if status == 404:
        return f"{host()} has no {what} at this revision (HTTP 404); is HF_ENDPOINT right?"
    if status == 429:
        wait = response.headers.get("Retry-After") if response is not None else None
        after = f"in {wait} s" if wait else "later"
        return f"{host()} had too many requests (HTTP 429); try again {after}"
    return f"{host()} fails on {what} (HTTP {status}); try again later"
