"""Keep thumbnails of picture files for later runs, by digests of the files' content."""

from __future__ import annotations

import contextlib
import io
import os
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from clip_gaze.pictures import thumbnails
from clip_gaze.pictures.thumbnails import Thumbnail
from clip_gaze.system import shelf
from clip_gaze.system.files import sha256
from clip_gaze.system.stamps import stamp

if TYPE_CHECKING:
    from collections.abc import Iterable

    from clip_gaze.store import Store

ENDING = ".webp"
_MADE_AS = "1"  # changes whenever thumbnails come out differently


class Kept:
    """Thumbnails of one size: those of files that were seen before are read, the others made."""

    def __init__(
        self, folder: Path, store: Store, edge: int, max_pixels: int | None, paths: Iterable[Path]
    ) -> None:
        """Look up which of the files that will be asked for are known; see `thumbnails.small`.

        The thumbnails lie in `folder`; the store has the digests of files that have not changed.
        """
        self._folder, self._edge, self._max_pixels = folder, edge, max_pixels
        self._stamps = {path: found for path in paths if (found := stamp(path))}
        self._digests = store.digests(self._stamps)
        self._new = False

    def get(self, name: str) -> Thumbnail:
        """Return the thumbnail of a file; see `thumbnails.small` for errors."""
        path = Path(name)
        before = stamp(path)
        place = None
        if before is not None:
            with contextlib.suppress(OSError):
                place = self._place(path, before)
                if known := _read(place):
                    return known
        made = thumbnails.made(name, self._edge, self._max_pixels)
        # Where it was written to meanwhile, the digest may not be that of what was drawn.
        if place is not None and stamp(path) == before:
            self._keep(place, made.file)
        return made

    def prune(self, most: int) -> None:
        """Remove the least recently used thumbnails if new ones made all take too many bytes."""
        if self._new:
            shelf.prune(self._folder, most, ending=ENDING)

    def _place(self, path: Path, before: str) -> Path:
        """Return where the thumbnail of a file is, or would be."""
        digest = self._digests.get(path) if self._stamps.get(path) == before else None
        if digest is None:
            with path.open("rb") as file:
                digest = sha256(file)
        return self._folder / f"{digest}-{self._edge}-{_MADE_AS}{ENDING}"

    def _keep(self, place: Path, content: bytes) -> None:
        # A part that a killed process leaves ends like the others, so that it is removed with them.
        part = place.with_name(f"part-{os.getpid()}{ENDING}")
        with contextlib.suppress(OSError):  # nobody may write there, or the disk is full
            place.parent.mkdir(parents=True, exist_ok=True)
            part.write_bytes(content)
            part.replace(place)
            self._new = True


def _read(place: Path) -> Thumbnail | None:
    """Return a thumbnail that is there and whole, and note that it was used."""
    with contextlib.suppress(OSError):
        content = place.read_bytes()
        # A RIFF file says how long it is: one that was cut short when the power failed is not.
        if len(content) == 8 + int.from_bytes(content[4:8], "little"):
            with Image.open(io.BytesIO(content), formats=["WEBP"]) as image:
                os.utime(place)
                return Thumbnail(content, image.size)
    return None
