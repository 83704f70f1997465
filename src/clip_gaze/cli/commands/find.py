"""The command that finds pictures: `clip-gaze find`."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import webbrowser
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clip_gaze.analysis.search import NEAR
from clip_gaze.cli.options import Asked, model_options, output_option, picture_options
from clip_gaze.cli.progress import SOME_FAILED, NothingWrittenError, encoding, opened, say
from clip_gaze.drawing import canvas
from clip_gaze.drawing import sheet as drawn
from clip_gaze.errors import PictureError
from clip_gaze.output import found, report, sheet, writers
from clip_gaze.output.terminal import fitted
from clip_gaze.pictures import collect, thumbnails
from clip_gaze.pictures.preprocess import rgb
from clip_gaze.results import Duplicates, Search
from clip_gaze.system.files import check_place

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from clip_gaze.output.sheet import Row

_ALL = "all"
_KINDS = ("text", "json", "jsonl", "csv")
_PAGES = (".html", ".htm")


@dataclass(frozen=True, slots=True)
class _Out:
    """Where what was found goes, and how.

    Attributes:
        path: a file; None: standard output.
        kind: one of _KINDS; None: what the file's name says.
        null: whether names alone are printed.
        show: whether a contact sheet is opened.

    """

    path: Path | None
    kind: str | None
    null: bool
    show: bool

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
        if not is_sheet and self.kind is None and writers.kind_of(self.path) not in _KINDS:
            msg = f"{self.path}: name a .txt, .json, .jsonl or .csv file, or a .html or .png sheet"
            raise click.UsageError(msg)
        check_place(self.path)


class _Minus(click.Command):
    """A command to which a word with one - before it is something that is not wanted."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Turn -"some words" into --not "some words", but for options and their values."""
        takes = {
            name for each in self.params if isinstance(each, click.Option) and not each.is_flag
            for name in each.opts
        }  # fmt: skip
        turned: list[str] = []
        for at, word in enumerate(args):
            if word == "--":
                turned += args[at:]
                break
            single = len(word) > 2 and word[0] == "-" and word[1] != "-"
            is_value = bool(at) and args[at - 1] in takes
            turned += ["--not", word[1:]] if single and not is_value else [word]
        return super().parse_args(ctx, turned)


@click.command(cls=_Minus)
@click.argument("query", nargs=-1, metavar="QUERY... [FOLDER|all]")
@click.option("--like", multiple=True, metavar="PICTURE", help="A picture that is looked for.")
@click.option(
    "--not", "without", multiple=True, metavar="TEXT|PICTURE",
    help='What is taken away; -"some words" says the same.',
)  # fmt: skip
@click.option("--duplicates", is_flag=True, help="Find pictures that are equal or nearly so.")
@click.option(
    "--threshold", type=click.FloatRange(-1, 1), default=NEAR, show_default=True,
    help="With --duplicates: the least cosine.",
)  # fmt: skip
@click.option(
    "--top", type=click.IntRange(min=0), default=10, show_default=True,
    help="Pictures to show; 0 for all.",
)  # fmt: skip
@click.option("--min", "least", type=click.FloatRange(-1, 1), help="The least cosine.")
@click.option(
    "--format", "kind", type=click.Choice(_KINDS), help="[default: what FILE ends in, else text]"
)
@output_option("Write here; .html, .png, .jpg, .webp and .svg are contact sheets.")
@click.option(
    "-0", "null", is_flag=True, help="Print names alone, each with a zero byte behind it."
)
@click.option("--open", "show", is_flag=True, help="Open a contact sheet.")
@picture_options
@model_options
def find(
    *,
    query: Sequence[str],
    like: Sequence[str],
    without: Sequence[str],
    duplicates: bool,
    threshold: float,
    top: int,
    least: float | None,
    **options: Any,
) -> int:
    """Find the pictures that are nearest to words, to pictures, or to a sum of both.

    The last word may be a folder, or `all`, which is the default: all pictures that clip-gaze has
    looked at. Words are pictures where there is such a file. What has a - before it is taken
    away: clip-gaze find "a harbour" -"boats" sketch.jpg my_scans
    """
    out = _Out(*(options.pop(each) for each in ("output", "kind", "null", "show")))
    words, where = _where(query)
    asked = bool(words or like or without)
    if asked is duplicates:
        what = "--duplicates takes a folder, and no query"
        raise click.UsageError(what if asked else "say what to look for: words or a picture")
    out.check(duplicates=duplicates)
    images: list[Path] | None = None  # all that were seen
    code, recursive, exclude = 0, options.pop("recursive"), options.pop("exclude")
    if where != _ALL:
        images, code = Asked([where], (), (), (), recursive, exclude).pictures()
    terms = [*map(_term, words), *map(Path, like)]
    with opened(**options) as clip, encoding() as bar, _bar("looking", " pictures") as looking:
        answer: Search | Duplicates
        if duplicates:
            with _bar("comparing", " pictures") as comparing:
                answer = clip.duplicates(images, threshold, progress=looking, comparing=comparing)
        else:
            answer = clip.find(
                terms, images, without=[_term(each) for each in without], top=top, least=least,
                progress=looking, encoding=bar,
            )  # fmt: skip
        note = clip.manifest.note
    for each in answer.unread:
        say(f"clip-gaze: error: {each.error}")
    if images is not None and len(answer.unread) == len(images):
        raise NothingWrittenError
    if isinstance(answer, Search) and answer.gone:
        what = "picture is" if answer.gone == 1 else "pictures are"
        say(f"clip-gaze: {answer.gone:,} nearer {what} gone or changed since, and left out")
    _put(answer, out, note)
    return SOME_FAILED if answer.unread else code


def _where(query: Sequence[str]) -> tuple[Sequence[str], str]:
    """Return what is looked for, and where.

    Raises:
        PictureError: a word that can only be a path leads nowhere.

    """
    for word in query:
        is_path = Path(word).is_absolute() or word.startswith(("./", "../", "~/"))
        if is_path and not os.path.lexists(word):
            msg = f"{word}: no such file or folder; check the name and the folder"
            raise PictureError(msg)
    if query and (query[-1] == _ALL or Path(query[-1]).is_dir()):
        return query[:-1], query[-1]
    return query, _ALL


def _term(word: str) -> str | Path:
    """Return a picture's path where there is such a file, else the words."""
    looks = Path(word).suffix.lower() in collect.SUFFIXES
    if Path(word).is_file():
        if not looks:
            say(f'clip-gaze: {word} is a file here, and taken as a picture; "{word} " is a word')
        return Path(word)
    if looks:
        say(f"clip-gaze: {word}: no such file; it is taken as words")
    return word.strip()


def _put(answer: Search | Duplicates, out: _Out, note: str) -> None:
    """Write what was found where it goes."""
    shown = out.path
    if out.null and isinstance(answer, Search):
        writers.to_stdout(f"{hit.image}\0" for hit in answer.images)
    elif out.path is not None and out.drawing:
        _draw(answer, note, out.path)
    elif out.path is not None and out.page:
        sheet.write(*_heading(answer), note, _groups(answer), out.path)
    else:
        _write(answer, out.kind or writers.kind_of(out.path) or "text", out.path)
        shown = None
    if out.show:
        if shown is None:
            shown = Path(tempfile.mkdtemp(prefix="clip-gaze-"), "found.html")
            sheet.write(*_heading(answer), note, _groups(answer), shown)
        webbrowser.open(shown.absolute().as_uri())


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
        yield "", [(f"{hit.similarity:.3f}", hit.image) for hit in answer.images]
        return
    for group in answer.groups:
        rows = [
            ("equal" if copy else f"{alike.similarity:.3f}" if at else "", image)
            for at, alike in enumerate(group)
            for copy, image in enumerate(alike.images)
        ]
        yield f"{len(rows):,} files", rows


def _draw(answer: Search | Duplicates, note: str, output: Path) -> None:
    """Draw the contact sheet, as far as pictures can be opened and a drawing has room."""
    left, groups = drawn.MOST, []
    for title, rows in _groups(answer):
        shown = []
        for figure, name in rows[:left]:
            try:
                small = thumbnails.small(name, 2 * drawn.EDGE)
            except PictureError as error:
                say(f"clip-gaze: error: {error}")
            else:
                shown.append((figure, name, drawn.thumbnail(rgb(small))))
        left -= len(shown)
        if shown:
            groups.append((title, shown))
    if not left:
        say(f"clip-gaze: {output}: shows the first {drawn.MOST}; an .html file shows them all")
    canvas.write(drawn.draw(*_heading(answer), note, groups), output)


@contextlib.contextmanager
def _bar(what: str, unit: str) -> Iterator[Any]:
    """Show a bar on a terminal; yields what is told of the progress."""
    with contextlib.ExitStack() as bars:
        shown: list[Any] = []

        def show(done: int, total: int) -> None:
            if not shown:
                from tqdm import tqdm  # noqa: PLC0415 - takes 5 MB, saved where no bar is shown

                bar = tqdm(total=total, desc=what, unit=unit, delay=0.5, leave=False)
                shown.append(bars.enter_context(bar))
            shown[0].update(done - shown[0].n)

        yield show if sys.stderr.isatty() else lambda *_: None
