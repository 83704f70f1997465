"""What a `Clip` is made from can be sent to another process."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import pytest

from clip_gaze import Clip, GazeError, ModelSpec

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from PIL import Image


def test_a_pickled_spec_makes_a_clip_with_the_same_answers(
    tiny_model: Path, picture: Callable[..., Image.Image]
) -> None:
    asked = ["on wood", "on canvas"]
    with Clip(tiny_model, "q4", threads=1, templates=["a painting {}"], store=False) as clip:
        spec = clip.spec
        answer = clip.probabilities(picture(), asked)
    assert spec == ModelSpec(
        str(tiny_model), "q4", threads=1, store=False, templates=("a painting {}",)
    )
    with Clip.from_spec(pickle.loads(pickle.dumps(spec))) as other:
        assert other.spec == spec
        assert other.probabilities(picture(), asked) == answer


@pytest.mark.parametrize("limit", [0, -1, float("inf"), float("nan")])
def test_a_limit_of_pixels_is_a_number_above_0(tiny_model: Path, limit: float) -> None:
    with pytest.raises(GazeError, match="max_megapixels should be a number above 0"):
        Clip(tiny_model, max_megapixels=limit)
