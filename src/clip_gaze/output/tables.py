"""Results and comparisons as tables: rows for data frames, CSV long and wide, Parquet."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Protocol

from clip_gaze.analysis.similarity import probability
from clip_gaze.errors import GazeError
from clip_gaze.output.names import spelled
from clip_gaze.wording import lacking

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from clip_gaze.results import Comparison, PictureResult

# What a picture's figures depend on, beside the picture and the lists.
SETTINGS = ("model", "variant", "templates", "corrected")
COLUMNS = ("image", *SETTINGS, "status", "list", "phrase", "probability", "plain", "error")
_WIDE = ("image", *SETTINGS, "status", "error")
COMPARED = (
    "reference", "image", "model", "variant", "templates", "status", "list", "phrase",
    "probability_before", "probability_after",
    "log_odds_before", "log_odds_after", "log_odds_difference", "error",
)  # fmt: skip
MARK = "\ufeff"  # what a CSV file begins with: without it, Excel does not take it for UTF-8
_BETWEEN = " | "  # templates
_FORMULA = re.compile("'*[=+@\t\r-]")  # what a spreadsheet would compute, and its escape
_ROWS_PER_GROUP = 65_536


class _Framed(Protocol):
    """What has rows of its own: a `Dataset`."""

    def to_frame(self) -> list[dict[str, Any]]:
        """Return them."""


def to_frame(results: Iterable[PictureResult] | _Framed) -> list[dict[str, Any]]:
    """Return one row for each picture and phrase, as pandas.DataFrame and polars.DataFrame take it.

    A picture that could not be read has one row, with its error.

    Args:
        results: what `Clip.gaze_many` yields; or a `Dataset`, see `Dataset.to_frame`.

    Returns:
        Rows with the keys image, model, variant, templates, corrected, status, list, phrase,
        probability, plain (of a corrected probability: what it was) and error; what does not
        apply is None.
    """
    if hasattr(results, "to_frame"):
        return results.to_frame()
    return [row for result in results for row in rows(spelled(result))]


def rows(result: PictureResult) -> Iterator[dict[str, Any]]:
    """Yield the rows of one result; see `to_frame`."""
    start = dict.fromkeys(COLUMNS) | {
        "image": result.image,
        **settings(result),
        "status": result.status,
        "error": result.error,
    }
    if result.status == "error":
        yield start
    for name, scores in result.lists.items():
        for score in scores:
            yield start | {"list": name} | asdict(score)


def settings(result: PictureResult) -> dict[str, str | None]:
    """Return the cells of SETTINGS; what does not apply is None."""
    cells = (
        result.model,
        result.variant,
        _BETWEEN.join(result.templates) or None,
        "corrected" if result.corrected else None,
    )
    return dict(zip(SETTINGS, cells, strict=True))


def csv_long(results: Iterable[PictureResult]) -> Iterator[str]:
    """Yield CSV with one row for each picture and phrase: the header, then each picture's rows."""
    yield csv_line(COLUMNS)
    for result in results:
        yield "".join(csv_line(row.values()) for row in rows(result))


def wide_columns(lists: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the header of `csv_wide`."""
    return [*_WIDE, *(f"{name}: {phrase}" for name in lists for phrase in lists[name])]


def csv_wide(results: Iterable[PictureResult], lists: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Yield CSV with one row for each picture, and a column for each phrase of each list."""
    yield csv_line(wide_columns(lists))
    for result in results:
        start = [result.image, *settings(result).values(), result.status, result.error]
        found = {
            (name, score.phrase): score.probability
            for name, scores in result.lists.items()
            for score in scores
        }
        yield csv_line(
            [*start, *(found.get((name, phrase)) for name in lists for phrase in lists[name])]
        )


def csv_compared(comparison: Comparison) -> Iterator[str]:
    """Yield CSV with one row for each picture and phrase; a bad picture has one row."""
    yield csv_line(COMPARED)
    for each in comparison.images:
        start = [
            comparison.reference, each.image, comparison.model, comparison.variant,
            _BETWEEN.join(comparison.templates), each.status,
        ]  # fmt: skip
        if each.status == "error":
            yield csv_line([*start, *[""] * 7, each.error])
        for name, changes in each.lists.items():
            for change in changes:
                odds = (change.before, change.after)
                figures = (*map(probability, odds), *odds, change.difference)
                yield csv_line([*start, name, change.phrase, *figures, ""])


def csv_line(cells: Iterable[object]) -> str:
    r"""Return one line of CSV; None is an empty cell, and a number keeps all its digits.

    A text that a spreadsheet would take for a formula has an apostrophe before it, see `text_of`.

    >>> csv_line(["=1+1", "'@", -0.5, None])
    "'=1+1,''@,-0.5,\n"
    """
    buffer = io.StringIO()
    safe = (f"'{c}" if isinstance(c, str) and _FORMULA.match(c) else c for c in cells)
    csv.writer(buffer).writerow(safe)  # it quotes "\r" only where that ends its own lines
    return buffer.getvalue().removesuffix("\r\n") + "\n"


def text_of(cell: str) -> str:
    """Return the text of a cell of ours, without the apostrophe that makes it one."""
    return cell[1:] if cell[:1] == "'" and _FORMULA.match(cell) else cell


def arrow(what: str = "Parquet", extra: str = "parquet") -> tuple[Any, Any]:
    """Return pyarrow and its module for Parquet.

    Raises:
        GazeError: it is not installed; `what` needs it, and `extra` installs it.

    """
    try:
        # Large, and needed for tables and datasets alone.
        import pyarrow as pa  # noqa: PLC0415
        from pyarrow import parquet  # noqa: PLC0415
    except ImportError as error:
        raise GazeError(lacking(what, "pyarrow", extra)) from error
    return pa, parquet


def schema() -> Any:
    """Return the schema of COLUMNS; see `arrow`."""
    pa, _ = arrow()
    numbers = dict.fromkeys(("probability", "plain"), pa.float64())
    return pa.schema([(name, numbers.get(name, pa.string())) for name in COLUMNS])


def write_parquet(results: Iterable[PictureResult], path: Path) -> None:
    """Write a Parquet file with the rows of `to_frame`; needs the extra `parquet`.

    Raises:
        GazeError: pyarrow is not installed.
    """
    pa, parquet = arrow()
    kinds = schema()
    waiting: list[dict[str, Any]] = []
    with parquet.ParquetWriter(path, kinds, compression="zstd") as writer:
        for result in results:
            waiting += rows(result)
            if len(waiting) >= _ROWS_PER_GROUP:
                writer.write_table(pa.Table.from_pylist(waiting, kinds))
                waiting = []
        writer.write_table(pa.Table.from_pylist(waiting, kinds))
