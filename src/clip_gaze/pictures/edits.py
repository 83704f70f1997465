"""Edit a picture, to see what a model makes of each edit: crop, grey, blur, mirrored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import Image, ImageFilter, ImageOps

from clip_gaze.pictures.load import upright
from clip_gaze.pictures.memory import most_pixels
from clip_gaze.pictures.preprocess import cropped, rgb
from clip_gaze.pictures.source import Decoded, source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from clip_gaze.pictures.source import Picture

# Of each edge, so that about half of the picture is left: its subject, without what is around it.
_KEPT = 0.7
# Of the shorter edge, so that a picture looks the same whatever its size: brushwork and outlines
# go, colours and large shapes stay.
_BLUR = 0.025


def crop(image: Image.Image) -> Image.Image:
    """Return the middle of an RGB picture: 0.7 of its width and of its height."""
    size = [max(1, round(_KEPT * edge)) for edge in image.size]
    left, top = ((edge - kept) // 2 for edge, kept in zip(image.size, size, strict=True))
    return cropped(image, (left, top, left + size[0], top + size[1]))


def grey(image: Image.Image) -> Image.Image:
    """Return an RGB picture without its colours, still in RGB (Pillow's luma, ITU-R 601-2)."""
    return image.convert("L").convert("RGB")


def blur(image: Image.Image) -> Image.Image:
    """Return an RGB picture out of focus: a Gaussian of 2.5% of its shorter edge."""
    return image.filter(ImageFilter.GaussianBlur(_BLUR * min(image.size)))


def mirrored(image: Image.Image) -> Image.Image:
    """Return a picture with left and right exchanged."""
    return ImageOps.mirror(image)


EDITS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "crop": crop,
    "grey": grey,
    "blur": blur,
    "mirrored": mirrored,
}


def edited(picture: Picture, max_pixels: int | None = None) -> Iterator[Decoded]:
    """Yield a picture, upright and in RGB, and then each of its edits under the edit's name.

    Args:
        picture: see `source.source`.
        max_pixels: a larger file is refused; None: see `memory.most_pixels`.

    Raises:
        PictureError: it cannot be read.

    """
    found = source(picture)
    # An edit, and what it is made in, stand beside the picture: there is room for two.
    image = rgb(upright(found, max_pixels or most_pixels(2)))
    yield Decoded(image, found.name)
    for name, edit in EDITS.items():
        yield Decoded(edit(image), name)
