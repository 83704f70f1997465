"""One file from the Hub into the Hub's cache: continued where it broke, checked, then entered.

The cache is huggingface_hub's own, in its documented layout, so that every program that uses it
shares the files. Its `hf_hub_download` throws a broken download away (from 1.18 on) and does not
look at what it got; so the parts below that are used here: the partial file is kept, and a file
enters the cache after its digest was checked.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import logging
import os
import shutil
from typing import TYPE_CHECKING

from clip_gaze.errors import DownloadError
from clip_gaze.model import hub, verify

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from clip_gaze.model.hub import Offer
    from clip_gaze.model.manifest import ModelFile

logger = logging.getLogger(__name__)

_DOWNLOADS = 2


def make_room(folder: Path, size: int) -> None:
    """Make sure that a folder, which need not exist, has `size` bytes of free disk.

    Raises:
        DownloadError: it has less.

    """
    nearest = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    free = shutil.disk_usage(nearest).free
    if free < size:
        msg = f"{size / 1e6:,.1f} MB are needed in {folder}, {free / 1e6:,.1f} MB are free"
        raise DownloadError(msg)


def partial_size(repository: str, offer: Offer) -> int:
    """Return how many bytes of a file an earlier, broken download has left."""
    part = _part(hub.folder(repository) / "blobs" / offer.etag)
    return part.stat().st_size if part.is_file() else 0


def fetch(repository: str, file: ModelFile, offer: Offer) -> str:
    """Fetch a file into the Hub's cache and return its SHA-256.

    A broken download is continued. One that turns out wrong is set aside and begun anew, once.
    Of two processes that want the same file, one waits for the other.

    Args:
        repository: its name on the Hub.
        file: the file, with the size and SHA-256 that it must have, where known.
        offer: what `hub.ask` returned for it.

    Raises:
        DownloadError: it cannot be fetched or written, or is wrong twice.

    """
    place = hub.snapshot(repository, offer.commit) / file.file
    blob = hub.folder(repository) / "blobs" / offer.etag
    part = _part(blob)
    lock = hub.cache_folder() / ".locks" / blob.parents[1].name / f"{blob.name}.lock"
    try:
        for folder in (place.parent, blob.parent, lock.parent):
            folder.mkdir(parents=True, exist_ok=True)
        with _locked(lock, file.file):
            digest = _accepted((place, blob), file, offer)
            if digest is None:
                digest = _download(repository, file, offer, part)
                part.replace(blob)
            if not place.is_file():
                _link(blob, place)
    except OSError as error:
        msg = (
            f"{error.filename or hub.cache_folder()}: {file.file} cannot be written there "
            f"({error.strerror or error}); make room, or set HF_HOME to another folder"
        )
        raise DownloadError(msg) from error
    return digest


def _set_aside(path: Path) -> Path:
    """Take a wrong file out of use, and return where it is kept; a later one replaces it there."""
    real = path.resolve()
    aside = real.with_name(f"{real.name}.damaged")
    real.replace(aside)
    path.unlink(missing_ok=True)  # a link, which leads nowhere now
    return aside


def _download(repository: str, file: ModelFile, offer: Offer, part: Path) -> str:
    """Fetch a file to `part` until it is the right one; return its SHA-256."""
    from huggingface_hub import hf_hub_url  # noqa: PLC0415 - as in `hub.quiet`
    from huggingface_hub.file_download import http_get  # noqa: PLC0415
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined] # noqa: PLC0415

    size = file.bytes if file.bytes is not None else offer.bytes
    complaint = ""
    for _ in range(_DOWNLOADS):
        if size is not None and part.exists() and part.stat().st_size > size:
            part.unlink()
        try:
            with part.open("ab") as target:
                http_get(
                    hf_hub_url(repository, file.file, revision=offer.commit, endpoint=hub.host()),
                    target,
                    resume_size=target.tell(),
                    # A compressed answer cannot be continued.
                    headers=build_hf_headers() | {"Accept-Encoding": "identity"},
                    expected_size=size,
                    displayed_filename=file.file,
                )
        except Exception as error:
            if isinstance(error, OSError) and error.errno is not None:
                if error.errno == errno.ENOSPC:
                    part.unlink()
                raise
            # The client's own check of the size raises a bare OSError; the size is looked at
            # below, together with the digest.
            if type(error) is not OSError:
                raise DownloadError(_broken(error, file, part, size)) from error
        digest, complaint = _examine(part, file, offer)
        if digest is not None:
            return digest
    msg = f"{file.file} from {hub.host()} is wrong, in {_DOWNLOADS} downloads: {complaint}"
    raise DownloadError(msg)


def _accepted(paths: tuple[Path, ...], file: ModelFile, offer: Offer) -> str | None:
    """Return the SHA-256 of the first of the paths that is the right file, or None."""
    for path in paths:
        if path.is_file():
            digest, _ = _examine(path, file, offer)
            if digest is not None:
                return digest
    return None


def _examine(path: Path, file: ModelFile, offer: Offer) -> tuple[str | None, str]:
    """Return the SHA-256 of a right file; of a wrong one None, having set it aside, and why."""
    size, found = file.bytes if file.bytes is not None else offer.bytes, path.stat().st_size
    digest = verify.sha256(path)
    wanted, kind, actual = file.sha256 or offer.sha256, "SHA-256", digest
    if wanted is None:
        # The Hub keeps small files in git, and reports git's own digest.
        content = b"blob %d\0" % found + path.read_bytes()
        actual = hashlib.sha1(content, usedforsecurity=False).hexdigest()
        wanted, kind = offer.etag, "git's digest"
    if size not in (None, found):
        complaint = f"{size:,} bytes were expected, {found:,} were found"
    elif actual != wanted:
        complaint = f"{kind} {wanted} was expected, {actual} was found"
    else:
        return digest, ""
    aside = _set_aside(path)
    logger.warning("%s: %s; it was set aside as %s", file.file, complaint, aside)
    return None, complaint


def _part(blob: Path) -> Path:
    return blob.with_name(f"{blob.name}.clip-gaze.incomplete")


def _link(blob: Path, place: Path) -> None:
    """Enter a blob into a snapshot as huggingface_hub does: by a link, or where that cannot be."""
    place.unlink(missing_ok=True)  # a link that leads nowhere
    try:
        place.symlink_to(os.path.relpath(blob, place.parent))
    except OSError:
        # Windows lets not everybody make links.
        blob.replace(place)


@contextlib.contextmanager
def _locked(lock: Path, file: str) -> Iterator[None]:
    """Hold huggingface_hub's lock on a file, and say so where that means to wait."""
    from huggingface_hub.utils import WeakFileLock  # type: ignore[attr-defined] # noqa: PLC0415

    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(WeakFileLock(lock, timeout=1))
        except TimeoutError:
            logger.warning("another process is fetching %s; waiting for it", file)
            stack.enter_context(WeakFileLock(lock))
        yield


def _broken(error: Exception, file: ModelFile, part: Path, size: int | None) -> str:
    """Return in one line why a download broke, and what there is of it."""
    if getattr(error, "response", None) is not None:
        return hub.explained(error, file.file)
    had = part.stat().st_size if part.exists() else 0
    of = f" of {size:,}" if size is not None else ""
    return (
        f"the download of {file.file} broke after {had:,}{of} bytes ({hub.first_line(error)}); "
        "the next one goes on from there"
    )
