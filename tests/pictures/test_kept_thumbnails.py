"""Thumbnails of known files are read and not made again."""

from __future__ import annotations

import io
import os
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from clip_gaze.errors import PictureError
from clip_gaze.pictures import thumbnails
from clip_gaze.pictures.kept_thumbnails import ENDING, Kept
from clip_gaze.store import Store
from clip_gaze.system import shelf

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    MakePicture = Callable[..., Image.Image]


def opened(folder: Path, path: Path, edge: int = 64) -> Kept:
    with closing(Store(folder)) as store:
        return Kept(folder / "thumbnails", store, edge, None, [path])


@pytest.fixture
def path(picture: MakePicture, tmp_path: Path) -> Path:
    picture(200, 100).save(tmp_path / "a.png")
    return tmp_path / "a.png"


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the names of the files whose thumbnails were made, as they are made."""
    names: list[str] = []
    make = thumbnails.made

    def counted(name: str, *options: int | None) -> thumbnails.Thumbnail:
        names.append(name)
        return make(name, *options)

    monkeypatch.setattr(thumbnails, "made", counted)
    return names


def kept(folder: Path) -> list[Path]:
    return sorted((folder / "thumbnails").glob("*"))


def test_a_known_file_is_not_opened_again(path: Path, made: list[str], tmp_path: Path) -> None:
    first = opened(tmp_path, path).get(str(path))
    assert opened(tmp_path, path).get(str(path)) == first
    assert made == [str(path)]
    assert first == thumbnails.made(str(path), 64)
    assert Image.open(io.BytesIO(first.file)).size == first.size == (64, 32)


def test_it_is_known_by_its_content(path: Path, made: list[str], tmp_path: Path) -> None:
    opened(tmp_path, path).get(str(path))
    moved = path.rename(tmp_path / "b.png")
    opened(tmp_path, moved).get(str(moved))
    assert len(made) == 1
    Image.new("RGB", (50, 90)).save(moved)
    assert opened(tmp_path, moved).get(str(moved)).size == (36, 64)
    assert opened(tmp_path, moved, edge=30).get(str(moved)).size == (17, 30)
    assert len(made) == 3


def test_a_file_that_changes_after_it_was_looked_up_is_new(
    path: Path, made: list[str], tmp_path: Path
) -> None:
    thumbs = opened(tmp_path, path)
    thumbs.get(str(path))
    Image.new("RGB", (50, 90)).save(path)
    assert thumbs.get(str(path)).size == (36, 64)
    assert len(made) == 2


@pytest.mark.parametrize("damage", [b"", b"RIFF", b"RIFF\x04\x00\x00\x00WEBP"])
def test_one_that_is_damaged_is_made_again(
    path: Path, made: list[str], tmp_path: Path, damage: bytes
) -> None:
    whole = opened(tmp_path, path).get(str(path))
    (file,) = kept(tmp_path)
    file.write_bytes(damage)
    assert opened(tmp_path, path).get(str(path)) == whole
    assert opened(tmp_path, path).get(str(path)) == whole
    assert len(made) == 2


def test_where_none_can_be_kept_it_is_made(path: Path, made: list[str], tmp_path: Path) -> None:
    (tmp_path / "thumbnails").write_text("a file")
    for _ in range(2):
        assert opened(tmp_path, path).get(str(path)).size == (64, 32)
    assert len(made) == 2


def test_a_file_that_is_gone_is_an_error(tmp_path: Path) -> None:
    gone = tmp_path / "gone.png"
    with pytest.raises(PictureError, match="no such file"):
        opened(tmp_path, gone).get(str(gone))


def test_the_least_recently_used_go_first(picture: MakePicture, tmp_path: Path) -> None:
    for seed in range(3):
        picture(64, 64, seed=seed).save(tmp_path / f"{seed}.png")
        opened(tmp_path, tmp_path / f"{seed}.png").get(str(tmp_path / f"{seed}.png"))
    for at, file in enumerate(kept(tmp_path)):
        os.utime(file, (at, at))
    used = tmp_path / "1.png"
    opened(tmp_path, used).get(str(used))
    (latest,) = (file for file in kept(tmp_path) if file.stat().st_mtime > len(kept(tmp_path)))
    assert shelf.prune(tmp_path / "thumbnails", latest.stat().st_size, ending=ENDING) > 0
    assert kept(tmp_path) == [latest]


def test_only_new_ones_can_be_too_many(path: Path, tmp_path: Path) -> None:
    first, second = (opened(tmp_path, path) for _ in range(2))
    first.get(str(path))
    second.get(str(path))
    second.prune(0)
    assert len(kept(tmp_path)) == 1
    first.prune(0)
    assert kept(tmp_path) == []
