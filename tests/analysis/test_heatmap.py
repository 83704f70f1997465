"""Heat maps say which part of a picture speaks for a phrase."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

import clip_gaze
from clip_gaze.analysis import defaults, heatmap, occlusion, similarity
from clip_gaze.analysis.ranking import ranking
from clip_gaze.errors import GazeError, PhraseListError, PictureError
from clip_gaze.results import HeatMap, Question
from clip_gaze.store import Store
from clip_gaze.texts import phrases
from clip_gaze.texts.questions import questions
from demo import maps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    MakePicture = Callable[..., Image.Image]

SIZE = 96
# The share of pictures whose hottest cell must lie on the subject.
FLOOR = 0.85
# The same where all subjects leave the middle free: the demo model takes one in four for another.
FLOOR_ASIDE = 0.75
# What a planted model looks at: top, bottom, left, right, as parts of the square.
PLACES = [(0.0, 0.25, 0.0, 0.25), (0.6, 0.9, 0.1, 0.4), (0.4, 0.6, 0.4, 0.6), (0.7, 1.0, 0.7, 1.0)]


@pytest.fixture
def noise(picture: MakePicture) -> NDArray[np.uint8]:
    return np.asarray(picture(SIZE, SIZE))


def changed(
    pixels: NDArray[np.uint8], place: tuple[float, ...], squares: NDArray[np.uint8]
) -> NDArray[np.float64]:
    """Return how much of a place was covered in each square, (n,) from 0 to 1."""
    top, bottom, left, right = (round(share * len(pixels)) for share in place)
    part = np.s_[:, top:bottom, left:right]
    return (squares[part] != pixels[None][part]).any(axis=-1).mean(axis=(1, 2))


def planted(pixels: NDArray[np.uint8], place: tuple[float, ...]) -> heatmap.Encode:
    """Return an encoder that turns from the first of two phrases as a place is covered."""

    def encode(squares: NDArray[np.uint8]) -> NDArray[np.float32]:
        angle = 0.3 + changed(pixels, place, squares)
        return np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)

    return encode


def maps_of(
    pixels: NDArray[np.uint8], encode: heatmap.Encode, runs: int = defaults.RUNS
) -> tuple[HeatMap, HeatMap]:
    """Return the maps of two phrases whose embeddings are the axes."""
    asked = questions(["one", "two"], ["one", "two"])
    lists = heatmap.lists_of(asked)
    axes = ranking(lists, lambda phrases: np.eye(len(phrases), 2, dtype=np.float32), 10.0)
    found = heatmap.explain(pixels, asked, encode, axes, runs=runs)
    one, two = (
        HeatMap("", "planted", "fp32", question.phrase, None, 0.0, 0.5,
                tuple(map(tuple, grid)), (0.0, 0.0, 1.0, 1.0), found.runs)
        for question, grid in zip(asked, found.grids.tolist(), strict=True)
    )  # fmt: skip
    return one, two


def hottest(heat: HeatMap) -> tuple[float, float]:
    return maps.hottest(heat)[::-1]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("runs", [50, 100, 250])
def test_the_hottest_cell_is_where_the_model_looks(
    noise: NDArray[np.uint8], place: tuple[float, ...], runs: int
) -> None:
    heat, _ = maps_of(noise, planted(noise, place), runs)
    row, column = hottest(heat)
    assert place[0] <= row <= place[1]
    assert place[2] <= column <= place[3]


@pytest.mark.parametrize("place", PLACES)
def test_what_speaks_for_one_of_two_phrases_speaks_against_the_other(
    noise: NDArray[np.uint8], place: tuple[float, ...]
) -> None:
    one, two = (np.array(heat.grid) for heat in maps_of(noise, planted(noise, place)))
    assert one.max() > 0
    np.testing.assert_allclose(one, -two, atol=1e-6)


def test_a_uniform_picture_has_a_flat_map(tiny_model: Path) -> None:
    with clip_gaze.Clip(tiny_model) as clip:
        heat = clip.see(Image.new("RGB", (90, 60), (180, 40, 90)), "a portrait")
    assert np.abs(heat.grid).max() < 1e-5


@pytest.mark.parametrize("step", [1, 7, 1000])
def test_the_batch_changes_nothing(
    noise: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    expected = maps_of(noise, planted(noise, PLACES[1]))
    monkeypatch.setattr(occlusion, "_PER_BATCH", step)
    assert maps_of(noise, planted(noise, PLACES[1])) == expected


@pytest.mark.parametrize("runs", [20, 33, 50, 100, 250, 900])
def test_the_graph_runs_as_often_as_allowed_for_all_phrases_together(
    noise: NDArray[np.uint8], runs: int
) -> None:
    encode = planted(noise, PLACES[2])
    count = 0

    def counting(squares: NDArray[np.uint8]) -> NDArray[np.float32]:
        nonlocal count
        count += len(squares)
        return encode(squares)

    one, two = maps_of(noise, counting, runs)
    assert count == one.runs == two.runs == runs


def test_too_few_runs_are_refused(noise: NDArray[np.uint8]) -> None:
    with pytest.raises(GazeError, match="19 runs are too few"):
        maps_of(noise, planted(noise, PLACES[0]), 19)


@pytest.mark.parametrize("size", [16, 50, 97])
def test_the_square_may_have_any_size(picture: MakePicture, size: int) -> None:
    pixels = np.asarray(picture(size, size))
    heat, _ = maps_of(pixels, planted(pixels, PLACES[3]))
    row, column = hottest(heat)
    assert row > 0.65
    assert column > 0.65


def test_a_phrase_is_weighed_against_its_own_list() -> None:
    (artist,) = questions(["by paul cézanne"])
    assert artist.list == "artists_by_training_prevalence"  # the shorter of two that have it
    assert artist.phrases == phrases.load("artists_by_training_prevalence")


def test_a_phrase_of_no_list_joins_one_for_itself_alone() -> None:
    boat, house = questions(["a red boat", "a blue house"])
    assert boat.list == house.list == "genres"
    assert boat.phrases == (*phrases.load("genres"), "a red boat")
    assert questions(["a red boat"], "movements")[0].phrases[-1] == "a red boat"


def test_a_list_of_one_s_own_has_no_name() -> None:
    (question,) = questions(["b"], ["a", "b", "a"])
    assert question == Question("b", None, ("a", "b"))


@pytest.mark.parametrize(
    ("asked", "against", "message"),
    [
        ("a", ["a"], "nothing to be weighed against"),
        ("a", [], "nothing to be weighed against"),
        (" ", None, "blank"),
        ("a", "no_list", "no phrase list is called"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(
    asked: str, against: str | list[str] | None, message: str
) -> None:
    with pytest.raises(PhraseListError, match=message):
        questions([asked], against)


def test_a_map_says_how_likely_its_phrase_is(tiny_model: Path, picture: MakePicture) -> None:
    with clip_gaze.Clip(tiny_model) as clip:
        heat = clip.see(picture(), "on canvas", runs=20)
        probability = dict(clip.probabilities(picture(), clip_gaze.SURFACES))["on canvas"]
    assert heat.list == "surfaces"
    assert heat.probability == pytest.approx(probability, abs=1e-6)
    assert heat.log_odds == pytest.approx(math.log(probability / (1 - probability)), abs=1e-4)


def test_log_odds_of_any_size_have_a_probability() -> None:
    assert [similarity.probability(value) for value in (-1e4, 0.0, 1e4)] == [0, 0.5, 1]
    assert similarity.probability(-700.0) == pytest.approx(math.exp(-700.0))


def test_several_phrases_come_in_their_order(tiny_model: Path, picture: MakePicture) -> None:
    with clip_gaze.Clip(tiny_model) as clip:
        maps = clip.see(picture(), ["on canvas", "a red boat", "on paper"], runs=20)
        assert clip.see(picture(), []) == []
    assert [heat.phrase for heat in maps] == ["on canvas", "a red boat", "on paper"]


def test_a_map_knows_which_part_of_the_picture_it_is_of(
    tiny_model: Path, picture: MakePicture, tmp_path: Path
) -> None:
    path = tmp_path / "wide.png"
    picture(400, 200).save(path)
    with clip_gaze.Clip(tiny_model) as clip:
        heat = clip.see(path, "on canvas", runs=20)
        with pytest.raises(PictureError, match="no such file"):
            clip.see(tmp_path / "missing.png", "on canvas")
    assert heat.image == str(path)
    assert heat.box == pytest.approx((0.25, 0, 0.75, 1))


def test_vectors_of_covered_pictures_are_not_kept(
    tiny_model: Path, picture: MakePicture, tmp_path: Path, cache: Path
) -> None:
    path = tmp_path / "picture.png"
    picture().save(path)
    with clip_gaze.Clip(tiny_model) as clip:
        clip.see(path, "on canvas", runs=20)
    assert Store(cache).counts().get("vision", 0) == 0


@pytest.fixture(scope="module")
def demo() -> Iterator[clip_gaze.Clip]:
    with clip_gaze.Clip("demo", store=False) as clip:
        yield clip


def test_maps_of_painted_pictures_are_hottest_on_the_subject(demo: clip_gaze.Clip) -> None:
    first = maps.FIRST_SEED + 50_000
    assert maps.evaluate(demo, first, 200).hit >= FLOOR


def test_maps_find_subjects_that_do_not_stand_in_the_middle(demo: clip_gaze.Clip) -> None:
    """No place that is the same in all pictures would do, and no map of another phrase."""
    first = maps.FIRST_SEED + 50_000
    game = maps.evaluate(demo, first, 200, aside=True)
    assert game.hit >= FLOOR_ASIDE
    assert game.hit_where_right >= FLOOR
    assert game.fixed < 0.5
    assert game.other < 0.2
