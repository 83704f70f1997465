"""Refuse to write where something would be lost that no run can make again."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from clip_gaze.pictures.collect import SUFFIXES
from clip_gaze.system.files import check_place

if TYPE_CHECKING:
    from collections.abc import Iterable


def for_text(output: Path | None) -> None:
    """Refuse a place where no text can go, among them each that has a picture's name.

    Raises:
        click.UsageError: it is a picture's name.
        GazeError: no file can be there.

    """
    if output is not None:
        if output.suffix.lower() in SUFFIXES:
            msg = f"{output}: is the name of a picture, and text would be written; name a .txt file"
            raise click.UsageError(msg)
        check_place(output)


def spared(read: Iterable[object], *outputs: Path | None) -> None:
    """Refuse to write over a file that the command reads.

    Args:
        read: paths of what is read; URLs, words and None are passed over.
        outputs: what is written; None: standard output.

    Raises:
        click.UsageError: a file is both.

    """
    written = {key: each for each in outputs if (key := _file(each))}
    if written and (both := next((key for each in read if (key := _file(each)) in written), None)):
        msg = f"{written[both]}: is read by this command; name another file to write"
        raise click.UsageError(msg)


def _file(path: object) -> object:
    """Return what tells a file from others, whatever it is called; None where there is none."""
    with suppress(OSError, ValueError):
        found = None if path is None else Path(str(path)).stat()
        if found and stat.S_ISREG(found.st_mode):
            # Some file systems of Windows have no such number.
            return (found.st_dev, found.st_ino) if found.st_ino else os.path.realpath(str(path))
    return None
