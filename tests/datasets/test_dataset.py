"""A dataset says which of its parts is damaged, and what of its storage cannot be reached."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

import distributed  # noqa: F401 - its extra has a pyarrow that can read rows without a vector
import fsspec
import pyarrow as pa
import pytest
from click.testing import CliRunner
from fsspec.implementations.memory import MemoryFile, MemoryFileSystem
from pyarrow import parquet

import clip_gaze
from clip_gaze.cli.main import main
from clip_gaze.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Damage = Callable[[bytes], bytes]


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def garbled(content: bytes) -> bytes:
    """Return a part whose footer is where it was, and says nothing."""
    length = int.from_bytes(content[-8:-4], "little")
    return content[: -8 - length] + bytes([0xFF]) * length + content[-8:]


def foreign(_: bytes) -> bytes:
    return written(pa.table({"of somebody else": [1]}))


def without_statistics(content: bytes) -> bytes:
    return written(parquet.read_table(io.BytesIO(content)).drop_columns("vector"))


def written(table: pa.Table) -> bytes:
    file = io.BytesIO()
    parquet.write_table(table, file, write_statistics=False)
    return file.getvalue()


@pytest.fixture
def dataset(scans: Path, tmp_path: Path) -> clip_gaze.Dataset:
    return clip_gaze.embed(scans, tmp_path / "vectors", model="demo", per_part=4)


@pytest.mark.parametrize("damage", [cut, garbled, foreign, without_statistics])
def test_a_damaged_part_is_named_however_it_is_read(
    dataset: clip_gaze.Dataset, tmp_path: Path, damage: Damage
) -> None:
    first = dataset.files()[0]
    part = tmp_path / "vectors" / first
    part.write_bytes(damage(part.read_bytes()))
    said = rf"^{re.escape(dataset.url)}/{first}: is damaged; remove it, and make it again with --r"
    for read in (dataset.rows, dataset.unread):
        with pytest.raises(clip_gaze.GazeError, match=said):
            read(first)


@pytest.mark.parametrize("damage", [cut, garbled])
def test_a_damaged_part_of_answers_is_named(
    dataset: clip_gaze.Dataset, tmp_path: Path, damage: Damage
) -> None:
    words = ["gaze", dataset.url, "--list", "surfaces", "-o", str(tmp_path / "answers")]
    assert CliRunner().invoke(main, words).exit_code == 1  # one picture is bad
    answers = clip_gaze.Dataset(tmp_path / "answers")
    assert answers.to_frame()
    part = tmp_path / "answers" / answers.files()[0]
    part.write_bytes(damage(part.read_bytes()))
    with pytest.raises(clip_gaze.GazeError, match=f"{part.name}: is damaged"):
        answers.to_frame()


def test_a_part_that_is_there_and_damaged_is_said_by_a_run_that_goes_on(
    dataset: clip_gaze.Dataset, scans: Path, tmp_path: Path
) -> None:
    part = tmp_path / "vectors" / dataset.files()[0]
    part.write_bytes(cut(part.read_bytes()))
    with pytest.raises(clip_gaze.GazeError, match="is damaged"):
        clip_gaze.embed(scans, dataset.url, model="demo", per_part=4, resume=True)
    part.unlink()
    clip_gaze.embed(scans, dataset.url, model="demo", per_part=4, resume=True)
    assert len(dataset.to_frame()) == 21


def test_how_many_are_unread_is_known_however_long_a_footer_is(
    dataset: clip_gaze.Dataset, tmp_path: Path
) -> None:
    unread = {file: dataset.unread(file) for file in dataset.files()}
    assert sum(unread.values()) == 1
    for path in (tmp_path / "vectors").glob("part-*"):
        table = parquet.read_table(path)
        longer = {**table.schema.metadata, b"more": b"." * 100_000}
        parquet.write_table(table.replace_schema_metadata(longer), path)
    assert {file: dataset.unread(file) for file in dataset.files()} == unread


@pytest.mark.parametrize("damage", [cut, garbled, foreign])
def test_what_says_what_a_dataset_holds_may_be_damaged(
    dataset: clip_gaze.Dataset, tmp_path: Path, damage: Damage
) -> None:
    path = tmp_path / "vectors" / "_common_metadata"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(clip_gaze.GazeError, match="is not one that clip-gaze wrote"):
        clip_gaze.Dataset(dataset.url)


@pytest.fixture
def in_memory(scans: Path) -> Iterator[clip_gaze.Dataset]:
    yield clip_gaze.embed(scans, "memory://vectors-to-lose", model="demo", per_part=4)
    fsspec.filesystem("memory").rm("/vectors-to-lose", recursive=True)


def test_storage_that_fails_is_not_a_damaged_part(
    in_memory: clip_gaze.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> bytes:
        raise OSError("the line is cut")  # as pyarrow has it: without a number

    first = in_memory.files()[0]
    monkeypatch.setattr(MemoryFile, "read", fails)
    monkeypatch.setattr(MemoryFileSystem, "cat_file", fails)
    for read in (in_memory.rows, in_memory.unread):
        with pytest.raises(StorageError, match=r"cannot be reached \(the line is cut\)"):
            read(first)
