"""Where results go: standard output, a file that appears whole, or one that grows and resumes."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import sys
from typing import TYPE_CHECKING, Any

from clip_gaze.errors import GazeError
from clip_gaze.output.tables import COLUMNS, SETTINGS, settings
from clip_gaze.results import PictureResult
from clip_gaze.system.files import check_place, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path
    from typing import BinaryIO

    Expect = Callable[[dict[str, Any]], int]

GROWING = ("jsonl", "csv")


def to_stdout(pieces: Iterable[str]) -> None:
    """Write text to standard output, and let the reader see each piece at once."""
    for piece in pieces:
        sys.stdout.write(piece)
        sys.stdout.flush()


def check(output: Path | None) -> None:
    """Find out whether there is a place for a file, before anyone waits for what it will hold.

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
    if output.exists() and not output.is_file():
        yield output
        return
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
    mode = "a" if append else "w"
    # A file's name that is no text, in a result, keeps its bytes.
    with path.open(mode, encoding="utf-8", errors="surrogateescape", newline="") as file:
        file.write(first)
        file.flush()
        for piece in pieces:
            file.write(piece)
            file.flush()


def resume(path: Path, kind: str, like: PictureResult, rows: int, header: list[str]) -> set[str]:
    """Return the pictures that a broken run has finished, and cut off what it left unfinished.

    Args:
        path: what the broken run wrote.
        kind: "jsonl" or "csv".
        like: a result of this run, for its settings.
        rows: how many rows of CSV a picture takes.
        header: the header of CSV.

    Raises:
        GazeError: the file is not one that this run would have begun.
    """
    if not path.is_file():
        return set()
    done: set[str] = set()
    made_by = _made_by(like)
    with path.open("rb") as file:
        end = 0
        results = (
            _json_results(file, path) if kind == "jsonl" else _csv_results(file, path, rows, header)
        )
        for image, found, offset in results:
            if found != made_by:
                msg = (
                    f"{path}: holds results of {_spoken(found)}, not of {_spoken(made_by)}; "
                    "name another file"
                )
                raise GazeError(msg)
            if image:
                done.add(image)
            end = offset
    os.truncate(path, end)
    return done


def _made_by(result: PictureResult) -> tuple[str, ...]:
    """Return the cells of SETTINGS as CSV has them."""
    return tuple(cell or "" for cell in settings(result).values())


def _spoken(made_by: tuple[str, ...]) -> str:
    return ", ".join(filter(None, made_by))


def _json_results(file: BinaryIO, path: Path) -> Iterator[tuple[str, tuple[str, ...], int]]:
    """Yield of each whole line the picture, the cells of SETTINGS, and where it ends."""
    end = 0
    for line in file:
        if not line.endswith(b"\n"):
            return
        end += len(line)
        try:
            result = json.loads(line.decode("utf-8", "surrogateescape"))
            made_by = _made_by(PictureResult(**result))
            found = result["image"], made_by, end
        except (ValueError, KeyError, TypeError) as error:
            msg = f"{path}: holds something else than results; name another file"
            raise GazeError(msg) from error
        yield found


def _csv_results(
    file: BinaryIO, path: Path, rows: int, header: list[str]
) -> Iterator[tuple[str, tuple[str, ...], int]]:
    """Yield of each picture with all its rows what `_json_results` yields."""
    end = 0

    def lines() -> Iterator[str]:
        nonlocal end
        for line in file:
            if not line.endswith(b"\n"):
                return
            end += len(line)
            yield line.decode("utf-8", "surrogateescape")

    reader = csv.reader(lines())
    if (found := next(reader, None)) != header:
        if found is None:
            return
        msg = f"{path}: has other columns than this run would write; name another file"
        raise GazeError(msg)
    image, count = "", 0
    for row in reader:
        if len(row) != len(header):  # a cell with a line break in it, cut there
            return
        if row[0] != image:
            image, count = row[0], 0
        count += 1
        if count == (rows if row[COLUMNS.index("status")] == "ok" else 1):
            yield image, tuple(row[1 : 1 + len(SETTINGS)]), end
            image, count = "", 0
