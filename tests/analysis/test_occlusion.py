"""What is lost as parts are covered tells what each part is worth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from clip_gaze.analysis import occlusion

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from PIL import Image

    MakePicture = Callable[..., Image.Image]


@pytest.fixture
def noise(picture: MakePicture) -> NDArray[np.uint8]:
    return np.asarray(picture(96, 96))


def test_the_cells_together_are_worth_what_the_picture_is(noise: NDArray[np.uint8]) -> None:
    middle = np.s_[:, 29:67, 29:67]

    def score(squares: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Lose 3 when the middle is covered, and a part of it for a part."""
        changed = (squares[middle] != noise[None][middle]).any(axis=-1)
        return -3 * changed.mean(axis=(1, 2))[:, None]

    found = occlusion.occlude(noise, score)
    assert found.grids.sum() == pytest.approx(3, rel=0.2)
    assert found.grids[0, 4:12, 4:12].sum() > 0.7 * found.grids.sum()


def test_a_model_that_never_changes_its_mind_gives_a_flat_map(noise: NDArray[np.uint8]) -> None:
    found = occlusion.occlude(noise, lambda squares: np.full((len(squares), 1), -1.5))
    assert not found.grids.any()
    assert found.log_odds.tolist() == [-1.5]


def test_progress_ends_where_it_said(noise: NDArray[np.uint8]) -> None:
    seen: list[tuple[int, int]] = []
    occlusion.occlude(
        noise,
        lambda squares: np.zeros((len(squares), 1)),
        runs=60,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == sorted(seen)
    assert seen[-1] == (60, 60)


def test_covered_parts_are_blurred_and_others_stay(noise: NDArray[np.uint8]) -> None:
    versions: list[NDArray[np.uint8]] = []

    def score(squares: NDArray[np.uint8]) -> NDArray[np.float64]:
        versions.extend(squares)
        return np.zeros((len(squares), 1))

    occlusion.occlude(noise, score)
    assert (versions[0] == noise).all()
    for version in versions[1:]:
        differs = (version != noise).any(axis=-1)
        assert 0.01 < differs.mean() < 0.25
        assert version[differs].std() < noise.std() / 3
        assert version[differs].mean() == pytest.approx(noise.mean(), abs=12)
