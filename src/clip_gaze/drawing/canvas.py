"""Boxes, words and photos at places, written as SVG or drawn as a picture; no chart knows how."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Literal

from PIL import Image, ImageDraw

from clip_gaze.drawing.typeface import clean, font_for, readable
from clip_gaze.errors import GazeError
from clip_gaze.system.files import check_place, whole

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

# Points of a photo, and of a picture drawn, for each unit: screens have two pixels for it.
SCALE = 2
_LONGEST = {"WEBP": 16_383, "JPEG": 65_500}  # pixels of an edge, as the formats have it
_QUALITY = 85  # of photos in an SVG
_SOFTWARE, _OURS = 0x0131, "clip-gaze"  # the EXIF tag for what has made a picture
KINDS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".svg": "SVG"}
_FAMILIES = "Inter, 'Liberation Sans', Arial, Helvetica, sans-serif"


@dataclass(frozen=True, slots=True)
class Box:
    """A filled rectangle."""

    x: float
    y: float
    width: float
    height: float
    colour: str


@dataclass(frozen=True, slots=True)
class Words:
    """A line of text; x is its start, middle or end, y its baseline."""

    x: float
    y: float
    text: str
    size: int
    colour: str
    anchor: Literal["start", "middle", "end"] = "start"
    bold: bool = False


@dataclass(frozen=True, slots=True)
class Photo:
    """An RGB picture, SCALE of its pixels a unit; x and y are its upper left corner."""

    x: float
    y: float
    image: Image.Image
    name: str


Mark = Box | Words | Photo


@dataclass(frozen=True, slots=True)
class Drawing:
    """Marks on white, in units; later marks lie on earlier ones."""

    width: int
    height: int
    title: str
    marks: Sequence[Mark]


def svg(drawing: Drawing) -> str:
    """Return a drawing as an SVG file that needs no other file."""
    size = f"{drawing.width} {drawing.height}"
    title = clean(drawing.title)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{drawing.width}" '
        f'height="{drawing.height}" viewBox="0 0 {size}" role="img" '
        f'aria-label="{escape(title)}" font-family="{_FAMILIES}">'
    )
    white = '<rect width="100%" height="100%" fill="#fff"/>'
    marks = map(_element, drawing.marks)
    return "\n".join([head, f"<title>{escape(title)}</title>", white, *marks, "</svg>\n"])


def picture(drawing: Drawing) -> Image.Image:
    """Return a drawing as an RGB picture of SCALE pixels a unit."""
    canvas = Image.new("RGB", (drawing.width * SCALE, drawing.height * SCALE), "white")
    pen = ImageDraw.Draw(canvas)
    for mark in drawing.marks:
        if isinstance(mark, Photo):
            canvas.paste(mark.image, (round(mark.x * SCALE), round(mark.y * SCALE)))
        elif isinstance(mark, Box):
            left, top = round(mark.x * SCALE), round(mark.y * SCALE)
            right = max(left + 1, round((mark.x + mark.width) * SCALE))
            bottom = max(top + 1, round((mark.y + mark.height) * SCALE))
            pen.rectangle((left, top, right - 1, bottom - 1), mark.colour)
        else:
            font = font_for(mark.text, mark.size * SCALE, bold=mark.bold, warn=True)
            anchor = {"start": "ls", "middle": "ms", "end": "rs"}[mark.anchor]
            place = mark.x * SCALE, mark.y * SCALE
            pen.text(place, readable(mark.text, font), mark.colour, font, anchor)
    return canvas


def check(out: Path) -> str:
    """Return the format that a file's name asks for; ask before anyone waits for the drawing.

    Raises:
        GazeError: drawings are not written so, or the file cannot stand there.

    """
    kind = KINDS.get(out.suffix.lower())
    if kind is None:
        msg = f"{out}: drawings are written as .png, .jpg, .webp or .svg; name such a file"
        raise GazeError(msg)
    check_place(out)
    return kind


def write(drawing: Drawing, out: Path) -> None:
    """Write a drawing into a file, whole or not at all, in the format that its name ends in.

    Raises:
        GazeError: see `check`.

    """
    kind = check(out)
    longest = SCALE * max(drawing.width, drawing.height)
    if longest > _LONGEST.get(kind, longest):
        msg = f"{out}: {longest:,} pixels are more than {kind} can have; write .png or .svg"
        raise GazeError(msg)
    with whole(out) as part:
        if kind == "SVG":
            part.write_text(svg(drawing), encoding="utf-8", newline="\n")
        else:
            exif = Image.Exif()
            exif[_SOFTWARE] = _OURS
            picture(drawing).save(part, kind, optimize=True, quality=92, exif=exif)


def is_ours(path: Path) -> bool:
    """Return whether a picture file is a drawing that `write` made."""
    try:
        with Image.open(path) as image:
            return bool(image.getexif().get(_SOFTWARE) == _OURS)
    except Exception:  # noqa: BLE001 - whatever is wrong with it, it is not one
        return False


def width(text: str, size: int, *, bold: bool = False) -> float:
    """Return how wide a line of text is, in units; another font may be wider by a little."""
    font = font_for(text, size * SCALE, bold=bold)
    return font.getlength(readable(text, font)) / SCALE


def cut(text: str, size: int, room: float, *, bold: bool = False, at_start: bool = False) -> str:
    """Return a text that is at most `room` wide, with "…" where it was cut."""
    if width(text, size, bold=bold) <= room:
        return text
    kept = len(text)
    while kept:
        kept -= 1
        shorter = "…" + text[len(text) - kept :] if at_start else text[:kept].rstrip() + "…"
        if width(shorter, size, bold=bold) <= room:
            return shorter
    return "…"


def _element(mark: Mark) -> str:
    if isinstance(mark, Box):
        return (
            f'<rect x="{mark.x:.6g}" y="{mark.y:.6g}" width="{mark.width:.6g}" '
            f'height="{mark.height:.6g}" fill="{mark.colour}"/>'
        )
    if isinstance(mark, Photo):
        file = io.BytesIO()
        mark.image.save(file, "JPEG", quality=_QUALITY)
        data = base64.b64encode(file.getvalue()).decode("ascii")
        wide, high = (edge / SCALE for edge in mark.image.size)
        return (
            f'<image x="{mark.x:.6g}" y="{mark.y:.6g}" width="{wide:g}" height="{high:g}" '
            f'href="data:image/jpeg;base64,{data}">'
            f"<title>{escape(clean(mark.name))}</title></image>"
        )
    weight = ' font-weight="bold"' if mark.bold else ""
    return (
        f'<text x="{mark.x:.6g}" y="{mark.y:.6g}" font-size="{mark.size}" fill="{mark.colour}" '
        f'text-anchor="{mark.anchor}"{weight}>{escape(clean(mark.text))}</text>'
    )
