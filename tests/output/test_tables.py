"""Tables hold every result, and other people's readers read them."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings

import samples
from clip_gaze import PhraseScore, PictureResult
from clip_gaze.output import tables

if TYPE_CHECKING:
    from pathlib import Path

LISTS = {"surfaces": ["on wood", 'on, "canvas"\r\n'], "tools": ["using pen"]}
RESULTS = [
    PictureResult(
        "ä, b.png",
        "demo",
        "fp32",
        {
            "surfaces": (PhraseScore(LISTS["surfaces"][1], 0.1 + 0.2), PhraseScore("on wood", 0.7)),
            "tools": (PhraseScore("using pen", 1.0),),
        },
    ),
    PictureResult("bad.png", "demo", "fp32", status="error", error="bad.png: cut short"),
]


def parsed(pieces: list[str]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO("".join(pieces), newline="")))


def test_rows_hold_one_phrase_each_and_errors_too() -> None:
    rows = tables.to_frame(RESULTS)
    assert [tuple(row) for row in rows] == [tables.COLUMNS] * 4
    assert [row["probability"] for row in rows] == [0.1 + 0.2, 0.7, 1.0, None]
    assert [row["error"] for row in rows] == [None, None, None, "bad.png: cut short"]


def test_pandas_and_polars_take_the_rows_as_they_are() -> None:
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    rows = tables.to_frame(RESULTS)
    assert pandas.DataFrame(rows).shape == (4, len(tables.COLUMNS))
    assert polars.DataFrame(rows).shape == (4, len(tables.COLUMNS))
    assert polars.DataFrame(rows)["probability"].to_list() == [0.1 + 0.2, 0.7, 1.0, None]


def test_long_csv_reads_back_to_the_last_digit() -> None:
    pieces = list(tables.csv_long(RESULTS))
    assert len(pieces) == 1 + len(RESULTS)
    rows = [
        {name: "" if value is None else str(value) for name, value in row.items()}
        for row in tables.to_frame(RESULTS)
    ]
    assert parsed(pieces) == rows


@settings(deadline=None)
@given(results=samples.RESULTS)
def test_long_csv_reads_back_whatever_the_text(results: list[PictureResult]) -> None:
    rows = [
        {name: "" if value is None else str(value) for name, value in row.items()}
        for result in results
        for row in tables.rows(result)
    ]
    found = parsed(list(tables.csv_long(results)))
    assert [{k: tables.text_of(v) for k, v in row.items()} for row in found] == rows


def test_wide_csv_has_a_row_for_each_picture() -> None:
    first, second = parsed(list(tables.csv_wide(RESULTS, LISTS)))
    assert float(first["surfaces: on wood"]) == 0.7
    assert float(first[f"surfaces: {LISTS['surfaces'][1]}"]) == 0.1 + 0.2
    assert (second["image"], second["surfaces: on wood"]) == ("bad.png", "")
    assert second["error"] == "bad.png: cut short"


def test_parquet_reads_back(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    tables.write_parquet(iter(RESULTS), tmp_path / "out.parquet")
    assert parquet.read_table(tmp_path / "out.parquet").to_pylist() == tables.to_frame(RESULTS)


def test_parquet_without_pyarrow_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    from clip_gaze import GazeError

    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(GazeError, match=r'pip install "\.\[parquet\]"'):
        tables.write_parquet(RESULTS, tmp_path / "out.parquet")
