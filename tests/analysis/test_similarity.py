"""The arithmetic equals torch's; no score depends on the order or the number of phrases."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clip_gaze.analysis import similarity

if TYPE_CHECKING:
    from random import Random

SHAPES = st.tuples(st.integers(1, 300), st.integers(1, 80), st.integers(0, 2**32 - 1))


def vectors(count: int, dim: int, seed: int = 0) -> np.ndarray:
    """Return rows of length 1."""
    rows = np.random.default_rng(seed).normal(size=(count, dim)).astype(np.float32)
    return similarity.normalise(rows)


def test_normalise_equals_torch() -> None:
    import torch

    rows = np.random.default_rng(0).normal(0, 50, (200, 512)).astype(np.float32)
    wanted = torch.nn.functional.normalize(torch.from_numpy(rows), dim=1).numpy()
    found = similarity.normalise(rows)
    assert found.dtype == np.float32
    assert np.abs(found - wanted).max() <= 1e-7


def test_a_row_of_zeros_stays_as_it_is() -> None:
    rows = np.array([[0, 0, 0], [0, 3, 4]], np.float32)
    assert similarity.normalise(rows).tolist() == [[0, 0, 0], [0, np.float32(0.6), np.float32(0.8)]]


def test_normalise_leaves_its_input_alone() -> None:
    rows = np.full((2, 3), 2, np.float32)
    similarity.normalise(rows)
    assert (rows == 2).all()


def test_logits_equal_torch() -> None:
    import torch

    images, texts = vectors(3, 512), vectors(1000, 512, seed=1)
    wanted = 100 * torch.from_numpy(images).double() @ torch.from_numpy(texts).double().T
    found = similarity.logits(images, texts, 100.0)
    assert found.dtype == np.float32
    assert np.abs(found - wanted.numpy()).max() <= 1e-4  # float32 keeps 24 bits of up to 100


@pytest.mark.parametrize("spread", [0.0, 1.0, 30.0, 1e4])
def test_softmax_equals_torch(spread: float) -> None:
    import torch

    values = np.random.default_rng(0).normal(0, spread, (4, 957)).astype(np.float32)
    wanted = torch.softmax(torch.from_numpy(values).double(), dim=1).numpy()
    assert np.abs(similarity.softmax(values) - wanted).max() <= 1e-15


def test_softmax_of_nothing_is_nothing() -> None:
    assert similarity.softmax(np.empty((2, 0), np.float32)).shape == (2, 0)


@given(
    st.lists(st.floats(-1000, 1000, width=32), min_size=1, max_size=200).map(
        lambda values: np.array(values, np.float32)
    )
)
def test_probabilities_sum_to_1(values: np.ndarray) -> None:
    found = similarity.softmax(values)
    assert found.dtype == np.float64
    assert ((found >= 0) & (found <= 1)).all()
    assert abs(found.sum() - 1) <= 1e-14
    order = np.argsort(values, kind="stable")
    assert (np.diff(found[order]) >= 0).all()


@settings(deadline=None)
@given(SHAPES)
def test_permuting_phrases_permutes_scores_bit_for_bit(shape: tuple[int, int, int]) -> None:
    count, dim, seed = shape
    image, texts = vectors(1, dim, seed + 1), vectors(count, dim, seed)
    order = np.random.default_rng(seed).permutation(count)
    scores = similarity.softmax(similarity.logits(image, texts, 100.0))
    permuted = similarity.softmax(similarity.logits(image, texts[order], 100.0))
    assert np.array_equal(permuted, scores[:, order])


@settings(deadline=None)
@given(SHAPES, st.data())
def test_a_phrases_logit_does_not_depend_on_the_others(
    shape: tuple[int, int, int], data: st.DataObject
) -> None:
    count, dim, seed = shape
    images, texts = vectors(3, dim, seed + 1), vectors(count, dim, seed)
    together = similarity.logits(images, texts, 100.0)
    first = data.draw(st.integers(0, count - 1))
    end = data.draw(st.integers(first + 1, count))
    assert np.array_equal(
        similarity.logits(images, texts[first:end], 100.0), together[:, first:end]
    )
    assert np.array_equal(similarity.logits(images[1:2], texts, 100.0), together[1:2])


@pytest.mark.parametrize("dim", [64, 512, 768])
def test_a_phrase_alone_has_the_logit_it_has_among_thousands(dim: int) -> None:
    image, texts = vectors(1, dim, 1), vectors(5854, dim)
    together = similarity.logits(image, texts, 100.0)[0]
    alone = [similarity.logits(image, texts[at : at + 1], 100.0)[0, 0] for at in range(0, 5854, 97)]
    assert np.array_equal(alone, together[::97])


@given(st.lists(st.sampled_from([0.1, 0.2, 0.3])), st.none() | st.integers(0, 12))
def test_best_is_a_stable_sort_cut_off(values: list[float], top: int | None) -> None:
    pairs = sorted(enumerate(values), key=lambda pair: -pair[1])
    wanted = [at for at, _ in pairs]
    assert similarity.best(np.array(values, np.float64), top) == (wanted[:top] if top else wanted)


@given(st.lists(st.floats(-3000, 3000, width=32), min_size=2, max_size=60), st.randoms())
def test_log_odds_are_finite_and_equal_an_exact_sum(values: list[float], random: Random) -> None:
    found = similarity.log_odds(np.array(values, np.float32))
    assert found.dtype == np.float64
    for at, value in enumerate(values):
        others = [*values[:at], *values[at + 1 :]]
        peak = max(others)
        wanted = value - (peak + math.log(math.fsum(math.exp(each - peak) for each in others)))
        assert found[at] == pytest.approx(wanted, rel=1e-12, abs=1e-11)
    order = random.sample(range(len(values)), len(values))
    permuted = similarity.log_odds(np.array(values, np.float32)[order])
    assert np.array_equal(permuted, found[order])


@given(st.lists(st.floats(-6, 6, width=32), min_size=2, max_size=60))
def test_log_odds_are_the_logit_of_the_probability(values: list[float]) -> None:
    logits = np.array([values, values[::-1]], np.float32)
    found = similarity.softmax(logits)
    assert similarity.log_odds(logits) == pytest.approx(np.log(found / (1 - found)), abs=1e-9)


def test_log_odds_of_saturated_phrases_differ() -> None:
    found = similarity.log_odds(np.array([900, 0, -100], np.float32))
    assert similarity.softmax(np.array([900, 0, -100], np.float32)).tolist() == [1, 0, 0]
    assert found.tolist() == [900, -900, -1000]


def test_a_phrase_alone_is_certain() -> None:
    assert similarity.log_odds(np.array([[3], [4]], np.float32)).tolist() == [[np.inf], [np.inf]]
    assert similarity.log_odds(np.empty((2, 0), np.float32)).shape == (2, 0)
