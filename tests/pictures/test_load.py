"""Pictures are opened upright; a file that is no picture is named, in one line."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile, ImageOps

from clip_gaze.errors import PictureError, PictureSizeError
from clip_gaze.pictures import load
from clip_gaze.pictures.preprocess import square

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    MakePicture = Callable[..., Image.Image]

# How a camera that is held so stores the picture: the inverse of how it is turned for display.
STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@pytest.fixture(params=STORED)
def turned(request: pytest.FixtureRequest, tmp_path: Path, picture: MakePicture) -> Path:
    """Return a file of each EXIF orientation, that shows `picture(40, 30)` when upright."""
    shown, how = picture(40, 30), STORED[request.param]
    exif = Image.Exif()
    exif[0x0112] = request.param
    stored = shown if how is None else shown.transpose(how)
    stored.save(tmp_path / "turned.png", exif=exif)
    stored.save(tmp_path / "turned.jpg", exif=exif)
    return tmp_path / "turned.png"


def test_every_exif_orientation_is_opened_upright(turned: Path, picture: MakePicture) -> None:
    assert np.array_equal(np.asarray(load.upright(turned)), np.asarray(picture(40, 30)))


def test_every_exif_orientation_equals_pillow(turned: Path) -> None:
    for path in (turned, turned.with_suffix(".jpg")):
        with Image.open(path) as image:
            wanted = ImageOps.exif_transpose(image)
        found = load.upright(path)
        assert found.size == (40, 30)
        assert np.array_equal(np.asarray(found), np.asarray(wanted))


@pytest.mark.parametrize("suffix", ["png", "webp"])
def test_damaged_exif_data_leave_the_picture_as_it_is_stored(
    suffix: str, tmp_path: Path, picture: MakePicture, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / f"damaged exif.{suffix}"
    picture().save(path, lossless=True, exif=b"Exif\0\0no TIFF header here")
    assert np.array_equal(np.asarray(load.upright(path)), np.asarray(picture()))
    assert [record.getMessage() for record in caplog.records] == [
        f"{path}: damaged EXIF data; the picture is taken as it is stored"
    ]


def test_a_palette_keeps_its_mode(tmp_path: Path) -> None:
    Image.new("P", (9, 7)).save(tmp_path / "palette.png")
    assert load.upright(tmp_path / "palette.png").mode == "P"


def said(path: Path) -> str:
    """Return the error for a file, which is one line and names the file."""
    with pytest.raises(PictureError) as caught:
        load.upright(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert len(message.splitlines()) == 1
    return message


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert "no such file" in said(tmp_path / "gone.jpg")


def test_a_folder_is_named(tmp_path: Path) -> None:
    assert "is a folder" in said(tmp_path)


@pytest.mark.parametrize("content", [b"", b"Dear diary,\n", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"])
def test_a_file_that_is_no_picture_is_named(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "text.jpg"
    path.write_bytes(content)
    assert "is not a picture" in said(path)


@pytest.mark.parametrize("suffix", ["jpg", "png", "gif", "webp", "tif", "bmp"])
def test_a_picture_cut_short_is_named(suffix: str, tmp_path: Path, picture: MakePicture) -> None:
    path = tmp_path / f"short.{suffix}"
    picture(200, 200).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    message = said(path)
    assert "damaged or cut short" in message or "is not a picture" in message


@settings(deadline=None, max_examples=150)
@given(
    suffix=st.sampled_from(["jpg", "png", "gif", "webp", "tif"]),
    at=st.floats(0, 1, exclude_max=True),
    junk=st.binary(min_size=1, max_size=40),
)
@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow warns of some damage
def test_a_damaged_picture_opens_or_gives_one_line(
    suffix: str, at: float, junk: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("damaged") / f"picture.{suffix}"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.effect_noise((30, 20), 60).convert("RGB").save(path, exif=exif)
    data = bytearray(path.read_bytes())
    start = int(at * len(data))
    data[start : start + len(junk)] = junk
    path.write_bytes(data)
    try:
        image = load.upright(path)
    except PictureError:
        said(path)
    else:
        assert square(image, 16).shape == (16, 16, 3)


def test_a_decompression_bomb_is_refused(
    tmp_path: Path, picture: MakePicture, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bomb.png"
    picture(100, 50).save(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2499)  # Pillow refuses above twice its limit
    assert "has more than 0.0025 million pixels" in said(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2500)
    with pytest.warns(Image.DecompressionBombWarning):
        assert load.upright(path).size == (100, 50)


def test_a_picture_above_the_limit_is_refused_before_it_is_decoded(
    tmp_path: Path, picture: MakePicture, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "large.png"
    picture(100, 50).save(path)
    assert load.upright(path, 5000).size == (100, 50)
    monkeypatch.delattr(Image.Image, "load")
    monkeypatch.delattr(ImageFile.ImageFile, "load")
    with pytest.raises(PictureError, match=r"large\.png: has more than 0\.005 million pixels"):
        load.upright(path, 4999)


def test_a_picture_beyond_the_memory_says_so(
    tmp_path: Path, picture: MakePicture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: Image.Image) -> None:
        raise MemoryError

    picture().save(tmp_path / "large.bmp")
    monkeypatch.setattr(Image.Image, "load", full)
    assert "more memory" in said(tmp_path / "large.bmp")


def test_an_upload_equals_the_same_file(tmp_path: Path, picture: MakePicture) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    picture(40, 30).save(tmp_path / "a.jpg", exif=exif)
    file = io.BytesIO((tmp_path / "a.jpg").read_bytes())
    found = load.upright_upload(file, "a.jpg")
    assert found.size == (30, 40)
    assert np.array_equal(np.asarray(found), np.asarray(load.upright(tmp_path / "a.jpg")))


@pytest.mark.parametrize("kind", ["EPS", "PDF", "ICO", "PCX"])
def test_an_upload_of_another_kind_is_not_opened(kind: str, picture: MakePicture) -> None:
    file = io.BytesIO()
    picture(32, 32).save(file, kind)
    with pytest.raises(PictureError, match=r"^mine: is not a picture that is read here; send JPEG"):
        load.upright_upload(file, "mine")


def test_an_upload_has_the_errors_of_a_file(tmp_path: Path, picture: MakePicture) -> None:
    path = tmp_path / "short.png"
    picture(100, 50).save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:900])
    with pytest.raises(PictureError, match="damaged") as raised:
        load.upright_upload(io.BytesIO(whole[:900]), str(path))
    assert str(raised.value) == said(path)
    with pytest.raises(PictureSizeError, match=r"^mine: has more than 0\.005 million pixels"):
        load.upright_upload(io.BytesIO(whole), "mine", 4999)
