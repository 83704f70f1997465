"""Pixel values equal transformers' bit for bit."""

from __future__ import annotations

import io
import tracemalloc
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from clip_gaze.errors import PictureError
from clip_gaze.model.manifest import ImageSettings
from clip_gaze.pictures import preprocess
from clip_gaze.pictures.load import upright

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    MakePicture = Callable[..., Image.Image]
    Oracle = Callable[[Image.Image, int], np.ndarray | None]

MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)
PLAIN = ["1", "L", "LA", "RGB", "RGBA", "RGBX", "RGBa", "CMYK", "YCbCr", "HSV", "LAB"]
DEEP = ["I", "I;16", "I;16L", "I;16B", "F"]
PALETTE = ["P", "PA", "P with one transparent colour", "P with alpha"]
KEYED = [
    "1 with a transparent level",
    "L with a transparent level",
    "RGB with a transparent colour",
]
MODES = [*PLAIN, *DEEP, *PALETTE, *KEYED, "La"]
# Transformers' own refusals; what Pillow converts grows from release to release.
MAY_FAIL = {"La", "LAB", "I;16L", "I;16B"}
SIZES = [
    (1, 1), (1, 2), (2, 1), (3, 3), (5, 51), (51, 5), (7, 57), (9, 71), (47, 49), (48, 48),
    (49, 47), (48, 96), (97, 48), (63, 200), (200, 63), (2, 333), (333, 2), (223, 225), (225, 223),
]  # fmt: skip


@pytest.fixture(scope="module")
def theirs() -> Oracle:
    """Return transformers' answer for a picture; None where it cannot convert the mode."""
    from transformers import CLIPImageProcessorPil

    processor = CLIPImageProcessorPil(image_mean=MEAN, image_std=STD)

    def answer(image: Image.Image, size: int) -> np.ndarray | None:
        sizes = {"size": {"shortest_edge": size}, "crop_size": {"height": size, "width": size}}
        try:
            return processor(image, return_tensors="np", **sizes)["pixel_values"][0]
        except (ValueError, OSError):
            return None

    return answer


def ours(image: Image.Image, size: int) -> np.ndarray:
    return preprocess.pixel_values(image, ImageSettings(size, MEAN, STD))


def in_mode(name: str, size: tuple[int, int], seed: int = 0) -> Image.Image:
    """Return noise in one of `MODES`."""
    rng = np.random.default_rng(seed)
    mode, _, special = name.partition(" ")
    if mode == "F":
        return Image.fromarray(rng.uniform(-50, 300, size[::-1]).astype(np.float32))
    empty = Image.new(mode, size)
    image = Image.frombytes(mode, size, rng.bytes(len(empty.tobytes())))
    if mode in ("P", "PA"):
        image.putpalette(rng.bytes(768))
    if special:
        image.info["transparency"] = {
            "with one transparent colour": 3,
            "with alpha": rng.bytes(256),
            "with a transparent level": image.getpixel((0, 0)),
            "with a transparent colour": image.getpixel((0, 0)),
        }[special]
    return image


@pytest.mark.parametrize("mode", MODES)
def test_pixel_values_equal_transformers_for_every_mode_and_odd_sizes(
    mode: str, theirs: Oracle
) -> None:
    compared = 0
    for seed, size in enumerate(SIZES):
        image = in_mode(mode, size, seed)
        wanted = theirs(image, 48)
        if wanted is None:
            assert mode in MAY_FAIL
            with pytest.raises(PictureError, match=r"cannot be turned into RGB"):
                ours(image, 48)
        else:
            found = ours(image, 48)
            assert found.dtype == wanted.dtype == np.float32
            assert np.array_equal(found, wanted), size
            compared += 1
    assert compared in (len(SIZES), 0)


@pytest.mark.parametrize(
    ("size", "edge"),
    [
        ((1, 1), 224), ((223, 225), 224), ((224, 224), 224), ((640, 427), 224), ((5, 51), 224),
        ((400, 1000), 336), ((2, 900), 96), ((900, 2), 96), ((1, 4000), 32), ((4000, 1), 32),
        ((60, 480), 32), ((60, 481), 32), ((481, 60), 32), ((300, 4000), 32), ((4000, 300), 32),
        ((33, 3999), 32), ((3999, 33), 32),
    ],
)  # fmt: skip
def test_pixel_values_equal_transformers_at_real_edges_and_for_slender_pictures(
    size: tuple[int, int], edge: int, theirs: Oracle
) -> None:
    image = in_mode("RGB", size)
    assert np.array_equal(ours(image, edge), theirs(image, edge))


@settings(deadline=None, max_examples=150)
@given(
    mode=st.sampled_from(MODES),
    width=st.integers(1, 300),
    height=st.integers(1, 300),
    edge=st.sampled_from([16, 33, 64]),
    seed=st.integers(0, 2**32 - 1),
)
def test_pixel_values_equal_transformers_for_any_size(
    mode: str, width: int, height: int, edge: int, seed: int, theirs: Oracle
) -> None:
    image = in_mode(mode, (width, height), seed)
    wanted = theirs(image, edge)
    if wanted is None:
        with pytest.raises(PictureError):
            ours(image, edge)
    else:
        assert np.array_equal(ours(image, edge), wanted)


@settings(deadline=None, max_examples=60)
@given(short=st.integers(1, 40), factor=st.integers(8, 200), wide=st.booleans(), seed=st.integers())
def test_slender_pictures_equal_a_resize_of_the_whole(
    short: int, factor: int, wide: bool, seed: int
) -> None:
    size = (short * factor + 1, short) if wide else (short, short * factor + 1)
    image = in_mode("RGB", size, abs(seed))
    edge, long = 16, int(16 * max(size) / short)
    whole = image.resize((long, edge) if wide else (edge, long), Image.Resampling.BICUBIC)
    at = (long - edge) // 2
    box = (at, 0, at + edge, edge) if wide else (0, at, edge, at + edge)
    assert np.array_equal(preprocess.square(image, edge), np.asarray(whole.crop(box)))


@settings(deadline=None, max_examples=200)
@given(width=st.integers(1, 500), height=st.integers(1, 500), edge=st.integers(1, 80))
def test_the_square_is_cut_where_transformers_cuts_it(width: int, height: int, edge: int) -> None:
    from transformers.image_transforms import center_crop, get_resize_output_image_size

    last = {"input_data_format": "channels_last"}
    ramp = np.linspace(0, 255, max(width, height)).astype(np.uint8)  # tells every offset
    grey = np.broadcast_to(ramp[None] if width > height else ramp[:, None], (height, width))
    image = Image.fromarray(np.ascontiguousarray(grey)).convert("RGB")
    rows, columns = get_resize_output_image_size(
        np.asarray(image), edge, default_to_square=False, **last
    )
    whole = np.asarray(image.resize((columns, rows), Image.Resampling.BICUBIC))
    found = preprocess.square(image, edge)
    assert found.shape == (edge, edge, 3)
    assert np.array_equal(found, center_crop(whole, (edge, edge), **last))


@pytest.mark.parametrize("size", [(1, 4000), (4000, 1), (1, 3_000_000), (3_000_000, 1)])
def test_a_slender_picture_takes_little_memory(
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []  # pixels
    resize = Image.Image.resize

    def watched(image: Image.Image, new: tuple[int, int], *args: object) -> Image.Image:
        made.append(new[0] * new[1])
        return resize(image, new, *args)

    monkeypatch.setattr(Image.Image, "resize", watched)
    image = Image.new("RGB", size, "teal")
    tracemalloc.start()  # sees numpy's memory; Pillow's is counted by the sizes it is asked for
    try:
        pixels = preprocess.square(image, 224)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (pixels == (0, 128, 128)).all()
    assert made
    assert max(made) <= 300 * 300
    assert peak < 20e6


@pytest.mark.parametrize("size", [(0, 5), (5, 0), (0, 0)])
def test_a_picture_without_pixels_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(PictureError, match=r"has no pixels"):
        preprocess.square(Image.new("RGB", size), 16)


@pytest.mark.parametrize("mode", [*PLAIN, *PALETTE])
def test_a_part_equals_pillows_crop(mode: str) -> None:
    image = in_mode(mode, (97, 63))
    for box in ((0, 0, 97, 63), (11, 7, 60, 41), (96, 62, 97, 63)):
        found, wanted = preprocess.cropped(image, box), image.crop(box)
        assert (found.mode, found.size, found.info) == (wanted.mode, wanted.size, wanted.info)
        assert found.tobytes() == wanted.tobytes()
        assert found.getpalette() == wanted.getpalette()


def animation(kind: str) -> bytes:
    frames = [in_mode("RGB", (40, 50), seed) for seed in range(3)]
    buffer = io.BytesIO()
    options = {"lossless": True} if kind == "WEBP" else {}
    frames[0].save(buffer, kind, save_all=True, append_images=frames[1:], **options)
    return buffer.getvalue()


FILES: dict[str, Callable[[], bytes | Image.Image]] = {
    "palette with alpha.png": lambda: in_mode("P with alpha", (60, 45)),
    "palette with one transparent colour.gif": lambda: in_mode("P", (60, 45)),
    "cmyk.jpg": lambda: in_mode("CMYK", (61, 47)),
    "cmyk.tif": lambda: in_mode("CMYK", (61, 47)),
    "grey.jpg": lambda: in_mode("L", (61, 47)),
    "grey and alpha.png": lambda: in_mode("LA", (40, 33)),
    "two levels.png": lambda: in_mode("1", (40, 33)),
    "lab.tif": lambda: in_mode("LAB", (40, 33)),
    "alpha.webp": lambda: in_mode("RGBA", (40, 33)),
    "colour.bmp": lambda: in_mode("RGB", (40, 33)),
    "colour.tga": lambda: in_mode("RGBA", (40, 33)),
    "animated.gif": lambda: animation("GIF"),
    "animated.webp": lambda: animation("WEBP"),
    "animated.png": lambda: animation("PNG"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_saved_picture_equals_transformers_on_the_file(
    name: str, tmp_path: Path, theirs: Oracle
) -> None:
    path = tmp_path / name
    made = FILES[name]()
    if isinstance(made, bytes):
        path.write_bytes(made)
    else:
        made.save(path, **({"transparency": 3} if path.suffix == ".gif" else {}))
    with Image.open(path) as image:
        assert getattr(image, "n_frames", 1) == (3 if name.startswith("animated") else 1)
        wanted = theirs(image, 32)
    found = ours(upright(path), 32)
    assert np.array_equal(found, wanted)
