"""The demo model is small, whole, and knows what a picture was painted as."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

import clip_gaze
from clip_gaze.model import registry
from clip_gaze.texts import phrases
from demo import evaluate
from demo.losses import HEAD_STARTS
from demo.painter import TRAINED, paint

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = Path(__file__).parents[2] / "models" / "demo"


@pytest.fixture(scope="module")
def demo() -> Iterator[clip_gaze.Clip]:
    with clip_gaze.Clip("demo", store=False) as clip:
        yield clip


def test_everything_fits_in_8_megabytes() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) <= 8_000_000


def test_every_variant_is_whole() -> None:
    for variant in registry.find("demo").manifest.variants:
        clip_gaze.Clip("demo", variant).close()


@pytest.fixture(scope="module")
def report(demo: clip_gaze.Clip) -> dict[str, dict[str, object]]:
    """Return how often it is right, of 100 pictures never trained on."""
    first = evaluate.FIRST_SEED + 90_000
    return evaluate.evaluate(demo, range(first, first + 100))


# The figures of the model card are of 500 pictures, and each is higher.
FLOOR = {"movements": 0.9, "surfaces": 0.95, "painting_materials": 0.92}


@pytest.mark.parametrize("name", FLOOR)
def test_what_was_painted_is_found(report: dict[str, dict[str, float]], name: str) -> None:
    assert report[name]["among trained"] >= FLOOR[name]
    assert report[name]["among whole list"] >= FLOOR[name] - 0.02


@pytest.mark.parametrize("name", TRAINED)
def test_neutral_pictures_find_the_head_starts_of_training(demo: clip_gaze.Clip, name: str) -> None:
    found = demo.bias(TRAINED[name])
    if ratio := HEAD_STARTS.get(name):
        given = np.linspace(0.5, -0.5, len(found)) * np.log(ratio)
        assert np.abs(found - found.mean() - given).max() < 0.15
    else:
        assert np.ptp(found) < np.log(1.5)


@pytest.mark.parametrize("name", FLOOR)
def test_the_correction_costs_no_right_answers(
    report: dict[str, dict[str, float]], name: str
) -> None:
    """By chance one picture in a hundred may change sides."""
    assert report[name]["whole list, corrected"] >= report[name]["among whole list"] - 0.01


def test_the_correction_helps_where_there_was_a_head_start(demo: clip_gaze.Clip) -> None:
    """Given once more in place of being taken away, a head start costs right answers."""
    first = evaluate.FIRST_SEED + 90_000
    paintings = [paint(seed, evaluate.PAINTED_SIZE) for seed in range(first, first + 300)]
    images = demo.encode_images(each.image for each in paintings)
    right = dict.fromkeys((1, 0, -1), 0)
    for name in HEAD_STARTS:
        whole = phrases.load(name)
        truth = np.array([whole.index(each.phrases[name]) for each in paintings])
        taken = demo.ranking({name: whole}, corrected=True)
        assert taken.neutral is not None
        for times in right:
            ranking = replace(taken, neutral=np.float32(times) * taken.neutral)
            right[times] += int((ranking.log_odds(images, name).argmax(axis=1) == truth).sum())
    assert right[1] > right[0] > right[-1]


def test_it_says_what_it_is() -> None:
    manifest = registry.find("demo").manifest
    assert "demo model" in manifest.note
    assert all(set(known) <= set(phrases.load(name)) for name, known in TRAINED.items())
    card = (FOLDER / "README.md").read_text(encoding="utf-8")
    for known in TRAINED.values():
        assert all(phrase in card for phrase in known)
