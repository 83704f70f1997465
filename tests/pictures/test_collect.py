"""Folders become lists of pictures."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from clip_gaze import PictureError
from clip_gaze.pictures import collect
from clip_gaze.pictures.load import upright

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    for name in (
        "b.jpg", "a.PNG", "notes.txt", ".hidden.jpg", ".thumbs/c.jpg", "deep/d.webp",
        "deep/deeper/e.avif", "drafts/f.tiff", "g_small.jpg", "folder.jpg/h.gif",
    ):  # fmt: skip
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return tmp_path


def names(paths: list[Path], shelf: Path) -> list[str]:
    return [path.relative_to(shelf).as_posix() for path in paths]


def test_folders_are_walked_in_the_order_of_names_and_hidden_things_passed_over(
    shelf: Path,
) -> None:
    assert names(collect.pictures([shelf]), shelf) == [
        "a.PNG", "b.jpg", "deep/d.webp", "deep/deeper/e.avif", "drafts/f.tiff",
        "folder.jpg/h.gif", "g_small.jpg",
    ]  # fmt: skip


def test_without_recursion_only_the_folder_itself_counts(shelf: Path) -> None:
    found = collect.pictures([shelf], recursive=False)
    assert names(found, shelf) == ["a.PNG", "b.jpg", "g_small.jpg"]


def test_patterns_exclude_names_and_paths(shelf: Path) -> None:
    found = collect.pictures([shelf], exclude=["*_small.*", "drafts", "deep/*/*", "folder.jpg"])
    assert names(found, shelf) == ["a.PNG", "b.jpg", "deep/d.webp"]


def test_files_are_taken_as_they_are_named_and_in_order(shelf: Path) -> None:
    named = [shelf / "notes.txt", shelf / ".hidden.jpg", shelf / "gone.jpg", shelf / "b.jpg"]
    assert collect.pictures(named) == named


def test_a_hidden_folder_that_is_named_is_walked(shelf: Path) -> None:
    assert names(collect.pictures([shelf / ".thumbs"]), shelf) == [".thumbs/c.jpg"]


def test_a_folder_without_pictures_is_an_error_where_nothing_else_is_named(
    tmp_path: Path, shelf: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(PictureError, match="empty: no picture"):
        collect.pictures([tmp_path / "empty"])
    assert collect.pictures([tmp_path / "empty", shelf / "b.jpg"]) == [shelf / "b.jpg"]
    assert "empty: no picture" in caplog.text


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="needs symbolic links")
def test_links_to_folders_are_not_followed(shelf: Path) -> None:
    (shelf / "loop").symlink_to(shelf, target_is_directory=True)
    assert not any("loop" in name for name in names(collect.pictures([shelf]), shelf))


@pytest.mark.parametrize("suffix", sorted(collect.SUFFIXES))
def test_what_is_collected_can_be_opened(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"picture{suffix}"
    if suffix in (".heic", ".heif"):
        pytest.importorskip("pillow_heif").register_heif_opener()
    Image.new("RGB", (64, 48), "red").save(path)
    assert collect.pictures([tmp_path]) == [path]
    image = upright(path)
    assert image.size == (64, 48)
    assert image.convert("RGB").getpixel((30, 20))[0] > 200
