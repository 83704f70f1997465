"""Collections are listed from folders, patterns, URLs and files of names, one name at a time."""

from __future__ import annotations

import io
import sys
import tracemalloc
import zipfile
from typing import TYPE_CHECKING

import fsspec
import polars as pl
import pytest

from clip_gaze.datasets import listing
from clip_gaze.datasets.partitions import partitions
from clip_gaze.errors import GazeError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAMES = ["a.jpg", "s3://bucket/b c%20d.jpg", "folder/é.png"]


def unexpected(error: Exception) -> None:
    raise error


def listed(*sources: str) -> list[str]:
    return [name for name, _ in listing.listed(sources, unexpected)]


def test_a_folder_a_pattern_and_a_file_are_listed_in_order(scans: Path) -> None:
    everything = sorted(str(path) for path in scans.rglob("*.png"))
    assert listed(str(scans)) == everything
    assert listed(f"{scans}/*.png") == [name for name in everything if "more" not in name]
    assert listed(f"{scans}/**/1?.png") == [name for name in everything if name[-6] == "1"]
    assert listed(f"{scans}/more/[!0]3.png", f"{scans}/00.png") == [
        str(scans / "more" / "13.png"),
        str(scans / "00.png"),
    ]


def test_a_stamp_is_size_and_time_so_that_a_copy_elsewhere_has_the_same(scans: Path) -> None:
    ((_, stamp),) = listing.listed([str(scans / "bad.png")], unexpected)
    found = (scans / "bad.png").stat()
    assert stamp == f"{found.st_size} {found.st_mtime_ns}"
    ((_, stamp),) = listing.listed([str(scans / "gone.png")], unexpected)
    assert stamp is None


@pytest.fixture
def memory() -> Iterator[str]:
    """Return the URL of a folder in memory."""
    fs = fsspec.filesystem("memory")
    for name in ("1.jpg", "b/2.png", ".hidden/3.jpg", "notes.txt", "b/4_small.png"):
        fs.pipe_file(f"/listed/{name}", name.encode())
    yield "memory://listed"
    fs.rm("/listed", recursive=True)


def test_urls_are_listed_as_folders_are(memory: str, tmp_path: Path) -> None:
    tops = [memory, f"{memory}/", f"{memory}/**"]
    names = ["1.jpg", "b/2.png", "b/4_small.png"]
    for top in tops:
        assert listed(top) == [f"memory:///listed/{name}" for name in names]
    assert listed(f"{memory}/b/?_*.png") == ["memory:///listed/b/4_small.png"]
    with zipfile.ZipFile(tmp_path / "scans.zip", "w") as archive:
        for name in names:
            archive.writestr(name, name)
    chain = f"::{tmp_path / 'scans.zip'}"
    assert listed(f"zip://{chain}") == [f"zip://{name}{chain}" for name in names]


def test_hidden_and_excluded_files_at_urls_are_passed_over(memory: str) -> None:
    found = listing.listed([memory], unexpected, exclude=["*_small.*"])
    assert [name[-5:] for name, _ in found] == ["1.jpg", "2.png"]
    found = listing.listed([memory], unexpected, recursive=False)
    assert [name[-5:] for name, _ in found] == ["1.jpg"]


def test_files_of_names_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = tmp_path / "names.txt"
    text.write_bytes(b"\xef\xbb\xbf" + "\r\n\n".join(NAMES).encode())
    table = pl.DataFrame({"number": [1, 2, 3], "name": NAMES})
    table.write_csv(tmp_path / "names.csv")
    table.write_parquet(tmp_path / "names.parquet")
    table.select("name").write_csv(tmp_path / "one.csv")
    assert [each.name for each in listing.names(str(text))] == NAMES
    assert [each.name for each in listing.names(str(tmp_path / "one.csv"))] == NAMES
    for kind in ("csv", "parquet"):
        file = str(tmp_path / f"names.{kind}")
        assert [each.name for each in listing.names(file, "name")] == NAMES
        for column in (None, "title"):
            with pytest.raises(GazeError, match="--column can be number, name"):
                list(listing.names(file, column))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("\n".join(NAMES).encode())))
    assert listed("-") == NAMES


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("gone.txt", None, "no such file"),
        ("a.parquet", b"nothing", "is not a Parquet file"),
        ("a.csv", b"name\n\xff\xfe\n", "is not CSV in UTF-8"),
    ],
)
def test_a_file_of_names_that_cannot_be_read_is_one_line(
    tmp_path: Path, name: str, content: bytes | None, said: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(GazeError, match=said) as raised:
        list(listing.names(str(tmp_path / name)))
    assert "\n" not in str(raised.value)


def test_an_unknown_kind_of_url_says_so() -> None:
    with pytest.raises(GazeError, match="no such kind of address is known"):
        listed("nowhere://bucket/")


def test_names_never_stand_in_memory_together(tmp_path: Path) -> None:
    """Ten times as many names need no more memory."""
    peaks = []
    for count in (5_000, 50_000):
        file = tmp_path / f"{count}.txt"
        file.write_text("".join(f"s3://bucket/{n:09}.jpg\n" for n in range(count)))
        tracemalloc.start()
        cut = partitions(listing.listed(listing.names(str(file)), unexpected))
        assert sum(each.count for each in cut) == count
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 10 * 45_000  # bytes
