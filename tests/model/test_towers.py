"""One tower is kept at a time, and two where threads need both at once; never a second copy."""

from __future__ import annotations

import itertools
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import clip_gaze
from clip_gaze.errors import ClosedError
from clip_gaze.model import towers
from clip_gaze.model.session import Tower
from clip_gaze.model.towers import Towers
from clip_gaze.texts import phrases

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from PIL import Image

    MakePicture = Callable[..., Image.Image]


class Loaded:
    """The names of the graphs that were loaded, and which of them are still there."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._towers: list[weakref.ref[Tower]] = []

    def add(self, name: str, tower: Tower) -> None:
        """Remember a tower; there must not be a second one of its name."""
        self.names.append(name)
        self._towers.append(weakref.ref(tower))
        assert len(set(self.alive())) == len(self.alive())

    def alive(self) -> list[str]:
        """Return the names of the towers that are still there, sorted."""
        here = (ref() is not None for ref in self._towers)
        return sorted(itertools.compress(self.names, here))


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> Loaded:
    found = Loaded()

    class Watched(Tower):
        def __init__(self, path: Path, *options: int | None) -> None:
            super().__init__(path, *options)
            found.add(path.stem.removesuffix("_model"), self)

    monkeypatch.setattr(towers, "Tower", Watched)
    return found


@pytest.fixture
def both(tiny_model: Path) -> Iterator[Towers]:
    paths = {role: tiny_model / f"{role}_model.onnx" for role in ("vision", "text")}
    opened = Towers(paths, threads=1, width=64)
    yield opened
    opened.close()


def test_the_tower_that_was_asked_for_last_is_kept(both: Towers, loaded: Loaded) -> None:
    for ask, name in 2 * [(both.text, "text"), (both.vision, "vision")]:
        for _ in range(2):
            ask()
            assert loaded.alive() == [name]
    assert loaded.names == ["text", "vision", "text", "vision"]
    both.close()
    assert loaded.alive() == []


def test_a_tower_that_is_run_is_not_loaded_again(both: Towers, loaded: Loaded) -> None:
    run = both.vision()
    both.text()
    assert both.vision() is run
    assert loaded.names == ["vision", "text"]
    assert loaded.alive() == ["vision"]


def test_both_are_kept_where_both_are_run_until_the_next_time(both: Towers, loaded: Loaded) -> None:
    run = both.text(), both.vision()
    assert (both.text(), both.vision()) == run
    del run
    assert loaded.alive() == ["text", "vision"]
    both.text()
    assert loaded.alive() == ["text"]
    assert loaded.names == ["text", "vision"]


def test_a_graph_that_cannot_be_loaded_leaves_nothing_behind(
    tiny_model: Path, loaded: Loaded, tmp_path: Path
) -> None:
    paths = {"vision": tiny_model / "vision_model.onnx", "text": tmp_path / "gone.onnx"}
    half = Towers(paths, threads=1, width=64)
    for _ in range(2):
        half.vision()
        assert loaded.alive() == ["vision"]
        with pytest.raises(clip_gaze.ModelError):
            half.text()
        assert loaded.alive() == []


def test_closed_towers_load_nothing(both: Towers, loaded: Loaded) -> None:
    both.close()
    for ask in (both.text, both.vision):
        with pytest.raises(ClosedError):
            ask()
    assert loaded.names == []


def test_a_clip_keeps_one_tower_from_list_to_list(
    tiny_model: Path, loaded: Loaded, picture: MakePicture
) -> None:
    with clip_gaze.Clip(tiny_model, store=False) as clip:
        for name in ("surfaces", "tools", "sites"):
            clip.encode_texts(phrases.load(name))
            assert loaded.alive() == ["text"]
            clip.encode_images([picture()])
            assert loaded.alive() == ["vision"]


def one_by_one(encode: Callable[[list[Any]], np.ndarray], items: Sequence[Any]) -> np.ndarray:
    return np.concatenate([encode([item]) for item in items])


@pytest.mark.usefixtures("loaded")  # which watches out for second copies
def test_threads_with_phrases_and_threads_with_pictures_get_what_each_gets_alone(
    tiny_model: Path, picture: MakePicture, tmp_path: Path
) -> None:
    words = phrases.load("movements")[:60]
    paths = [tmp_path / f"{seed}.png" for seed in range(60)]
    for seed, path in enumerate(paths):
        picture(seed=seed).save(path)
    with clip_gaze.Clip(tiny_model, store=False) as clip:
        texts, images = clip.encode_texts(words), clip.encode_images(paths)
    with clip_gaze.Clip(tiny_model, store=False) as clip, ThreadPoolExecutor(3) as pool:
        asked = pool.submit(one_by_one, clip.encode_texts, words)
        looked = pool.submit(one_by_one, clip.encode_images, paths)
        together = pool.submit(clip.encode_images, paths)
        assert np.abs(asked.result() - texts).max() <= 1e-6
        assert np.abs(looked.result() - images).max() <= 1e-6
        assert np.abs(together.result() - images).max() <= 1e-6


def test_asking_about_phrases_between_two_pictures_disturbs_neither(
    tiny_model: Path, loaded: Loaded, picture: MakePicture
) -> None:
    words = phrases.load("tools")[:5]
    with clip_gaze.Clip(tiny_model, store=False) as clip:
        wanted = clip.encode_images(picture(seed=seed) for seed in range(5))
        texts = clip.encode_texts(words)
    asked = []
    with clip_gaze.Clip(tiny_model, store=False) as clip:

        def pictures() -> Iterator[Image.Image]:
            for seed, word in enumerate(words):
                yield picture(seed=seed)
                asked.append(clip.encode_texts([word])[0])
                assert loaded.alive() == ["text"]

        assert np.array_equal(clip.encode_images(pictures()), wanted)
    assert np.abs(np.stack(asked) - texts).max() <= 1e-6
