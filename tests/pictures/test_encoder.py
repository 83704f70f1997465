"""Pictures are encoded in order, ahead of the graph, and once."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import sqlite3
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

import clip_gaze
from clip_gaze.model.session import Tower
from clip_gaze.pictures import encoder as module
from clip_gaze.pictures import memory, vision
from clip_gaze.pictures.preprocess import pixel_values
from clip_gaze.pictures.source import Content
from clip_gaze.texts import phrases
from samples import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    MakePicture = Callable[..., Image.Image]

WORDS = {"tools": phrases.load("tools")}


@pytest.fixture
def folder(tmp_path: Path, picture: MakePicture) -> list[Path]:
    """Return 23 pictures, of which two are bad."""
    paths = [tmp_path / f"{number:02}.png" for number in range(23)]
    for seed, path in enumerate(paths):
        picture(40 + seed, 60, seed=seed).save(path)
    paths[5].write_bytes(b"no picture")
    paths[11].unlink()
    return paths


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the names of the files that get decoded during the test."""
    found: list[str] = []
    real = vision.decoded

    def counted(file: IO[bytes], name: str, *others: Any) -> Image.Image:
        found.append(Path(name).name)
        return real(file, name, *others)

    monkeypatch.setattr(vision, "decoded", counted)
    return found


def looked(model: Path, paths: list[Path], **options: object) -> list[clip_gaze.PictureResult]:
    with clip_gaze.Clip(model, **options) as clip:  # type: ignore[arg-type]
        return list(clip.gaze_many(paths, WORDS))


def test_results_come_in_the_order_of_the_paths_with_bad_ones_in_place(
    tiny_model: Path, folder: list[Path]
) -> None:
    results = looked(tiny_model, folder)
    assert [result.image for result in results] == [str(path) for path in folder]
    assert [at for at, result in enumerate(results) if result.error] == [5, 11]


def test_the_stream_names_each_picture_beside_its_vector_or_error(
    tiny_model: Path, folder: list[Path], picture: MakePicture
) -> None:
    images = [*folder[3:6], picture(), str(folder[11]), folder[3]]
    with clip_gaze.Clip(tiny_model) as clip:
        found = list(clip.embed_many(images))
    assert [name for name, _ in found] == [str(each) for each in folder[3:6]] + [
        "", str(folder[11]), str(folder[3]),
    ]  # fmt: skip
    bad = [isinstance(outcome, clip_gaze.PictureError) for _, outcome in found]
    assert bad == [False, False, True, False, True, False]


def test_pictures_of_every_kind_have_one_vector(
    tiny_model: Path, folder: list[Path], picture: MakePicture
) -> None:
    path = folder[3]
    image = picture(43, 60, seed=3)
    with clip_gaze.Clip(tiny_model) as clip, path.open("rb") as file:
        wanted = clip.encode_images([path])[0]
        given = [path.read_bytes(), image, file, np.asarray(image), Content(path.read_bytes(), "a")]
        found = list(clip.embed_many(given))  # type: ignore[arg-type]
        assert [name for name, _ in found] == ["", "", "", "", "a"]
        for _, vector in found:
            assert np.allclose(vector, wanted, atol=1e-6)


def test_what_is_no_picture_is_a_result_among_others(
    tiny_model: Path, folder: list[Path], picture: MakePicture
) -> None:
    short = Image.open(io.BytesIO(folder[3].read_bytes()[:2000]))
    closed = picture()
    closed.close()
    images = [short, folder[0], closed, np.zeros((2, 3)), None, io.StringIO("a"), b"no", picture()]
    with clip_gaze.Clip(tiny_model) as clip:
        results = list(clip.gaze_many(images, WORDS))  # type: ignore[arg-type]
    bad = [at for at, result in enumerate(results) if result.error]
    assert bad == [0, 2, 3, 4, 5, 6]
    assert [result.image for result in results] == ["", str(folder[0]), *[""] * 6]
    assert all(len((result.error or "").splitlines()) < 2 for result in results)


def test_an_open_file_is_read_before_the_next_one_is_asked_for(
    tiny_model: Path, folder: list[Path]
) -> None:
    def opened_in_turn() -> Iterator[IO[bytes]]:
        for path in folder[:4]:
            with path.open("rb") as file:
                yield file

    with clip_gaze.Clip(tiny_model) as clip:
        rows = clip.encode_images(opened_in_turn())
        assert np.allclose(rows, clip.encode_images(folder[:4]), atol=1e-6)


def test_a_decoded_picture_is_let_go_before_the_graph_runs(
    tiny_model: Path, picture: MakePicture, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[weakref.ref[Image.Image]] = []
    alive: list[int] = []
    run = Tower.images

    def one(seed: int) -> Image.Image:
        image = picture(seed=seed)
        made.append(weakref.ref(image))
        return image

    def running(self: Tower, pixels: np.ndarray) -> np.ndarray:
        alive.append(sum(each() is not None for each in made))
        return run(self, pixels)

    monkeypatch.setattr(Tower, "images", running)
    with clip_gaze.Clip(tiny_model) as clip:
        clip.encode_images(map(one, range(4)))
    assert alive == [0, 0, 0, 0]


def test_a_picture_does_not_depend_on_its_neighbours(tiny_model: Path, folder: list[Path]) -> None:
    together = looked(tiny_model, folder, store=False)
    for path, result in zip(folder, together, strict=True):
        if not result.error:
            (alone,) = looked(tiny_model, [path], store=False)
            one = {score.phrase: score.probability for score in alone.lists["tools"]}
            for score in result.lists["tools"]:
                assert score.probability == pytest.approx(one[score.phrase], abs=1e-6)


def test_a_second_look_decodes_nothing_and_loads_no_tower(
    tiny_model: Path, folder: list[Path], opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = looked(tiny_model, folder)
    assert len(opened) == 22  # one is gone
    opened.clear()

    loaded: list[object] = []
    monkeypatch.setattr("clip_gaze.model.towers.Tower", lambda *which: loaded.append(which))
    assert looked(tiny_model, folder) == first
    assert loaded == []
    assert opened == [folder[5].name]  # the bad one


def test_a_moved_picture_is_known_by_its_content(
    tiny_model: Path, folder: list[Path], opened: list[str], tmp_path: Path
) -> None:
    looked(tiny_model, folder[:3])
    opened.clear()
    moved = [shutil.copy(path, tmp_path / f"moved-{path.name}") for path in folder[:3]]
    looked(tiny_model, moved)
    assert opened == []


def test_vectors_of_another_preprocessing_are_not_used(
    tiny_model: Path, folder: list[Path], opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    looked(tiny_model, folder[:3])
    opened.clear()
    monkeypatch.setattr(module, "PREPROCESSING", "preprocessing 1, Pillow 12")
    looked(tiny_model, folder[:3])
    assert sorted(opened) == [path.name for path in folder[:3]]


def test_a_changed_picture_is_looked_at_anew(
    tiny_model: Path, folder: list[Path], picture: MakePicture
) -> None:
    before = looked(tiny_model, folder[:1])
    picture(90, 90, seed=77).save(folder[0])
    assert looked(tiny_model, folder[:1]) != before


def test_a_file_written_to_while_it_is_read_is_not_remembered(
    tiny_model: Path, folder: list[Path], picture: MakePicture, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = vision.decoded

    def racing(file: IO[bytes], name: str, *others: Any) -> Image.Image:
        image = real(file, name, *others)
        picture(90, 90, seed=77).save(name)
        os.utime(name, ns=(1, 1))
        return image

    monkeypatch.setattr(vision, "decoded", racing)
    looked(tiny_model, folder[:1])
    monkeypatch.undo()
    (again,) = looked(tiny_model, folder[:1])
    (fresh,) = looked(tiny_model, folder[:1], store=False)
    assert again == fresh


def test_without_a_store_nothing_is_read_or_kept(
    tiny_model: Path, folder: list[Path], opened: list[str], cache: Path
) -> None:
    for _ in range(2):
        looked(tiny_model, folder[:2], store=False)
    assert len(opened) == 4
    assert not list(cache.glob("*.sqlite*"))


def test_another_model_shares_no_vectors(tiny_model: Path, folder: list[Path]) -> None:
    rows = []
    for variant in ("fp32", "q8"):
        with clip_gaze.Clip(tiny_model, variant) as clip:
            rows.append(clip.encode_images(folder[:1]))
    assert not np.array_equal(rows[0], rows[1])


def test_a_too_large_picture_is_refused_before_it_is_decoded(
    tiny_model: Path, folder: list[Path]
) -> None:
    (result,) = looked(tiny_model, folder[:1], max_megapixels=0.001)
    assert "0.001 million pixels" in (result.error or "")


@pytest.mark.parametrize("threads", [4, 64])
@pytest.mark.parametrize("calls", ["one call", "a call each"])
def test_pictures_that_fit_one_by_one_are_not_refused_for_threads(
    calls: str,
    threads: int,
    tiny_model: Path,
    folder: list[Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And however many threads there are, no more are decoded at once than fit in memory."""
    good = [path for path in folder if path not in (folder[5], folder[11])]
    fitting = 2 * 62 * 60  # pixels: two of the largest
    monkeypatch.setattr(memory, "free_bytes", lambda: 2 * 12 * fitting)
    lock, crowded, inside, most = threading.Lock(), threading.Event(), 0, 0

    def pixels(image: Image.Image, *others: Any) -> Any:
        nonlocal inside, most
        size = image.width * image.height
        with lock:
            inside += size
            most = max(most, inside)
        if most <= fitting:
            crowded.wait(0.02)  # a moment in which others may come
        else:
            crowded.set()
        try:
            return pixel_values(image, *others)
        finally:
            with lock:
                inside -= size

    monkeypatch.setattr(vision, "pixel_values", pixels)
    with clip_gaze.Clip(tiny_model, threads=threads) as clip:
        if calls == "one call":
            clip.encode_images(good)
        else:
            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(lambda path: clip.encode_images([path]), good))
    assert 0 < most <= fitting


def test_few_pictures_are_open_at_once(
    tiny_model: Path, folder: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many there are: no more than there are threads."""
    open_now, most = 0, 0
    lock = threading.Lock()
    real, run = vision.decoded, Tower.images

    def opening(file: IO[bytes], *others: Any) -> Image.Image:
        nonlocal open_now, most
        with lock:
            open_now += 1
            most = max(most, open_now)
        return real(file, *others)

    def running(self: Tower, pixels: np.ndarray) -> np.ndarray:
        nonlocal open_now
        with lock:
            open_now -= len(pixels)
        return run(self, pixels)

    monkeypatch.setattr(vision, "decoded", opening)
    monkeypatch.setattr(Tower, "images", running)
    many = [path for path in folder if path not in (folder[5], folder[11])] * 8
    looked(tiny_model, many, store=False, threads=2)
    assert most == 2


def test_the_graph_is_loaded_while_the_first_picture_is_decoded(
    tiny_model: Path, folder: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    loading, decoded = threading.Event(), threading.Event()

    def tower(*arguments: Any) -> Tower:
        loading.set()
        assert decoded.wait(PATIENCE)
        return Tower(*arguments)

    def pixels(*arguments: Any) -> Any:
        assert loading.wait(PATIENCE)
        decoded.set()
        return pixel_values(*arguments)

    looked(tiny_model, folder[-1:])  # its phrases are known from now on
    monkeypatch.setattr("clip_gaze.model.towers.Tower", tower)
    monkeypatch.setattr(vision, "pixel_values", pixels)
    (result,) = looked(tiny_model, folder[:1])
    assert result.status == "ok", result.error


def test_what_is_wrong_with_a_picture_does_not_wait_for_the_graph(
    tiny_model: Path, folder: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    answered = threading.Event()

    def tower(*arguments: Any) -> Tower:
        assert answered.wait(PATIENCE)
        return Tower(*arguments)

    looked(tiny_model, folder[-1:])
    monkeypatch.setattr("clip_gaze.model.towers.Tower", tower)
    folder[0].write_bytes(folder[0].read_bytes()[:500])
    with clip_gaze.Clip(tiny_model) as clip:
        (result,) = clip.gaze_many(folder[:1], WORDS)
        answered.set()
    assert "damaged or cut short" in (result.error or "")


def test_a_thread_that_cannot_be_had_is_no_fault_of_the_picture(
    tiny_model: Path, folder: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Exhausted(ThreadPoolExecutor):
        def submit(self, *_: Any, **__: Any) -> Any:
            raise RuntimeError("can't start new thread")

    monkeypatch.setattr(vision, "ThreadPoolExecutor", Exhausted)
    (result,) = looked(tiny_model, folder[:1])
    assert result.status == "ok", result.error


def test_a_damaged_store_costs_time_alone(
    tiny_model: Path, folder: list[Path], cache: Path
) -> None:
    first = looked(tiny_model, folder[:3])
    (path,) = cache.glob("*.sqlite")
    with contextlib.closing(sqlite3.connect(path)) as file, file:
        file.execute("UPDATE vector SET embeds = zeroblob(length(embeds))")
        file.execute("UPDATE file SET digest = 'x'")
    file.close()
    assert looked(tiny_model, folder[:3]) == first
