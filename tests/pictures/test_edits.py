"""Each edit does to a picture what its name says, whatever the picture's size, and leaves RGB."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from clip_gaze.pictures import edits

if TYPE_CHECKING:
    from collections.abc import Callable

    MakePicture = Callable[..., Image.Image]


@pytest.mark.parametrize("name", edits.EDITS)
@settings(deadline=None, max_examples=25)
@given(width=st.integers(1, 90), height=st.integers(1, 90))
def test_any_picture_can_be_edited_and_stays_as_it_was(name: str, width: int, height: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    made = edits.EDITS[name](image)
    assert made.mode == "RGB"
    assert np.array_equal(np.asarray(image), pixels)
    if name == "crop":
        assert made.width == max(1, round(0.7 * width))
        assert made.height == max(1, round(0.7 * height))
    else:
        assert made.size == (width, height)


def test_crop_is_the_middle(picture: MakePicture) -> None:
    image = picture(100, 60)
    wanted = np.asarray(image)[9:51, 15:85]
    assert np.array_equal(np.asarray(edits.crop(image)), wanted)


def test_grey_keeps_brightness_and_no_colour(picture: MakePicture) -> None:
    image = picture()
    red, green, blue = np.moveaxis(np.asarray(image).astype(float), 2, 0)
    made = np.asarray(edits.grey(image))
    assert (made == made[:, :, :1]).all()
    assert np.abs(made[:, :, 0] - (0.299 * red + 0.587 * green + 0.114 * blue)).max() <= 1


def test_mirrored_exchanges_left_and_right(picture: MakePicture) -> None:
    image = picture()
    assert np.array_equal(np.asarray(edits.mirrored(image)), np.asarray(image)[:, ::-1])
    assert np.array_equal(np.asarray(edits.mirrored(edits.mirrored(image))), np.asarray(image))


def test_blur_takes_detail_and_keeps_the_mean(picture: MakePicture) -> None:
    image = picture(200, 200)
    before, after = np.asarray(image).astype(float), np.asarray(edits.blur(image)).astype(float)
    assert after.std() < before.std() / 10
    assert abs(after.mean() - before.mean()) < 2


def test_a_blurred_picture_looks_the_same_whatever_its_size() -> None:
    small = Image.new("RGB", (100, 100))
    small.paste((255, 255, 255), (0, 0, 50, 100))
    large = small.resize((400, 400), Image.Resampling.NEAREST)
    shrunk = edits.blur(large).resize((100, 100), Image.Resampling.BOX)
    difference = np.asarray(shrunk).astype(int) - np.asarray(edits.blur(small))
    assert np.abs(difference).max() <= 12
