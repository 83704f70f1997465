"""Boxes, words and photos at places, written as SVG or drawn as a picture; no chart knows how."""

from __future__ import annotations

import base64
import io
import logging
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from PIL import Image, ImageDraw, ImageFont

from clip_gaze.errors import GazeError
from clip_gaze.system.files import check_place, whole

if TYPE_CHECKING:
    from collections.abc import Sequence

    Font = ImageFont.FreeTypeFont

logger = logging.getLogger(__name__)

# Points of a photo, and of a picture drawn, for each unit: screens have two pixels for it.
SCALE = 2
_FONTS = Path(__file__).parent / "fonts"
_LONGEST = {"WEBP": 16_383, "JPEG": 65_500}  # pixels of an edge, as the formats have it
_QUALITY = 85  # of photos in an SVG
KINDS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".svg": "SVG"}
# The first that has all letters of a text draws it where the font that ships lacks some.
_SYSTEM_FONTS = (
    "NotoSansCJK-Regular.ttc",  # Linux
    "DroidSansFallbackFull.ttf",
    "wqy-microhei.ttc",
    "DejaVuSans.ttf",
    "FreeSans.ttf",
    "YuGothM.ttc",  # Windows
    "msyh.ttc",
    "malgun.ttf",
    "segoeui.ttf",
    "seguisym.ttf",
    "Hiragino Sans GB.ttc",  # macOS
    "Arial Unicode.ttf",
)
_FAMILIES = "Inter, 'Liberation Sans', Arial, Helvetica, sans-serif"
_NO_LETTER = "\uffff"  # fonts draw the same box for whatever they lack


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
    title = _clean(drawing.title)
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
            font = _font(mark.text, mark.size * SCALE, bold=mark.bold)
            if _lacks(font, mark.text):
                _warn(mark.text)
            anchor = {"start": "ls", "middle": "ms", "end": "rs"}[mark.anchor]
            place = mark.x * SCALE, mark.y * SCALE
            pen.text(place, _readable(mark.text, font), mark.colour, font, anchor)
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
            picture(drawing).save(part, kind, optimize=True, quality=92)


def width(text: str, size: int, *, bold: bool = False) -> float:
    """Return how wide a line of text is, in units; another font may be wider by a little."""
    font = _font(text, size * SCALE, bold=bold)
    return font.getlength(_readable(text, font)) / SCALE


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
            f"<title>{escape(_clean(mark.name))}</title></image>"
        )
    weight = ' font-weight="bold"' if mark.bold else ""
    return (
        f'<text x="{mark.x:.6g}" y="{mark.y:.6g}" font-size="{mark.size}" fill="{mark.colour}" '
        f'text-anchor="{mark.anchor}"{weight}>{escape(_clean(mark.text))}</text>'
    )


def _font(text: str, size: int, *, bold: bool) -> Font:
    """Return the font that ships, or one that has all letters of a text where that lacks some."""
    inter = _inter(size, bold=bold)
    if not _lacks(inter, text):
        return inter
    others = (_system_font(name, size) for name in _SYSTEM_FONTS)
    return next((each for each in others if each and not _lacks(each, text)), inter)


@lru_cache(maxsize=32)
def _inter(size: int, *, bold: bool) -> Font:
    """Return the font that ships, laid out in the one way that Pillow has on every machine."""
    name = "Inter-Bold.otf" if bold else "Inter-Regular.otf"
    return ImageFont.truetype(_FONTS / name, size, layout_engine=ImageFont.Layout.BASIC)


@lru_cache(maxsize=256)
def _system_font(name: str, size: int) -> Font | None:
    try:
        return ImageFont.truetype(name, size)
    except OSError:
        return None


@lru_cache(maxsize=1024)
def _warn(text: str) -> None:
    """Say what a picture cannot show; the cache makes it once a text."""
    logger.warning(
        '%r has letters that no font here has; the picture spells them or has "?", '
        "an .svg file shows them",
        text,
    )


def _readable(text: str, font: Font) -> str:
    """Return a text as a font can draw it: what it lacks is spelled, or "?"."""
    return "".join(each if _has(font, each) else _spelled(each, font) for each in _composed(text))


def _spelled(letter: str, font: Font) -> str:
    """Return what stands for a letter that a font lacks; a mark on a letter is left out."""
    category = unicodedata.category(letter)
    if category == "Cf" or category[0] == "M":
        return ""
    parts = unicodedata.normalize("NFKD", letter)
    return "".join(each for each in parts if _has(font, each)) or "?"


def _lacks(font: Font, text: str) -> bool:
    """Return whether a font lacks a letter of a text that people would see."""
    return any(_is_seen(each) and not _has(font, each) for each in set(_composed(text)))


def _is_seen(letter: str) -> bool:
    """Return whether a character is one to see: no space, no control, no letter of nobody's."""
    hidden = letter == "\ufffd" or "VARIATION SELECTOR" in unicodedata.name(letter, "")
    return not hidden and unicodedata.category(letter)[0] not in "CZ"


def _composed(text: str) -> str:
    """Return a clean text whose letters have their accents in them, as fonts have them."""
    return unicodedata.normalize("NFC", _clean(text))


@lru_cache(maxsize=4096)
def _has(font: Font, letter: str) -> bool:
    """Return whether a font has a letter of its own for a character."""
    return letter.isascii() or bytes(font.getmask(letter)) != bytes(font.getmask(_NO_LETTER))


def _clean(text: str) -> str:
    """Return a text without what XML forbids: control characters and halves of surrogate pairs."""
    return "".join(
        "\ufffd" if unicodedata.category(each) in ("Cc", "Cs") or each in "\ufffe\uffff" else each
        for each in text
    )
