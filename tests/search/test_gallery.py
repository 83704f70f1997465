"""Pictures are gathered to be searched: from the store, its index, and from files."""

from __future__ import annotations

import io
import os
import shutil
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from clip_gaze import Clip, GazeError
from clip_gaze.pictures.source import Content
from clip_gaze.results import Unread
from clip_gaze.search import index
from clip_gaze.search.index import Index
from clip_gaze.store import FILE, Store
from demo.painter import paint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

COUNT = 12


@pytest.fixture
def folder(tmp_path: Path, picture: Callable[..., Image.Image]) -> Path:
    """Return a folder with pictures of noise."""
    for seed in range(COUNT):
        picture(seed=seed).save(tmp_path / f"{seed:02}.png")
    return tmp_path


@pytest.fixture
def clip() -> Iterator[Clip]:
    with Clip("demo", threads=1, offline=True) as opened:
        yield opened


def paths(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.png"))


def plain(clip: Clip, folder: Path, words: str) -> list[str]:
    """Return all pictures of a folder, nearest first, by a plain product."""
    files = paths(folder)
    values = clip.encode_images(files) @ clip.encode_texts([words])[0]
    return [str(files[at]) for at in np.argsort(-values, kind="stable")]


def names(clip: Clip, *query: object, **more: object) -> list[str]:
    """Return the names of all that is found."""
    return [hit.image for hit in clip.find(query, **({"top": None} | more)).images]  # type: ignore[arg-type]


def test_a_search_says_what_a_plain_product_says(clip: Clip, folder: Path) -> None:
    found = clip.find(["a boat"], paths(folder), top=None)
    assert [hit.image for hit in found.images] == plain(clip, folder, "a boat")
    values = clip.encode_images(paths(folder)) @ clip.encode_texts(["a boat"])[0]
    expected = sorted(values.tolist(), reverse=True)
    np.testing.assert_allclose([hit.similarity for hit in found.images], expected, atol=1e-6)
    assert found.searched == COUNT


def test_words_and_pictures_are_added_and_taken_away(clip: Clip, folder: Path) -> None:
    files = paths(folder)
    images = clip.encode_images(files)
    texts = clip.encode_texts(["a boat", "on wood"])
    total = texts[0] + images[3] - texts[1] - images[5]
    found = clip.find(["a boat", files[3]], files, without=["on wood", files[5]], top=4)
    best = np.argsort(-(images @ total), kind="stable")[:4]
    assert [hit.image for hit in found.images] == [str(files[at]) for at in best]
    assert [(term.text, term.kind, term.wanted) for term in found.query] == [
        ("a boat", "words", True),
        (str(files[3]), "picture", True),
        ("on wood", "words", False),
        (str(files[5]), "picture", False),
    ]


def test_only_what_is_near_enough_is_found(clip: Clip, folder: Path) -> None:
    every = clip.find(["a boat"], paths(folder), top=None).images
    least = every[4].similarity
    found = clip.find(["a boat"], paths(folder), top=None, least=least).images
    assert found == every[:5]
    assert clip.find(["a boat"], paths(folder), least=0.999).images == ()


def test_what_is_known_is_not_encoded_again_and_no_picture_opened(
    clip: Clip, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[int, int]] = []
    before = clip.find(["a boat"], paths(folder)[:10], progress=lambda *done: told.append(done))
    assert told == [(done, 10) for done in range(1, 11)]
    told.clear()
    clip.find(["a boat"], paths(folder), progress=lambda *done: told.append(done))
    assert told == [(1, 2), (2, 2)]
    monkeypatch.setattr(Image, "init", None)
    monkeypatch.setattr(Image, "preinit", None)
    assert clip.find(["a boat"], paths(folder)[:10]).images == before.images


def test_a_file_that_has_changed_is_looked_at_again(
    clip: Clip, folder: Path, picture: Callable[..., Image.Image]
) -> None:
    names(clip, "a boat", images=paths(folder))
    picture(seed=77).save(folder / "00.png")
    assert names(clip, "a boat", images=paths(folder)) == plain(clip, folder, "a boat")


def test_all_is_what_the_store_has_but_not_what_is_gone_or_changed(
    clip: Clip, folder: Path, picture: Callable[..., Image.Image]
) -> None:
    every = names(clip, "a boat", images=paths(folder))
    assert names(clip, "a boat") == every
    Path(every[0]).unlink()
    picture(seed=77).save(every[2])
    found = clip.find(["a boat"], top=3)
    assert [hit.image for hit in found.images] == [every[1], every[3], every[4]]
    assert found.gone == 2


def test_all_without_a_store_is_refused() -> None:
    with Clip("demo", offline=True, store=False) as clip, pytest.raises(GazeError, match="store"):
        clip.find(["a boat"])


def test_bad_pictures_are_named_and_the_others_searched(clip: Clip, folder: Path) -> None:
    (folder / "05.png").write_bytes(b"no picture")
    found = clip.find(["a boat"], [*paths(folder), folder / "none.png"], top=None)
    assert len(found.images) == COUNT - 1
    assert [Path(each.image).name for each in found.unread] == ["05.png", "none.png"]


def test_pictures_in_memory_are_called_by_their_places(
    folder: Path, picture: Callable[..., Image.Image]
) -> None:
    with Clip("demo", offline=True, store=False) as clip:
        images = [picture(seed=1), folder / "02.png", picture(seed=1)]
        found = clip.find([picture(seed=1)], images, top=None)
    assert {hit.image for hit in found.images[:2]} == {"#1", "#3"}
    assert found.images[0].similarity == pytest.approx(1, abs=1e-6)
    assert found.images[2].image == str(folder / "02.png")


def test_open_files_are_read_once(folder: Path) -> None:
    files = paths(folder)[:3]
    with Clip("demo", offline=True, store=False) as clip, ExitStack() as stack:
        open_ones = [stack.enter_context(open(path, "rb")) for path in (*files, files[0])]  # noqa: PTH123
        found = clip.find([Path(files[1])], [*open_ones, io.StringIO("no picture")], top=None)
        assert [hit.image for hit in found.images[:1]] == ["#2"]
        open_ones[1].seek(0)
        again = clip.find([open_ones[1]], files, without=["a boat"], top=None)
        assert [each.text for each in again.query] == ["", "a boat"]
        assert len(found.images) == len(open_ones)
        reason = "a file gives str, not bytes; open it in mode 'rb'"
        assert found.unread == (Unread("#5", reason),)
        for file in open_ones:
            file.seek(0)
        ((copies,),) = clip.duplicates(open_ones, 0.9999).groups
        assert copies.images == ("#1", "#4")


def test_two_pictures_may_have_one_name(clip: Clip, picture: Callable[..., Image.Image]) -> None:
    image = picture(seed=1)
    sent = []
    for at in range(2):
        image.putpixel((0, 0), (at, at, at))
        data = io.BytesIO()
        image.save(data, "PNG")
        sent.append(Content(data.getvalue(), "sea.png"))
    ((one, other),) = clip.duplicates(sent).groups
    assert one.images == other.images == ("sea.png",)


def test_equal_files_are_told_from_edits(clip: Clip, tmp_path: Path) -> None:
    for seed in range(6):
        paint(seed, 128).image.save(tmp_path / f"{seed}.png")
    shutil.copy(tmp_path / "3.png", tmp_path / "9.png")
    for name in ("3.bmp", "4.webp"):
        with Image.open(tmp_path / f"{name[0]}.png") as image:
            image.save(tmp_path / name, quality=95)
    found = clip.duplicates(sorted(tmp_path.iterdir()))
    groups = [
        [tuple(Path(name).name for name in each.images) for each in group] for group in found.groups
    ]
    assert groups == [[("3.png", "9.png"), ("3.bmp",)], [("4.png",), ("4.webp",)]]
    assert found.groups[0][1].similarity == pytest.approx(1, abs=1e-5)
    assert found.searched == 8
    assert found.threshold == 0.95


def test_exact_copies_need_no_near_picture(clip: Clip, tmp_path: Path) -> None:
    for seed in range(3):
        paint(seed, 128).image.save(tmp_path / f"{seed}.png")
    shutil.copy(tmp_path / "2.png", tmp_path / "copy.png")
    ((copies,),) = clip.duplicates(sorted(tmp_path.iterdir()), 1).groups
    assert [Path(name).name for name in copies.images] == ["2.png", "copy.png"]
    ((copies,),) = clip.duplicates(threshold=1).groups
    assert [Path(name).name for name in copies.images] == ["2.png", "copy.png"]


@pytest.fixture
def small_index(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let an index be written for few pictures."""
    monkeypatch.setattr(index, "_NEW", 3)


@pytest.mark.usefixtures("small_index")
def test_an_index_changes_no_answer(clip: Clip, folder: Path, cache: Path) -> None:
    files = paths(folder)
    with Clip("demo", offline=True, store=False) as other:
        expected = [hit.similarity for hit in other.find(["a boat"], files, top=None).images]
    for wanted in (files[:4], files, None, files):
        found = clip.find(["a boat"], wanted, top=None)
        if wanted != files[:4]:
            assert [hit.image for hit in found.images] == plain(clip, folder, "a boat")
            values = [hit.similarity for hit in found.images]
            np.testing.assert_allclose(values, expected, atol=1e-6)
        assert list(cache.glob("vectors-index-*.f32"))


@pytest.mark.usefixtures("small_index")
@pytest.mark.parametrize("left", [0, 1, 1000])
def test_a_damaged_index_is_none(clip: Clip, folder: Path, cache: Path, left: int) -> None:
    every = names(clip, "a boat", images=paths(folder))
    (path,) = cache.glob("vectors-index-*.f32")
    os.truncate(path, left)
    assert names(clip, "a boat", images=paths(folder)) == every
    assert names(clip, "a boat") == every


@pytest.mark.usefixtures("small_index")
def test_to_clear_the_store_removes_the_index(clip: Clip, folder: Path, cache: Path) -> None:
    names(clip, "a boat", images=paths(folder))
    store = Store(cache)
    store.clear()
    store.close()
    assert [path.name for path in cache.glob("vectors-*") if FILE not in path.name] == []


def test_digests_with_zeros_and_high_bytes_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hexed = ["00" * 32, "00" * 31 + "01", "7f" + "00" * 31, "80" * 32, "ff" * 31 + "00", "ff" * 32]
    store = Store(tmp_path)
    vectors = np.eye(6, dtype=np.float32)
    store.put("vision:x", {"a phrase": vectors[0]} | dict(zip(hexed[::-1], vectors, strict=True)))
    found = Index(store, tmp_path, "vision:x", 6)
    assert [bytes(each).hex() for each in index.listed(found.stored())] == hexed
    lacking = found.lacking(found.stored())
    assert {digest.hex() for digest in lacking} == set(hexed)
    monkeypatch.setattr(index, "_NEW", 1)
    assert found.renew(6)
    assert found.rows(found.stored()).tolist() == [0, 1, 2, 3, 4, 5]
    np.testing.assert_array_equal(found.vectors, vectors[::-1])
    absent = np.frombuffer(bytes.fromhex("12" * 32), index.SHA256)
    assert found.rows(absent).tolist() == [-1]
    store.close()
