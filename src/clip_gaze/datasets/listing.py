"""List the pictures of a collection one by one: from folders, URLs, patterns, files of names."""

from __future__ import annotations

import codecs
import contextlib
import csv
import os
import sys
from itertools import chain, islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from clip_gaze.datasets.parts import arrow
from clip_gaze.errors import GazeError, PictureError
from clip_gaze.pictures import collect, source
from clip_gaze.pictures.source import Remote
from clip_gaze.system import storage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from clip_gaze.pictures.source import File

STDIN = "-"
_BATCH = 10_000  # names of a Parquet file in memory


class Named(NamedTuple):
    """A picture's name, which is its path or URL, and its stamp where the listing tells it."""

    name: str
    stamp: str | None = None


def listed(
    sources: Iterable[str | os.PathLike[str] | File | Remote],
    failed: Callable[[PictureError], object],
    *,
    recursive: bool = True,
    exclude: Sequence[str] = (),
) -> Iterator[Named]:
    """Yield the pictures of a collection, in an order that stays; they never stand in memory.

    See `collect.pictures`; the source "-" stands for names on standard input, one a line.
    `failed` is called with what is wrong with a folder that cannot be read.
    """
    meant = collect.pictures(spread(sources), recursive=recursive, exclude=exclude)
    for found, error in meant:
        if error is not None:
            failed(error)
        elif isinstance(found, Remote):
            yield Named(found.name, found.known)
        else:
            yield named(str(found))


def named(name: str) -> Named:
    """Return a picture's name with its stamp: None at a URL, or where there is no file.

    A file's are its size and time, which copies of it on other machines have too.
    """
    if not storage.is_url(name):
        with contextlib.suppress(OSError, ValueError):
            found = Path(name).stat()
            return Named(name, f"{found.st_size} {found.st_mtime_ns}")
    return Named(name)


def spread(
    sources: Iterable[str | os.PathLike[str] | File | Remote],
) -> Iterator[str | os.PathLike[str] | File | Remote]:
    """Yield sources, and for "-" the files that standard input names."""
    for each in sources:
        yield from names(STDIN) if each == STDIN else [each]


def names(file: str, column: str | None = None) -> Iterator[File | Remote]:
    """Return the pictures that a file names; what is wrong with its beginning is said at once.

    Args:
        file: a path or URL: CSV or Parquet, by its ending; else text with one a line; "-" is
            standard input.
        column: of CSV or Parquet; None: the only one.

    Raises:
        GazeError: the file cannot be read, or has no such column.

    """
    read = {".csv": _csv, ".parquet": _parquet}.get(Path(file).suffix.lower())
    if column is not None and read is None:
        msg = f"{file}: has no columns; --column goes with .csv and .parquet"
        raise GazeError(msg)

    def pictures() -> Iterator[File | Remote]:
        with _opened(file) as stream:
            named = read(stream, file, column) if read else _lines(stream)
            yield from map(source.named, named)

    found = pictures()
    return chain([*islice(found, 1)], found)


@contextlib.contextmanager
def _opened(file: str) -> Iterator[IO[bytes]]:
    if file == STDIN:
        yield sys.stdin.buffer
        return
    fs, path = storage.opened(file)
    with storage.reached(file), contextlib.ExitStack() as stack:
        try:
            stream = stack.enter_context(fs.open(path, "rb"))
        except OSError as error:
            what = "no such file" if isinstance(error, FileNotFoundError) else "cannot be read"
            msg = f"{file}: {what}; name a file with one path or URL a line"
            raise GazeError(msg) from error
        yield stream


def _lines(stream: Iterable[bytes]) -> Iterator[str]:
    for line in stream:
        try:
            name = os.fsdecode(line.rstrip(b"\r\n").removeprefix(b"\xef\xbb\xbf"))
        except UnicodeDecodeError:  # on Windows alone, where names are text
            msg = f"the names are not UTF-8 ({line[:40]!r}); save them so, or chcp 65001 first"
            raise GazeError(msg) from None
        if name:
            yield name


def _csv(stream: IO[bytes], file: str, column: str | None) -> Iterator[str]:
    rows = csv.reader(codecs.iterdecode(stream, "utf-8-sig"))
    try:
        at = _place(next(rows, []), file, column)
        for row in rows:
            if len(row) > at and row[at]:
                yield row[at]
    except (csv.Error, UnicodeDecodeError) as error:
        msg = f"{file}: is not CSV in UTF-8 ({error})"
        raise GazeError(msg) from error


def _parquet(stream: Any, file: str, column: str | None) -> Iterator[str]:
    pa, parquet = arrow()
    try:
        table = parquet.ParquetFile(stream)
    except pa.ArrowInvalid as error:
        msg = f"{file}: is not a Parquet file ({str(error).splitlines()[0]})"
        raise GazeError(msg) from error
    chosen = table.schema_arrow.names[_place(table.schema_arrow.names, file, column)]
    for batch in table.iter_batches(_BATCH, columns=[chosen]):
        yield from (str(name) for name in batch.column(0).to_pylist() if name)


def _place(columns: Sequence[str], file: str, column: str | None) -> int:
    """Return where a column stands."""
    if column is None and len(columns) == 1:
        return 0
    if column not in columns:
        what = "say which column has the names" if column is None else f"has no column {column!r}"
        msg = f"{file}: {what}; --column can be {', '.join(columns) or 'none'}"
        raise GazeError(msg)
    return columns.index(column)
