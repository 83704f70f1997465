"""Refuse to write where something would be lost that no run can make again."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import click

from clip_gaze.cli.progress import say
from clip_gaze.pictures.collect import SUFFIXES
from clip_gaze.system import storage
from clip_gaze.system.files import check_place, identity
from clip_gaze.wording import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

_T = TypeVar("_T")


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
    """Refuse to write over a file that the command reads; URLs, words and None are passed over.

    Raises:
        click.UsageError: a file is read and written.

    """
    written = {key: each for each in outputs if (key := _file(each))}
    if written and (both := next((key for each in read if (key := _file(each)) in written), None)):
        msg = f"{written[both]}: is read by this command; name another file to write"
        raise click.UsageError(msg)


def undrawn(listed: Sequence[_T], *outputs: Path | None) -> list[_T]:
    """Return the pictures that were listed, without drawings of an earlier run that are made anew.

    Raises:
        click.UsageError: another picture among them would be drawn over.

    """
    from clip_gaze.drawing import canvas

    written = {key: each for each in outputs if (key := _file(each))}
    found = [written.get(_file(each)) if written else None for each in listed]
    spared((each for each in found if each and not canvas.is_ours(each)), *outputs)
    if again := len(listed) - found.count(None):
        say(f"clip-gaze: {counted(again, 'drawing')} made before: not looked at, and made anew")
    return [each for each, output in zip(listed, found, strict=True) if output is None]


def _file(path: object) -> object:
    """Return what tells a file from others; None where there is none."""
    name = str(path)
    if name.lower().startswith(("file://", "local://")):
        _, name = storage.opened(name)
    return None if path is None else identity(name)
