"""Write results: to standard output, into a file that appears whole, or into one that grows."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

from clip_gaze.output import names, render, resume, tables
from clip_gaze.output.terminal import fitted
from clip_gaze.system.files import check_place, is_device, named, size, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import BinaryIO

    from clip_gaze.output.resume import Found
    from clip_gaze.results import PictureResult

    Results = Iterable[PictureResult]
    Text = Callable[[Results], Iterator[str]]
    Read = Callable[[BinaryIO], Iterator[Found]]

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


def _format(output: Output, lists: Mapping[str, Sequence[str]]) -> tuple[Text, Read | None]:
    """Return what yields the text of results, and what yields those that a file holds already.

    Without the second, a file appears whole or not at all; Parquet has no text.
    """
    if output.wide:
        read = partial(resume.csv_wide, header=tables.wide_columns(lists))
        return partial(tables.csv_wide, lists=lists), read
    formats: dict[str, tuple[Text, Read | None]] = {
        "json": (render.json_array, None),
        "jsonl": (render.json_lines, resume.json_results),
        "csv": (tables.csv_long, resume.csv_long),
    }
    return formats.get(output.kind, (partial(fitted, render.text, path=output.path), None))


class Writer:
    """Writes results in one format to one place.

    A run asks `resume` what is done already, and writes the rest in `opened`.
    """

    def __init__(
        self, output: Output, lists: Mapping[str, Sequence[str]], folder: str | None = None
    ) -> None:
        """Prepare to write.

        Args:
            output: where, and how.
            lists: name -> phrases, of which the results will hold the best ones.
            folder: what names of pictures are relative to, or that they come from a dataset, as
                the file's note has it; None: the working folder.

        Raises:
            GazeError: there is no place for the file.

        """
        path = output.path
        if path is not None:
            check_place(path)
        # Whether a growing file takes the place of none.
        self._new = path is not None and (is_device(path) or not size(path))
        self._output = output
        self._lists = lists
        self._folder = folder
        self._text, self._read = _format(output, lists)
        self._goes_on = False

    def resume(self, like: PictureResult) -> set[str]:
        """Return the pictures that the file holds already, as `names.as_text` spells them.

        Args:
            like: a result of this run, for its settings.

        Raises:
            GazeError: the file holds results of another question, or something else.

        """
        path = self._output.path
        if not self._output.resume or path is None or self._read is None:
            return set()
        top = 0 if self._output.wide else self._output.top
        done = resume.finished(path, self._read, like, self._lists, top, self._folder)
        self._new |= not done  # what is left is worth nothing
        self._goes_on = bool(done)
        return done

    @property
    def grows(self) -> bool:
        """Whether the file has each result as it comes, so that a run can go on with it.

        A file that is there, and is written anew, stays as it is until all results are there.
        """
        return self._read is not None and (self._goes_on or self._new)

    @contextlib.contextmanager
    def opened(self) -> Iterator[Callable[[Results], None]]:
        """Yield what takes the results; a file that appears whole does so at the end."""
        path = self._output.path
        if path is None:
            yield lambda results: to_stdout(self._pieces(results))
        elif self.grows:
            begun = iter if self._goes_on else partial(self._begun, path)
            yield lambda results: write(begun(self._pieces(results)), path, append=self._goes_on)
        else:
            with whole(path) as part:
                if self._output.kind == "parquet":
                    yield lambda results: tables.write_parquet(map(names.spelled, results), part)
                else:
                    yield lambda results: write(self._pieces(results), part)
            if self._read is not None:
                resume.note(path, self._lists, self._folder)

    def _begun(self, path: Path, pieces: Iterator[str]) -> Iterator[str]:
        """Yield the first result with what precedes it, so that there is no file without one."""
        first = next(pieces, "") + (next(pieces, "") if self._output.kind == "csv" else "")
        resume.note(path, self._lists, self._folder)
        yield from chain([first], pieces)

    def _pieces(self, results: Results) -> Iterator[str]:
        """Yield the text of the results, piece by piece."""
        pieces = self._text(map(names.spelled, results))
        if self._output.kind == "csv" and self._goes_on:
            next(pieces)
        elif self._output.kind == "csv":
            pieces = marked(pieces, self._output.path)
        return pieces


def marked(table: Iterator[str], path: Path | None) -> Iterator[str]:
    """Yield CSV with a byte order mark before it, if it goes into a file.

    Programs that read a pipe would take the mark for a part of the first column's name.
    """
    if path is not None and not is_device(path):
        yield tables.MARK + next(table)
    yield from table


def put(pieces: Iterable[str], path: Path | None) -> None:
    """Write text to standard output, or into a file that appears whole."""
    if path is None:
        to_stdout(pieces)
    else:
        with whole(path) as part:
            write(pieces, part)


def to_stdout(pieces: Iterable[str]) -> None:
    """Write text to standard output, and let the reader see each piece at once."""
    for piece in pieces:
        with named("standard output"):
            sys.stdout.write(piece)
            sys.stdout.flush()


def write(pieces: Iterable[str], path: Path, *, append: bool = False) -> None:
    """Write text to a file as it comes; the file is opened when there is something to write.

    Each piece is handed to the system whole, so that a killed run keeps it.
    """
    pieces = iter(pieces)
    first = next(pieces, "")
    with named(path), path.open("a" if append else "w", encoding="utf-8", newline="") as file:
        for piece in chain([first], pieces):
            file.write(piece)
            file.flush()
