"""Read how far a run that was broken off has come, from the file that it wrote."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import json
import os
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from clip_gaze.errors import GazeError
from clip_gaze.output.names import is_relative
from clip_gaze.output.tables import COLUMNS, MARK, csv_line, settings, text_of
from clip_gaze.results import PictureResult
from clip_gaze.system import notes
from clip_gaze.system.files import whole
from clip_gaze.wording import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import BinaryIO

_MARK = MARK.encode()
_JSON = b'{"image": '  # what a line of JSON begins with
_NOTES = "begun"
_FOLDER = "/"  # in a note, among names of lists, none of which is called so
_CHUNK = 1 << 20
_ELSE = "holds something other than results"
_STATUS, _LIST, _PHRASE = (COLUMNS.index(name) for name in ("status", "list", "phrase"))


class Found(NamedTuple):
    """What a file holds of one picture.

    Attributes:
        image: the picture, as the file names it.
        made_by: the cells of SETTINGS.
        ok: whether the picture could be read.
        phrases: list and phrase of each row; None: the file's header names them.
        start: where in the file it begins.
        end: where in the file the next picture begins.
        last: whether it is the file's end, so that rows may be missing.

    """

    image: str
    made_by: tuple[str, ...]
    ok: bool
    phrases: Sequence[tuple[str, str]] | None
    start: int
    end: int
    last: bool = False


class _ForeignError(Exception):
    """The file holds something other than results; the message says what."""


def finished(
    path: Path,
    read: Callable[[BinaryIO], Iterator[Found]],
    like: PictureResult,
    lists: Mapping[str, Sequence[str]],
    top: int,
    folder: str | None,
) -> set[str]:
    """Return the pictures that a run has finished, and cut off what it left unfinished.

    Pictures that it could not read are taken out of the file, to be tried again.

    Args:
        path: what the run wrote; it may be missing.
        read: yields what the file holds of each picture.
        like: a result of this run, for its settings.
        lists: list name -> phrases.
        top: how many of each list this run writes; 0 for all.
        folder: see `Writer`.

    Raises:
        GazeError: the file is not one that this run would have begun.

    """
    if not path.is_file():
        return set()
    made_by = _made_by(like)
    rows = [name for name, listed in lists.items() for _ in listed[: top or None]]
    done: set[str] = set()
    bad: list[Found] = []
    end = 0
    with path.open("rb") as file:
        try:
            for found in read(file):
                _check_settings(found.made_by, made_by)
                if found.ok and found.phrases is not None:
                    names = [name for name, _ in found.phrases]
                    if found.last and len(names) < len(rows) and names == rows[: len(names)]:
                        break
                    _check(found.phrases, rows, lists)
                if not found.ok:
                    bad.append(found)
                elif found.image:
                    done.add(found.image)
                end = found.end
            _check_note(path, lists, folder, done)
        except (_ForeignError, csv.Error, ValueError) as error:
            reason = error if isinstance(error, _ForeignError) else _ELSE
            msg = f"{path}: {reason}; name another file"
            raise GazeError(msg) from error
    if bad:
        _leave_out(path, bad, end)
    else:
        os.truncate(path, end)
    return done


def _leave_out(path: Path, bad: Sequence[Found], end: int) -> None:
    """Write a file again without some pictures, and without what is behind its end."""
    starts = [0, *(found.end for found in bad)]
    ends = [*(found.start for found in bad), end]
    # Opened last, since Windows replaces no file that is open.
    with whole(path) as part, path.open("rb") as file, part.open("wb") as kept:
        for start, stop in zip(starts, ends, strict=True):
            file.seek(start)
            while stop > file.tell():
                kept.write(file.read(min(_CHUNK, stop - file.tell())))


def note(path: Path, lists: Mapping[str, Sequence[str]], folder: str | None) -> None:
    """Note in the cache what a file is begun with and its rows do not say: all phrases, and where.

    Without the note, rows alone are checked.
    """
    notes.write(notes.about(path, _NOTES), {**_digests(lists), _FOLDER: folder or _here()})


def _check_note(
    path: Path, lists: Mapping[str, Sequence[str]], folder: str | None, done: set[str]
) -> None:
    """Raise which list has changed since the file was begun, or where its pictures lie."""
    noted = notes.read(notes.about(path, _NOTES))
    now = folder or _here()
    before = noted.get(_FOLDER, now)
    if before != now and any(map(is_relative, done)):
        msg = f"holds results of pictures in {before}"
        raise _ForeignError(msg)
    for name, digest in _digests(lists).items():
        if noted.get(name, digest) != digest:
            msg = f"was begun when the list {name!r} had other phrases"
            raise _ForeignError(msg)


def _here() -> str:
    with contextlib.suppress(OSError):  # somebody has removed it
        return os.getcwd()  # noqa: PTH109 - a text
    return ""


def _digests(lists: Mapping[str, Sequence[str]]) -> dict[str, str]:
    return {
        name: hashlib.sha256(json.dumps(sorted(listed)).encode()).hexdigest()
        for name, listed in lists.items()
    }


def _check_settings(there: tuple[str, ...], here: tuple[str, ...]) -> None:
    if there != here:
        told, ours = (", ".join(filter(None, cells)) for cells in (there, here))
        msg = f"holds results of {told}, not of {ours}"
        raise _ForeignError(msg)


def _check(
    phrases: Sequence[tuple[str, str]], rows: Sequence[str], lists: Mapping[str, Sequence[str]]
) -> None:
    """Raise what differs between the rows of a picture and those that this run would write.

    Of each row, `phrases` has the list and the phrase, and `rows` the list.
    """
    there, here = Counter(name for name, _ in phrases), Counter(rows)
    if here.keys() != there.keys():
        msg = f"holds answers about {', '.join(there)}, not about {', '.join(here)}"
        raise _ForeignError(msg)
    for name, count in here.items():
        if there[name] != count:
            there_are = counted(there[name], "phrase")
            msg = f"holds {there_are} of {name!r} for each picture, not {count}"
            raise _ForeignError(msg)
    for name, phrase in phrases:
        if phrase not in lists[name]:
            msg = f"holds {phrase!r}, which is no longer in the list {name!r}"
            raise _ForeignError(msg)


def _made_by(result: PictureResult) -> tuple[str, ...]:
    """Return the cells of SETTINGS as CSV has them."""
    return tuple(cell or "" for cell in settings(result).values())


def json_results(file: BinaryIO) -> Iterator[Found]:
    """Yield what JSON Lines hold."""
    end = 0
    for line in file:
        end += len(line)
        text = line.removeprefix(_MARK) if end == len(line) else line
        if not line.endswith(b"\n"):
            if text[: len(_JSON)] != _JSON[: len(text)]:
                raise _ForeignError(_ELSE)
            return
        try:
            fields = json.loads(text)
            lists = fields["lists"]
            phrases = [(name, score["phrase"]) for name in lists for score in lists[name]]
            result = PictureResult(**fields)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise _ForeignError(_ELSE) from error
        ok = result.status == "ok"
        yield Found(result.image, _made_by(result), ok, phrases, end - len(line), end)


def csv_long(file: BinaryIO) -> Iterator[Found]:
    """Yield what CSV with one row for each picture and phrase holds."""
    first: Found | None = None
    phrases: list[tuple[str, str]] = []
    end = 0
    for row, found in _rows(file, COLUMNS):
        phrase = (row[_LIST], row[_PHRASE])
        if first and (found.image != first.image or phrase in phrases):
            yield first._replace(phrases=phrases, end=end)
            first = None
        if not first:
            first, phrases = found, []
        phrases.append(phrase)
        end = found.end
    if first:
        yield first._replace(phrases=phrases, end=end, last=True)


def csv_wide(file: BinaryIO, header: Sequence[str]) -> Iterator[Found]:
    """Return what CSV with one row for each picture holds."""
    return (found for _, found in _rows(file, header))


def _rows(file: BinaryIO, header: Sequence[str]) -> Iterator[tuple[list[str], Found]]:
    """Yield each whole row below the header, and what it says beside phrases."""
    head = csv_line(header).encode()
    start = file.read(len(_MARK + head) + 1)
    if (_MARK + head).startswith(start) or head.startswith(start):
        return
    file.seek(0)
    end, at_end = 0, False

    def lines() -> Iterator[str]:
        nonlocal end, at_end
        for line in file:
            if line.endswith(b"\n"):
                end += len(line)
                yield line.decode("utf-8" if end > len(line) else "utf-8-sig")
        at_end = True

    reader = csv.reader(lines(), strict=True)
    found = [text_of(cell) for cell in next(reader, [])]
    if found != list(header):
        others = {*header}.difference(found) or {*found}.difference(header)
        msg = "has other columns than this run would write"
        raise _ForeignError(f"{msg}, such as {min(others)!r}" if others else msg)
    before = end
    try:
        for row in reader:
            if len(row) != len(header):
                raise _ForeignError(_ELSE)
            cells = [text_of(cell) for cell in row]
            ok = cells[_STATUS] == "ok"
            yield cells, Found(cells[0], tuple(cells[1:_STATUS]), ok, None, before, end)
            before = end
    except csv.Error:
        if not at_end:  # there it is a cell that was cut in the middle
            raise
