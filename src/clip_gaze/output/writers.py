"""Write results: to standard output, into a file that appears whole, or into one that grows."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from clip_gaze.output import names, render, resume, tables
from clip_gaze.output.terminal import fitted
from clip_gaze.system.files import check_place, named, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import BinaryIO

    from clip_gaze.output.resume import Found
    from clip_gaze.results import PictureResult

    Results = Iterable[PictureResult]

# What the names of files in each format end in.
ENDINGS = {
    "text": (".txt",),
    "json": (".json",),
    "jsonl": (".jsonl", ".ndjson"),
    "csv": (".csv",),
    "parquet": (".parquet",),
}
GROWING = ("jsonl", "csv")


@dataclass(frozen=True, slots=True)
class Output:
    """Where results go, and how.

    Attributes:
        path: a file, a device or a pipe; None: standard output.
        kind: one of ENDINGS.
        top: how many phrases of each list; 0 for all.
        wide: CSV with a column for each phrase of each list.
        resume: whether to go on with a file that a broken run has begun.

    """

    path: Path | None
    kind: str
    top: int = 5
    wide: bool = False
    resume: bool = False


def kind_of(path: Path | None) -> str | None:
    """Return the format that a file's name asks for; None where it asks for none."""
    ending = "" if path is None else path.suffix.lower()
    return next((kind for kind, endings in ENDINGS.items() if ending in endings), None)


@dataclass(frozen=True, slots=True)
class _Format:
    """How results are written: as text, piece by piece, or by `save`.

    Attributes:
        pieces: yields the text of results.
        head: what stands before them.
        read: yields what a file holds already; None: a file appears whole or not at all.
        save: writes results into a file in place of `pieces`.

    """

    pieces: Callable[[Results], Iterator[str]]
    head: str = ""
    read: Callable[[BinaryIO], Iterator[Found]] | None = None
    save: Callable[[Results, Path], None] | None = None


def _format(output: Output, lists: Mapping[str, Sequence[str]]) -> _Format:
    if output.wide:
        columns = tables.wide_columns(lists)
        return _Format(
            partial(tables.csv_wide, lists=lists, header=False),
            tables.csv_line(columns),
            partial(resume.csv_wide, header=columns),
        )
    text = render.text if output.path else partial(fitted, render.text)
    return {
        "text": _Format(text),
        "json": _Format(render.json_array),
        "jsonl": _Format(render.json_lines, read=resume.json_results),
        "csv": _Format(
            partial(tables.csv_long, header=False), tables.csv_line(tables.COLUMNS), resume.csv_long
        ),
        "parquet": _Format(text, save=tables.write_parquet),
    }[output.kind]


class Writer:
    """Writes results in one format to one place.

    A run asks `resume` what is done already, and writes the rest in `opened`.
    """

    def __init__(self, output: Output, lists: Mapping[str, Sequence[str]]) -> None:
        """Prepare to write.

        Args:
            output: where, and how.
            lists: name -> phrases, of which the results will hold the best ones.

        Raises:
            GazeError: there is no place for the file.

        """
        check(output.path)
        self._output = output
        self._lists = lists
        self._format = _format(output, lists)
        self._goes_on = False

    def resume(self, like: PictureResult) -> set[str]:
        """Return the pictures that the file holds already, as `names.as_text` spells them.

        Args:
            like: a result of this run, for its settings.

        Raises:
            GazeError: the file holds results of another question, or something else.

        """
        path, read = self._output.path, self._format.read
        if not self._output.resume or path is None or read is None:
            return set()
        top = 0 if self._output.wide else self._output.top
        done = resume.finished(path, read, resume.wanted(like, self._lists, top))
        self._goes_on = bool(done)
        return done

    @contextlib.contextmanager
    def opened(self) -> Iterator[Callable[[Results], None]]:
        """Yield what takes the results; a file that appears whole does so at the end."""
        path, save = self._output.path, self._format.save
        if path is None:
            yield lambda results: to_stdout(self._pieces(results))
        elif self._format.read is not None:
            if not self._goes_on:
                resume.note(path, self._lists)
            yield lambda results: write(self._pieces(results), path, append=self._goes_on)
        else:
            with to_file(path) as part:
                if save is not None:
                    yield lambda results: save(map(names.spelled, results), part)
                else:
                    yield lambda results: write(self._pieces(results), part)

    def _pieces(self, results: Results) -> Iterator[str]:
        """Yield the text of the results, piece by piece."""
        if self._format.head and not self._goes_on:
            yield mark(self._output.path) + self._format.head
        yield from self._format.pieces(map(names.spelled, results))


def mark(path: Path | None) -> str:
    """Return what a table begins with: a byte order mark in a file, nothing elsewhere.

    Programs that read a pipe would take the mark for a part of the first column's name.
    """
    return "" if path is None or _is_device(path) else tables.MARK


def _is_device(path: Path) -> bool:
    return path.exists() and not path.is_file()


def put(pieces: Iterable[str], path: Path | None) -> None:
    """Write text to standard output, or into a file that appears whole."""
    if path is None:
        to_stdout(pieces)
    else:
        with to_file(path) as part:
            write(pieces, part)


def to_stdout(pieces: Iterable[str]) -> None:
    """Write text to standard output, and let the reader see each piece at once."""
    for piece in pieces:
        with named("standard output"):
            sys.stdout.write(piece)
            sys.stdout.flush()


def check(output: Path | None) -> None:
    """Refuse a place where no file can be, before the work for it begins.

    Raises:
        GazeError: see `check_place`; a device or a pipe is a place too.

    """
    if output is not None and (output.is_dir() or not output.exists()):
        check_place(output)


@contextlib.contextmanager
def to_file(output: Path) -> Iterator[Path]:
    """Yield a path to write to; what stands there appears at `output` if nothing fails.

    A device or a pipe is written to directly.
    """
    if _is_device(output):
        yield output
    else:
        with whole(output) as part:
            yield part


def write(pieces: Iterable[str], path: Path, *, append: bool = False) -> None:
    """Write text to a file as it comes; the file is opened when there is something to write.

    Args:
        pieces: text; each is handed to the system whole, so that a killed run keeps it.
        path: the file.
        append: go on behind what the file holds.

    """
    pieces = iter(pieces)
    first = next(pieces, "")
    with named(path), path.open("a" if append else "w", encoding="utf-8", newline="") as file:
        file.write(first)
        file.flush()
        for piece in pieces:
            file.write(piece)
            file.flush()
