"""Small pictures for a page."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from PIL import Image, ImageCms

from clip_gaze.errors import PictureError
from clip_gaze.pictures import thumbnails

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    MakePicture = Callable[..., Image.Image]


def opened(path: Path, edge: int = 64) -> Image.Image:
    small = thumbnails.small(path, edge)
    image = Image.open(io.BytesIO(thumbnails.webp(small, str(path))))
    assert image.format == "WEBP"
    assert image.size == small.size
    return image


@pytest.mark.parametrize(("given", "made"), [((200, 100), (64, 32)), ((30, 20), (30, 20))])
def test_a_thumbnail_is_small_and_upright(
    picture: MakePicture, tmp_path: Path, given: tuple[int, int], made: tuple[int, int]
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its side
    picture(*given).save(tmp_path / "a.jpg", exif=exif)
    image = opened(tmp_path / "a.jpg")
    assert image.size == made[::-1]
    assert not image.getexif()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I;16", "F"])
def test_every_mode_makes_a_thumbnail(picture: MakePicture, tmp_path: Path, mode: str) -> None:
    grey = picture().convert("L")
    image = grey.convert("I").convert("I;16") if mode == "I;16" else grey.convert(mode)
    # Before 13, Pillow could not read all the TIFFs that it wrote in this mode.
    path = tmp_path / ("a.jpg" if mode == "YCbCr" else "a.tif")
    image.save(path)
    assert opened(path).size == (64, 46)


def test_what_is_transparent_stays_so(tmp_path: Path) -> None:
    Image.new("RGBA", (20, 20), (255, 0, 0, 0)).save(tmp_path / "a.png")
    assert opened(tmp_path / "a.png").mode == "RGBA"


def test_colours_of_another_profile_become_srgb(tmp_path: Path) -> None:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for name, profile in (("lab", lab), ("srgb", srgb), ("broken", b"x" * 200)):
        image = Image.new("RGB", (20, 20), (200, 30, 30))
        image.save(tmp_path / f"{name}.png", icc_profile=profile)
        red, green, blue = opened(tmp_path / f"{name}.png").convert("RGB").getpixel((10, 10))  # type: ignore[misc]
        assert (abs(red - 200), abs(green - 30), abs(blue - 30)) < (9, 9, 9)


def test_a_picture_that_cannot_become_a_webp_is_named(
    picture: MakePicture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("no WebP here")

    picture().save(tmp_path / "a.png")
    small = thumbnails.small(tmp_path / "a.png", 64)
    monkeypatch.setattr(Image.Image, "save", refuse)
    with pytest.raises(PictureError, match=r"a\.png.*no WebP here"):
        thumbnails.webp(small, "a.png")


def test_what_is_no_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("no", encoding="utf-8")
    with pytest.raises(PictureError, match=r"a\.png"):
        thumbnails.small(tmp_path / "a.png", 64)


def test_a_picture_in_memory_stays_as_it_is(picture: MakePicture) -> None:
    image = picture(200, 100)
    assert thumbnails.small(image, 64).size == (64, 32)
    assert image.size == (200, 100)
