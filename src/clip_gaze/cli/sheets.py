"""Put what `clip-gaze find` found where it goes: text, data, or a contact sheet."""

from __future__ import annotations

import webbrowser
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import click

from clip_gaze.cli.places import for_text, spared
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
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from clip_gaze.output.sheet import Row

_T = TypeVar("_T")

KINDS = ("text", "json", "jsonl", "csv")
_PAGES = (".html", ".htm")


@dataclass(frozen=True, slots=True)
class Out:
    """Where what was found goes, and how.

    Attributes:
        offline: whether other machines may not be reached.
        path: a file; None: standard output.
        kind: one of KINDS; None: what the file's name says.
        null: whether names alone are printed.
        show: whether a contact sheet is opened.

    """

    offline: bool
    path: Path | None
    kind: str | None
    null: bool
    show: bool

    @property
    def sheet(self) -> Path | None:
        """The file, if it is a contact sheet."""
        is_sheet = self.path and self.path.suffix.lower() in (*_PAGES, *canvas.KINDS)
        return self.path if is_sheet else None

    def check(self, *, duplicates: bool) -> None:
        """Refuse what cannot be done before the model is opened."""
        if self.null and (duplicates or self.kind or self.path):
            msg = "-0 prints names alone; it goes with no --duplicates, --format or -o"
            raise click.UsageError(msg)
        if self.show or (self.path and _is_page(self.path)):
            report.template("sheet.html.jinja")
        if self.sheet:
            if self.kind:
                msg = f"{self.path}: is a contact sheet; leave out --format"
                raise click.UsageError(msg)
            check_place(self.sheet)
        elif self.path:
            if self.kind is None and writers.kind_of(self.path) not in KINDS:
                what = "name a .txt, .json, .jsonl or .csv file, or a .html or .png sheet"
                msg = f"{self.path}: {what}"
                raise click.UsageError(msg)
            for_text(self.path)

    def check_found(self, answer: Search | Duplicates) -> None:
        """Refuse to write over a picture that was found among all that was ever seen."""
        if self.path and not canvas.is_ours(self.path):
            spared((name for _, rows in _groups(answer) for _, name in rows), self.path)


def _is_page(path: Path) -> bool:
    return path.suffix.lower() in _PAGES


def put(answer: Search | Duplicates, out: Out, note: str) -> int:
    """Write what was found where it goes; return how many pictures a sheet could not show."""
    shown = out.sheet
    look = _Look(out.offline)
    if out.null and isinstance(answer, Search):
        say(f"clip-gaze: {found.title(answer)} ({found.about(answer)})")
        writers.to_stdout(f"{hit.image}\0" for hit in answer.images)
    elif shown:
        _put_sheet(answer, note, shown, look)
    else:
        with writing(out.path):
            _write(answer, out.kind or writers.kind_of(out.path) or "text", out.path)
    if out.show:
        if shown is None:
            shown = cache_folder() / "found.html"  # each takes the place of the one before
            shown.parent.mkdir(parents=True, exist_ok=True)
            _put_sheet(answer, note, shown, look)
        webbrowser.open(shown.absolute().as_uri())
    return look.failed


class _Look:
    """Opens pictures again, names those that cannot be, and counts them."""

    def __init__(self, offline: bool) -> None:
        """Begin; `offline`: whether URLs that lead to other machines are refused."""
        self._offline = offline
        self.failed = 0

    def made(self, make: Callable[..., _T], edge: int, name: str) -> _T | None:
        """Return what a function of `thumbnails` makes of a picture."""
        try:
            return make(name, edge, offline=self._offline)
        except PictureError as error:
            say(f"clip-gaze: error: {error}")
            self.failed += 1
            return None


def _put_sheet(answer: Search | Duplicates, note: str, path: Path, look: _Look) -> None:
    with writing(path):
        if _is_page(path):
            small = partial(look.made, thumbnails.made, sheet.EDGE)
            sheet.write(*_heading(answer), note, _groups(answer), path, small)
        else:
            _draw(answer, note, path, look)


def _write(answer: Search | Duplicates, kind: str, output: Path | None) -> None:
    what: Any
    text: Callable[[Any, int | None], Iterator[str]]
    csv: Callable[[Any], Iterator[str]]
    if isinstance(answer, Search):
        what, text, csv = found.spelled(answer), found.text, found.csv
    else:
        what, text, csv = found.spelled_groups(answer), found.duplicates, found.csv_duplicates
    if kind == "text":
        pieces = fitted(text, what, output)
    elif kind == "csv":
        pieces = writers.marked(csv(what), output)
    else:
        pieces = {"json": found.json_object, "jsonl": found.json_lines}[kind](what)
    writers.put(pieces, output)


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
            small = look.made(thumbnails.small, 2 * drawn.EDGE, name)
            if small is not None:
                shown.append((figure, name, drawn.thumbnail(rgb(small))))
        left -= len(shown)
        if shown:
            groups.append((title, shown))
    if not left:
        say(f"clip-gaze: {output}: shows the first {drawn.MOST}; an .html file shows them all")
    canvas.write(drawn.draw(*_heading(answer), note, groups), output)
