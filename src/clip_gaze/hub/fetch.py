"""Fetch a file from the Hub into the Hub's cache, and check it before it enters.

The cache is huggingface_hub's own, in its documented layout, so that every program that uses it
shares the files.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import shutil
from typing import TYPE_CHECKING

from clip_gaze.errors import DownloadError
from clip_gaze.hub import address, client, http
from clip_gaze.model import verify
from clip_gaze.system import files
from clip_gaze.wording import megabytes

if TYPE_CHECKING:
    from pathlib import Path

    from clip_gaze.hub.client import RemoteFile
    from clip_gaze.model.manifest import ModelFile

logger = logging.getLogger(__name__)

_DOWNLOADS = 2


def make_room(folder: Path, size: int) -> None:
    """Make sure that a folder, which need not exist, has `size` bytes of free disk.

    Raises:
        DownloadError: it has less.

    """
    nearest = next((e for e in (folder, *folder.absolute().parents) if e.exists()), None)
    if nearest is None:  # a drive of Windows
        msg = f"{folder}: there is no such drive"
        raise DownloadError(msg)
    free = shutil.disk_usage(nearest).free
    if free < size:
        msg = f"{megabytes(size)} are needed in {folder}, {megabytes(free)} are free"
        raise DownloadError(msg)


def partial_size(repository: str, remote: RemoteFile) -> int:
    """Return how many bytes of a file an earlier, broken download has left."""
    return files.size(_part(_blob(repository, remote)))


def fetch(repository: str, file: ModelFile, remote: RemoteFile) -> str:
    """Fetch a file into the Hub's cache and return its SHA-256.

    A broken download is continued. One that turns out wrong is set aside and begun anew, once.
    Of two processes that want the same file, one waits for the other.

    Args:
        repository: its name on the Hub.
        file: the file, with the size and SHA-256 that it must have, where known.
        remote: what `client.ask` returned for it.

    Raises:
        DownloadError: it cannot be fetched or written, or is wrong twice.

    """
    entry = address.snapshot(repository, remote.commit) / file.file
    blob = _blob(repository, remote)
    lock = address.cache_folder() / ".locks" / blob.parents[1].name / f"{blob.name}.lock"
    try:
        for folder in (entry.parent, blob.parent, lock.parent):
            folder.mkdir(parents=True, exist_ok=True)
        with http.locked(lock, file.file):
            here = (_examine(path, file, remote)[0] for path in (entry, blob) if path.is_file())
            digest = next(filter(None, here), None) or _download(repository, file, remote, blob)
            if not entry.is_file():
                _link(blob, entry)
    except OSError as error:
        msg = (
            f"{error.filename or address.cache_folder()}: {file.file} cannot be written there "
            f"({error.strerror or error}); make room, or set HF_HOME to another folder"
        )
        raise DownloadError(msg) from error
    return digest


def _download(repository: str, file: ModelFile, remote: RemoteFile, blob: Path) -> str:
    """Fetch a file until it is the right one, enter it as a blob, and return its SHA-256."""
    size = file.bytes if file.bytes is not None else remote.bytes
    part, complaint = _part(blob), ""
    for _ in range(_DOWNLOADS):
        # Nobody knows whether more comes behind a part of a file of unknown size.
        if size is None:
            part.unlink(missing_ok=True)
        try:
            client.append(repository, file.file, remote, part, size)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                part.unlink(missing_ok=True)
            raise
        digest, complaint = _examine(part, file, remote)
        if digest is not None:
            part.replace(blob)
            return digest
    msg = f"{file.file} from {address.host()} is wrong, in {_DOWNLOADS} downloads: {complaint}"
    raise DownloadError(msg)


def _examine(path: Path, file: ModelFile, remote: RemoteFile) -> tuple[str | None, str]:
    """Check a file: return its SHA-256, or set it aside and return None and the reason."""
    size, found = file.bytes if file.bytes is not None else remote.bytes, path.stat().st_size
    digest = verify.sha256(path)
    wanted, kind, actual = file.sha256 or remote.sha256, "SHA-256", digest
    if wanted is None:
        # The Hub keeps small files in git, and reports git's own digest.
        content = b"blob %d\0" % found + path.read_bytes()
        actual = hashlib.sha1(content, usedforsecurity=False).hexdigest()
        wanted, kind = remote.etag, "git's digest"
    if size not in (None, found):
        complaint = f"{size:,} bytes were expected, {found:,} were found"
    elif actual != wanted:
        complaint = f"{kind} {wanted} was expected, {actual} was found"
    else:
        return digest, ""
    real = path.resolve()
    aside = real.with_name(f"{real.name}.damaged")  # in place of an earlier one
    real.replace(aside)
    path.unlink(missing_ok=True)  # a link, which leads nowhere now
    logger.warning("%s: %s; it was set aside as %s", file.file, complaint, aside)
    return None, complaint


def _blob(repository: str, remote: RemoteFile) -> Path:
    """Return where huggingface_hub keeps the content of a file, under its digest."""
    return address.folder(repository) / "blobs" / remote.etag


def _part(blob: Path) -> Path:
    return blob.with_name(f"{blob.name}.clip-gaze.incomplete")


def _link(blob: Path, entry: Path) -> None:
    """Enter a blob into a snapshot as huggingface_hub does: by a link, or where that cannot be."""
    entry.unlink(missing_ok=True)  # a link that leads nowhere
    try:
        entry.symlink_to(os.path.relpath(blob, entry.parent))
    except OSError:
        # Windows lets not everybody make links.
        blob.replace(entry)
