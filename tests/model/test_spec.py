"""What a `Clip` is made from can be sent to another process."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

from clip_gaze import Clip, ModelSpec

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
