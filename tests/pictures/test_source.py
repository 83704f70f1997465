"""Whatever a picture is given as becomes one of three sources, or one line says what is taken."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from clip_gaze.errors import PictureError
from clip_gaze.pictures.source import Content, Decoded, File, source

if TYPE_CHECKING:
    from collections.abc import Callable

    from PIL import Image

    MakePicture = Callable[..., Image.Image]


@pytest.mark.parametrize("path", ["a b.png", "./a.png", Path("x") / "ü.png"])
def test_a_path_keeps_the_name_that_it_was_given(path: str | Path) -> None:
    assert source(path) == File(str(path))


@pytest.mark.skipif(sys.platform != "linux", reason="needs a system where names are bytes")
def test_a_name_that_is_no_text_is_a_path_too(tmp_path: Path) -> None:
    path = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.png")
    (Path(path)).write_bytes(b"x")
    found = source(path)
    assert isinstance(found, File)
    with found.open() as file:
        assert file.read() == b"x"


@pytest.mark.parametrize("make", [bytes, bytearray, memoryview, io.BytesIO])
def test_content_in_memory_has_no_name(make: Callable[[bytes], Any]) -> None:
    found = source(make(b"abc"))
    assert found == Content(b"abc", "")
    assert isinstance(found, Content)
    assert found.open().read() == b"abc"


def test_a_file_is_read_from_where_it_stands_and_left_open(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"head and picture")
    with (tmp_path / "a").open("rb") as file:
        file.seek(9)
        assert source(file) == Content(b"picture")
        assert not file.closed


def test_a_stream_that_cannot_be_rewound_is_read() -> None:
    read, write = os.pipe()
    os.write(write, b"picture")
    os.close(write)
    with os.fdopen(read, "rb") as file:
        assert source(file) == Content(b"picture")


class Failing:
    """A file whose other end is gone."""

    def read(self) -> bytes:
        """Fail."""
        raise ConnectionError("the line went dead")


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        (io.StringIO("x"), "gives str, not bytes; open it in mode 'rb'"),
        (Failing(), "the line went dead"),
    ],
)
def test_a_file_that_gives_no_bytes_is_an_error(file: Any, reason: str) -> None:
    with pytest.raises(PictureError, match=reason):
        source(file)


def test_a_closed_file_is_an_error() -> None:
    file = io.BytesIO(b"x")
    file.close()
    with pytest.raises(PictureError, match="closed"):
        source(file)


def pixels(given: Any) -> np.ndarray:
    found = source(given)
    assert isinstance(found, Decoded)
    return np.asarray(found.image)


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3), (5, 7, 4), (4, 7, 3), (1, 1, 3), (3, 5)])
def test_arrays_of_levels_are_pictures(shape: tuple[int, ...]) -> None:
    array = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    assert np.array_equal(pixels(array), array)
    assert np.array_equal(pixels(array[::-1, ::-1]), array[::-1, ::-1])


def test_torch_tensors_are_pictures_channels_first_or_last(picture: MakePicture) -> None:
    torch = pytest.importorskip("torch")
    array = np.asarray(picture(40, 30)).copy()
    tensor = torch.from_numpy(array)
    assert np.array_equal(pixels(tensor), array)
    assert np.array_equal(pixels(tensor.permute(2, 0, 1)), array)


@pytest.mark.parametrize("size", [(0, 5), (5, 0)])
def test_an_array_without_pixels_is_a_picture_without_any(size: tuple[int, int]) -> None:
    found = source(np.zeros(size, np.uint8))
    assert isinstance(found, Decoded)
    assert found.image.size == size[::-1]


@pytest.mark.parametrize(
    ("dtype", "advice"),
    [(np.float32, r"\(255 \* array\)\.round"), (np.uint16, "uint8"), (bool, "uint8"), (object, "")],
)
def test_arrays_that_do_not_say_what_is_white_are_refused(dtype: Any, advice: str) -> None:
    with pytest.raises(PictureError, match=f"^an array of .* does not say .*{advice}"):
        source(np.zeros((5, 7, 3), dtype))


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        ((), "no picture"), ((5,), "no picture"), ((5, 7, 2), "no picture"),
        ((4, 5, 7), "no picture"), ((1, 5, 7, 3), "no picture"), ((3, 7, 3), "two ways"),
        ((3, 7, 4), "two ways"),
    ],
)  # fmt: skip
def test_arrays_of_other_or_ambiguous_shapes_are_refused(
    shape: tuple[int, ...], reason: str
) -> None:
    with pytest.raises(PictureError, match=rf"{reason}; give \(height, width\)"):
        source(np.zeros(shape, np.uint8))


def test_what_cannot_become_an_array_says_why() -> None:
    class OnACard:
        def __array__(self, *_: object, **__: object) -> np.ndarray:
            raise TypeError("copy it to the host first")

    with pytest.raises(PictureError, match=r"OnACard .*copy it to the host first"):
        source(OnACard())  # type: ignore[arg-type]


@pytest.mark.parametrize("other", [None, 5, [1, 2], object()])
def test_anything_else_is_refused_and_says_what_is_taken(other: Any) -> None:
    with pytest.raises(PictureError, match=r"is no picture; a path, bytes, a binary file, "):
        source(other)


def test_a_source_is_its_own(picture: MakePicture) -> None:
    for found in (File("a"), Content(b"", "a"), Decoded(picture(), "a")):
        assert source(found) is found


def test_a_stamp_changes_with_the_file(tmp_path: Path) -> None:
    file = File(str(tmp_path / "a"))
    assert file.stamp() is None
    file.path.write_bytes(b"abc")
    first = file.stamp()
    assert first == file.stamp() is not None
    os.utime(file.path, ns=(1, 5))
    assert file.stamp() != first
    assert File(str(tmp_path)).stamp() is None
    assert File("nul\0byte").stamp() is None


def test_a_name_with_a_null_byte_is_an_error() -> None:
    with pytest.raises(PictureError, match="cannot be read"):
        File("nul\0byte").open()
