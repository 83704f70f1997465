"""Pictures of 16 bits and of floats look as the same picture of 8 bits does."""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from clip_gaze import Clip
from clip_gaze.drawing import heatmap
from clip_gaze.pictures import edits, thumbnails
from clip_gaze.pictures.load import upright
from clip_gaze.results import HeatMap

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    MakePicture = Callable[..., Image.Image]


@pytest.fixture
def grey(picture: MakePicture) -> np.ndarray:
    """Return a grey picture of 8 bits, (50, 70) uint8."""
    return np.asarray(picture().convert("L"))


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def deep(grey: np.ndarray) -> np.ndarray:
    """Return the same picture of 16 bits."""
    return grey.astype(np.uint16) * 257


def tiff(levels: np.ndarray, bits: int, kind: int, photometric: int, order: str = "<") -> bytes:
    """Return a TIFF file of one strip, of samples packed into so many bits (TIFF 6.0)."""
    data = levels.astype(levels.dtype.newbyteorder(order)).tobytes()
    if bits == 12:
        pairs = levels.astype(np.uint16).reshape(len(levels), -1, 2)
        first, second = pairs[..., 0], pairs[..., 1]
        packed = np.stack([first >> 4, (first & 15) << 4 | second >> 8, second & 255], axis=-1)
        data = packed.astype(np.uint8).tobytes()
    height, width = levels.shape
    tags = {
        256: width, 257: height, 258: bits, 259: 1, 262: photometric, 273: 8, 277: 1,
        278: height, 279: len(data), 339: kind,
    }  # fmt: skip
    entries = [struct.pack(f"{order}HHII", tag, 4, 1, value) for tag, value in tags.items()]
    mark = b"II*\0" if order == "<" else b"MM\0*"
    table = struct.pack(f"{order}H", len(tags)) + b"".join(entries) + bytes(4)
    return mark + struct.pack(f"{order}I", 8 + len(data)) + data + table


FILES: dict[str, Callable[[np.ndarray], bytes]] = {
    "png": lambda g: saved(Image.fromarray(deep(g)), "PNG"),
    "tiff, Pillow's": lambda g: saved(Image.fromarray(deep(g)), "TIFF"),
    "jpeg 2000": lambda g: saved(Image.fromarray(deep(g)), "JPEG2000"),
    "pgm": lambda g: b"P5 70 50 65535\n" + deep(g).astype(">u2").tobytes(),
    "tiff, 16 bits": lambda g: tiff(deep(g), 16, 1, 1),
    "tiff, 16 bits, big endian": lambda g: tiff(deep(g), 16, 1, 1, ">"),
    "tiff, 16 bits, 0 is white": lambda g: tiff(65535 - deep(g), 16, 1, 0),
    "tiff, 12 bits": lambda g: tiff(np.rint(g / 255 * 4095).astype(np.uint16), 12, 1, 1),
    "tiff, floats": lambda g: tiff((g / 255).astype(np.float32), 32, 3, 1),
    "tiff, floats, 0 is white": lambda g: tiff((1 - g / 255).astype(np.float32), 32, 3, 0),
    "pfm": lambda g: b"Pf\n70 50\n-1.0\n" + (g[::-1] / 255).astype("<f4").tobytes(),
}


@pytest.mark.parametrize("name", FILES)
def test_a_deep_file_looks_as_its_8_bits_do(name: str, grey: np.ndarray) -> None:
    found = upright(FILES[name](grey))
    assert found.mode == "L"
    assert np.array_equal(np.asarray(found), grey)


@pytest.mark.parametrize("mode", ["I;16", "I;16L", "I;16B"])
def test_a_deep_picture_in_memory_looks_as_its_8_bits_do(mode: str, grey: np.ndarray) -> None:
    order = ">u2" if mode == "I;16B" else "<u2"
    image = Image.frombytes(mode, (70, 50), deep(grey).astype(order).tobytes())
    assert np.array_equal(np.asarray(upright(image)), grey)
    assert image.mode == mode


def test_16_bits_are_rounded_to_the_nearest_level() -> None:
    every = np.arange(65536).reshape(256, 256)
    found = np.asarray(upright(Image.fromarray(every.astype(np.uint16))))
    assert np.array_equal(found, [[round(level / 257) for level in row] for row in every.tolist()])


def test_a_dark_picture_of_16_bits_stays_dark(grey: np.ndarray) -> None:
    for content in (
        saved(Image.fromarray(grey.astype(np.uint16)), "PNG"),
        b"P5 70 50 65535\n" + grey.astype(">u2").tobytes(),
    ):
        assert np.asarray(upright(content)).max() <= 1


@pytest.mark.parametrize(
    ("levels", "wanted"),
    [
        pytest.param([0, 128, 255], [0, 128, 255], id="8 bits"),
        pytest.param([0, 128 * 257, 65535], [0, 128, 255], id="16 bits"),
        pytest.param([-1000, 0, 1000], [0, 128, 255], id="its own range"),
        pytest.param([70000, 70000, 70000], [0, 0, 0], id="one level"),
        pytest.param([-(2**31), 0, 2**31 - 1], [0, 128, 255], id="all of 32 bits"),
    ],
)
@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_where_no_range_is_stated_the_levels_say_which(
    levels: list[int], wanted: list[int], dtype: Any
) -> None:
    image = Image.fromarray(np.array([levels], dtype))
    assert np.asarray(upright(image)).tolist() == [wanted]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("levels", "wanted"),
    [
        ([0, 0.5, np.nan, 1], [0, 128, 0, 255]),
        ([0, np.inf, -np.inf, 1], [0, 255, 0, 255]),
        ([np.nan, np.nan], [0, 0]),
        ([-3e38, 3e38], [0, 255]),
    ],
)
def test_what_is_no_finite_number_is_black_or_white(levels: list[float], wanted: list[int]) -> None:
    image = Image.fromarray(np.array([levels], np.float32))
    assert np.asarray(upright(image)).tolist() == [wanted]


def test_a_transparent_level_stays_the_only_one(grey: np.ndarray) -> None:
    levels = deep(grey)
    levels[0, :2] = 300, 301
    content = saved(Image.fromarray(levels), "PNG", transparency=300)
    found = upright(content)
    assert found.mode == "LA"
    opaque = np.asarray(found)[..., 1]
    assert opaque[0, 0] == 0
    assert np.count_nonzero(opaque == 255) == grey.size - 1


def test_8_bits_are_left_alone(picture: MakePicture) -> None:
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr"):
        image = picture().convert(mode)
        assert upright(image) is image


def test_every_door_sees_the_same_picture(
    tiny_model: Path, tmp_path: Path, grey: np.ndarray
) -> None:
    plain, path = tmp_path / "plain.png", tmp_path / "deep.png"
    Image.fromarray(grey).save(plain)
    Image.fromarray(deep(grey)).save(path)
    with Clip(tiny_model, store=False) as clip:
        rows = clip.encode_images([plain, path, Image.open(path)])
    assert np.array_equal(rows[0], rows[1])
    assert np.array_equal(rows[0], rows[2])
    small, small_plain = (thumbnails.small(each, 64) for each in (path, plain))
    assert np.array_equal(np.asarray(small), np.asarray(small_plain))
    for one, other in zip(edits.edited(path), edits.edited(plain), strict=True):
        assert np.array_equal(np.asarray(one.image), np.asarray(other.image))
    heat = HeatMap("", "m", "v", "p", None, 0.0, 0.5, ((0.1,) * 16,) * 16, (0.0, 0.0, 1.0, 1.0), 50)
    drawn, drawn_plain = (heatmap.sheet(each, [heat]).marks[0] for each in (path, plain))
    assert np.array_equal(np.asarray(drawn.image), np.asarray(drawn_plain.image))  # type: ignore[union-attr]
