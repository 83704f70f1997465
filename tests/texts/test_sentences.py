"""Sentences that are tried are encoded as phrases are, and not kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from clip_gaze import Clip
from clip_gaze.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from PIL import Image


def test_a_line_has_the_similarity_that_its_text_has(picture: Callable[..., Image.Image]) -> None:
    image = picture()
    with Clip("demo", offline=True) as clip:
        found = clip.prompt(image)
        texts = [found.line, found.naive, found.best_phrase]
        values = clip.encode_texts(texts, keep=False) @ clip.encode_images([image])[0]
    expected = [found.similarity, found.naive_similarity, found.best_phrase_similarity]
    np.testing.assert_allclose(values, expected, atol=1e-5)


def test_lines_that_were_tried_are_not_kept(
    picture: Callable[..., Image.Image], cache: Path
) -> None:
    lists = {"tools": ["a pen", "a brush"], "sites": ["a wall", "a road", "a boat"]}
    with Clip("demo", offline=True) as clip:
        assert clip.prompt(picture(), lists).tried > 5
    store = Store(cache)
    assert store.counts()["text"] == 5
    store.close()
