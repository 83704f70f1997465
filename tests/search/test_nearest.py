"""Search says what a plain product of all vectors says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clip_gaze.errors import GazeError
from clip_gaze.search import nearest


def unit(count: int, dim: int = 16, seed: int = 0) -> np.ndarray:
    """Return random vectors of length 1."""
    vectors = np.random.default_rng(seed).standard_normal((count, dim)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_a_direction_is_the_sum_of_unit_vectors_at_length_1() -> None:
    plus, minus = unit(3), unit(2, seed=1)
    total = plus.sum(axis=0) - minus.sum(axis=0)
    found = nearest.direction(plus, minus)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, total / np.linalg.norm(total), atol=1e-6)


def test_the_order_of_a_query_does_not_matter() -> None:
    plus = unit(5)
    turned = nearest.direction(plus[::-1], plus[:0])
    np.testing.assert_allclose(nearest.direction(plus, plus[:0]), turned, atol=1e-6)


@pytest.mark.parametrize(("plus", "minus", "says"), [(0, 0, "empty"), (2, 2, "cancels itself")])
def test_a_query_without_a_direction_is_refused(plus: int, minus: int, says: str) -> None:
    with pytest.raises(GazeError, match=says):
        nearest.direction(unit(plus), unit(minus))


@pytest.mark.parametrize("count", [0, 1, 4095, 4096, 4097, 9000])
def test_cosines_are_those_of_a_plain_product(count: int) -> None:
    vectors, (wanted,) = unit(count), unit(1, seed=9)
    found = nearest.cosines(vectors.__getitem__, count, wanted)
    np.testing.assert_allclose(found, vectors @ wanted, atol=1e-6)


def components(near: np.ndarray) -> list[list[int]]:
    """Return the connected components of more than one vertex, by walking."""
    left, found = set(range(len(near))), []
    while left:
        reached, edge = set(), {min(left)}
        while edge:
            reached |= edge
            edge = {int(each) for at in edge for each in np.flatnonzero(near[at])} - reached
        left -= reached
        found.append(sorted(reached))
    return [each for each in found if len(each) > 1]


@given(st.integers(0, 60), st.integers(0, 99), st.floats(-1, 1))
def test_groups_are_connected_components(count: int, seed: int, threshold: float) -> None:
    vectors = unit(count, dim=4, seed=seed)
    found = nearest.groups(vectors.__getitem__, count, threshold)
    assert [each.tolist() for each in found] == components(vectors @ vectors.T >= threshold)


def test_groups_reach_across_blocks_and_say_how_far_they_are() -> None:
    vectors = unit(5000, dim=64)
    vectors[4999] = vectors[3]
    vectors[700] = vectors[699]
    told: list[tuple[int, int]] = []
    found = nearest.groups(vectors.__getitem__, 5000, 0.99, lambda *done: told.append(done))
    assert [each.tolist() for each in found] == [[3, 4999], [699, 700]]
    assert told[-1] == (5000, 5000)
    assert told == sorted(told)
