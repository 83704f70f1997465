"""Pictures are opened upright; a file that is no picture is named, in one line."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile, ImageOps

from clip_gaze.drawing import heatmap
from clip_gaze.errors import PictureError, PictureSizeError
from clip_gaze.pictures import edits, load, memory, thumbnails
from clip_gaze.pictures.preprocess import square
from clip_gaze.pictures.source import Content
from clip_gaze.results import HeatMap

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


@pytest.mark.filterwarnings("error")
def test_no_limit_of_the_process_holds_but_our_own(
    tmp_path: Path, picture: MakePicture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "alone", False)
    path = tmp_path / "large.png"
    picture(100, 50).save(path)
    for limit in (1, 4000):  # Pillow refuses above twice its limit, and warns above it
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        assert load.upright(path).size == (100, 50)
        assert limit == Image.MAX_IMAGE_PIXELS


@pytest.mark.filterwarnings("error")
def test_no_limit_of_the_process_holds_for_what_is_made_of_a_picture(
    picture: MakePicture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 55_000)
    image = picture(400, 400)
    heat = HeatMap("", "m", "v", "p", None, 0.0, 0.5, ((0.1,) * 16,) * 16, (0.0, 0.0, 1.0, 1.0), 50)
    assert heatmap.sheet(image, [heat], edge=64).marks
    assert len(list(edits.edited(image))) == 1 + len(edits.EDITS)
    assert thumbnails.small(image, 320).size == (320, 320)


def test_a_limit_of_pillows_that_cannot_be_passed_by_is_named(
    tmp_path: Path, picture: MakePicture, monkeypatch: pytest.MonkeyPatch
) -> None:
    if int(PIL.__version__.partition(".")[0]) < 13:
        pytest.skip("it came with Pillow 13")
    path = tmp_path / "large.webp"
    picture(100, 50).save(path)
    monkeypatch.setattr(memory, "alone", False)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2000)
    assert "limit of 4000 pixels" in said(path)
    assert "MAX_IMAGE_PIXELS" in said(path)


def test_a_program_that_is_nothing_else_lifts_pillows_limit(
    tmp_path: Path, picture: MakePicture, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "large.webp"
    picture(100, 50).save(path)
    monkeypatch.setattr(memory, "alone", True)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2000)
    assert load.upright(path).size == (100, 50)
    assert Image.MAX_IMAGE_PIXELS is None


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


def test_the_same_content_is_the_same_picture_from_anywhere(
    tmp_path: Path, picture: MakePicture
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "a.jpg"
    picture(40, 30).save(path, exif=exif)
    wanted = np.asarray(load.upright(path))
    assert wanted.shape == (40, 30, 3)
    with path.open("rb") as file:
        every = (str(path), path.read_bytes(), file, Content(path.read_bytes(), "a"))
        for given in every:
            assert np.array_equal(np.asarray(load.upright(given)), wanted)


def test_a_picture_in_memory_is_taken_as_it_is(picture: MakePicture) -> None:
    image = picture(40, 30)
    image.getexif()[0x0112] = 6
    assert load.upright(image) is image
    assert np.array_equal(np.asarray(load.upright(np.asarray(image))), np.asarray(image))


@pytest.mark.parametrize("kind", ["EPS", "PDF", "ICO", "PCX"])
def test_other_kinds_are_not_opened_whatever_the_file_is_called(
    kind: str, tmp_path: Path, picture: MakePicture, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "picture.jpg"
    picture(32, 32).save(path, kind)
    monkeypatch.setattr(subprocess, "check_call", None)  # starts Ghostscript, if anything does
    assert "is not a picture that is read here; JPEG, PNG, GIF, " in said(path)


def test_kinds_that_others_than_pillow_open_are_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Plain(ImageFile.ImageFile):
        format = "PLAIN"

        def _open(self) -> None:
            self._size, self._mode = (2, 1), "L"
            self.tile = [ImageFile._Tile("raw", (0, 0, 2, 1), 5, "L")]

    monkeypatch.setattr(Image, "OPEN", dict(Image.OPEN))
    Image.register_open("PLAIN", Plain, lambda head: head.startswith(b"plain"))
    (tmp_path / "a.plain").write_bytes(b"plain\x05\x09")
    assert np.asarray(load.upright(tmp_path / "a.plain")).tolist() == [[5, 9]]


def test_kinds_are_tried_in_one_order(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def entry(kind: str) -> Any:
        def make(*_: object) -> None:
            raise SyntaxError("not such a file")

        make.__module__ = "theirs" if kind == "X" else "PIL.Plugin"
        return make, lambda _: asked.append(kind) or True

    kinds = ["X", "EPS", *reversed(load.KINDS)]
    monkeypatch.setattr(Image, "OPEN", {kind: entry(kind) for kind in kinds})
    with pytest.raises(PictureError, match="is not a picture that is read here"):
        load.upright(b"whatever")
    assert asked == [*load.KINDS[:-1], "X", "TGA"]


HEIC = """
import sys
from PIL import Image
from clip_gaze.errors import PictureError
from clip_gaze.pictures.load import upright
try:
    print(upright(sys.argv[1]).size)
except PictureError as error:
    print(error)
"""


def test_a_heic_photo_is_read_whatever_it_is_called(tmp_path: Path, picture: MakePicture) -> None:
    heif = pytest.importorskip("pillow_heif")
    path = tmp_path / "photo.jpg"
    heif.from_pillow(picture(64, 48)).save(path)
    # In a process where nothing has opened such a picture yet.
    command = [sys.executable, "-c", HEIC, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "(64, 48)\n"


def test_content_has_the_errors_of_a_file(tmp_path: Path, picture: MakePicture) -> None:
    path = tmp_path / "short.png"
    picture(100, 50).save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:900])
    with pytest.raises(PictureError, match="damaged") as raised:
        load.upright(Content(whole[:900], str(path)))
    assert str(raised.value) == said(path)
    with pytest.raises(PictureSizeError, match=r"^mine: has more than 0\.005 million pixels"):
        load.upright(Content(whole, "mine"), 4999)


@pytest.mark.parametrize("close", [True, False])
def test_a_pil_image_that_cannot_be_decoded_says_so(
    close: bool, tmp_path: Path, picture: MakePicture
) -> None:
    path = tmp_path / "short.png"
    picture(100, 50).save(path)
    path.write_bytes(path.read_bytes()[:900])
    image = Image.open(path)
    if close:
        image.close()
    with pytest.raises(PictureError, match=r"^picture in memory: the picture is damaged or cut"):
        load.upright(image)
    image.close()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "b.png")
    assert "is not a regular file" in said(tmp_path / "b.png")
