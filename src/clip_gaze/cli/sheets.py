"""Put what `clip-gaze find` found where it goes: text, data, or a contact sheet."""

from __future__ import annotations

import contextlib
import webbrowser
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import click

from clip_gaze.cli.places import for_text
from clip_gaze.cli.progress import say, writing
from clip_gaze.drawing import canvas
from clip_gaze.drawing import sheet as drawn
from clip_gaze.errors import PictureError
from clip_gaze.output import found, report, sheet, writers
from clip_gaze.output.terminal import fitted
from clip_gaze.pictures import thumbnails
from clip_gaze.pictures.preprocess import rgb
from clip_gaze.results import Duplicates, Search
from clip_gaze.system.files import check_place
from clip_gaze.system.paths import cache_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from PIL import Image

    from clip_gaze.output.sheet import Row

KINDS = ("text", "json", "jsonl", "csv")
_PAGES = (".html", ".htm")


@dataclass(frozen=True, slots=True)
class Out:
    """Where what was found goes, and how.

    Attributes:
        path: a file; None: standard output.
        kind: one of KINDS; None: what the file's name says.
        null: whether names alone are printed.
        show: whether a contact sheet is opened.
        offline: whether other machines may not be reached.

    """

    path: Path | None
    kind: str | None
    null: bool
    show: bool
    offline: bool

    @property
    def drawing(self) -> bool:
        """Whether the file is a drawn contact sheet."""
        return self.path is not None and self.path.suffix.lower() in canvas.KINDS

    @property
    def page(self) -> bool:
        """Whether the file is a contact sheet for a browser."""
        return self.path is not None and self.path.suffix.lower() in _PAGES

    def check(self, *, duplicates: bool) -> None:
        """Refuse what cannot be done before the model is opened."""
        if self.null and (duplicates or self.kind or self.path):
            msg = "-0 prints names alone; it goes with no --duplicates, --format or -o"
            raise click.UsageError(msg)
        if self.show or self.page:
            report.template("sheet.html.jinja")
        if self.path is None:
            return
        is_sheet = self.page or self.drawing
        if is_sheet and self.kind:
            msg = f"{self.path}: is a contact sheet; leave out --format"
            raise click.UsageError(msg)
        if not is_sheet and self.kind is None and writers.kind_of(self.path) not in KINDS:
            msg = f"{self.path}: name a .txt, .json, .jsonl or .csv file, or a .html or .png sheet"
            raise click.UsageError(msg)
        if is_sheet:
            check_place(self.path)
        else:
            for_text(self.path)


def put(answer: Search | Duplicates, out: Out, note: str) -> int:
    """Write what was found where it goes; return how many pictures a sheet could not show."""
    path, shown = out.path, out.path
    look = _Look(out.offline)
    if out.null and isinstance(answer, Search):
        say(f"clip-gaze: {found.title(answer)} ({found.about(answer)})")
        writers.to_stdout(f"{hit.image}\0" for hit in answer.images)
    elif path is not None and out.drawing:
        with writing(path):
            _draw(answer, note, path, look)
    elif path is not None and out.page:
        _page(answer, note, path, look)
    else:
        with writing(path):
            _write(answer, out.kind or writers.kind_of(path) or "text", path)
        shown = None
    if out.show:
        if shown is None:
            shown = cache_folder() / "found.html"  # each takes the place of the one before
            shown.parent.mkdir(parents=True, exist_ok=True)
            _page(answer, note, shown, look)
        webbrowser.open(shown.absolute().as_uri())
    return look.failed


class _Look:
    """Opens pictures again, names those that cannot be, and counts them."""

    def __init__(self, offline: bool) -> None:
        """Begin; `offline`: whether URLs that lead to other machines are refused."""
        self._offline = offline
        self.failed = 0

    def small(self, name: str, edge: int) -> Image.Image | None:
        """Return a picture made small."""
        with self._told():
            return thumbnails.small(name, edge, offline=self._offline)
        return None

    def thumbnail(self, name: str) -> thumbnails.Thumbnail | None:
        """Return the thumbnail of a page."""
        with self._told():
            return thumbnails.made(name, sheet.EDGE, offline=self._offline)
        return None

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except PictureError as error:
            say(f"clip-gaze: error: {error}")
            self.failed += 1


def _page(answer: Search | Duplicates, note: str, path: Path, look: _Look) -> None:
    with writing(path):
        sheet.write(*_heading(answer), note, _groups(answer), path, look.thumbnail)


def _write(answer: Search | Duplicates, kind: str, output: Path | None) -> None:
    if isinstance(answer, Search):
        spelled = found.spelled(answer)
        made = {
            "text": partial(fitted, found.text, spelled, output),
            "csv": partial(found.csv, spelled),
        }
        shared: Search | Duplicates = spelled
    else:
        groups = found.spelled_groups(answer)
        made = {
            "text": partial(fitted, found.duplicates, groups, output),
            "csv": partial(found.csv_duplicates, groups),
        }
        shared = groups
    made |= {"json": partial(found.json_object, shared), "jsonl": partial(found.json_lines, shared)}
    pieces = made[kind]()
    writers.put(writers.marked(pieces, output) if kind == "csv" else pieces, output)


def _heading(answer: Search | Duplicates) -> tuple[str, str]:
    if isinstance(answer, Search):
        return found.title(answer), found.about(answer)
    return found.title_of_groups(answer), found.about_groups(answer)


def _groups(answer: Search | Duplicates) -> Iterator[tuple[str, list[Row]]]:
    """Yield the title and pictures of each part of a contact sheet."""
    if isinstance(answer, Search):
        yield "", [(_figure(hit.similarity), hit.image) for hit in answer.images]
        return
    for group in answer.groups:
        rows = [
            ("equal" if copy else _figure(alike.similarity) if at else "", image)
            for at, alike in enumerate(group)
            for copy, image in enumerate(alike.images)
        ]
        yield f"{len(rows):,} files", rows


def _figure(cosine: float) -> str:
    return f"{cosine:.3f}".replace("-", "\N{MINUS SIGN}")


def _draw(answer: Search | Duplicates, note: str, output: Path, look: _Look) -> None:
    """Draw the contact sheet, as far as pictures can be opened and a drawing has room."""
    left, groups = drawn.MOST, []
    for title, rows in _groups(answer):
        shown = []
        for figure, name in rows[:left]:
            small = look.small(name, 2 * drawn.EDGE)
            if small is not None:
                shown.append((figure, name, drawn.thumbnail(rgb(small))))
        left -= len(shown)
        if shown:
            groups.append((title, shown))
    if not left:
        say(f"clip-gaze: {output}: shows the first {drawn.MOST}; an .html file shows them all")
    canvas.write(drawn.draw(*_heading(answer), note, groups), output)
