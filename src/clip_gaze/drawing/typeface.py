"""Choose a font for a text, and spell the letters that no font has."""

from __future__ import annotations

import logging
import unicodedata
from functools import lru_cache
from pathlib import Path

from PIL import ImageFont

Font = ImageFont.FreeTypeFont

logger = logging.getLogger(__name__)

_FONTS = Path(__file__).parent / "fonts"
FILES = REGULAR, BOLD = _FONTS / "Inter-Regular.otf", _FONTS / "Inter-Bold.otf"
# The first that has all letters of a text draws it where the font that ships lacks some.
SYSTEM_FONTS = (
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
NO_LETTER = "\uffff"  # fonts draw the same box for whatever they lack


def font_for(text: str, size: int, *, bold: bool = False, warn: bool = False) -> Font:
    """Return the font that ships, or one that has all letters of a text where that lacks some.

    Args:
        text: what is written.
        size: pixels.
        bold: whether it is the bold font that ships.
        warn: whether to say, once a text, that no font has all of its letters.

    """
    inter = shipped(size, bold=bold)
    if not _lacks(inter, text):
        return inter
    others = (installed(name, size) for name in SYSTEM_FONTS)
    found = next((each for each in others if each and not _lacks(each, text)), None)
    if found is None and warn:
        _warn(text)
    return found or inter


@lru_cache(maxsize=32)
def shipped(size: int, *, bold: bool) -> Font:
    """Return the font that ships, laid out in the one way that Pillow has on every machine."""
    file = BOLD if bold else REGULAR
    return ImageFont.truetype(str(file), size, layout_engine=ImageFont.Layout.BASIC)


@lru_cache(maxsize=256)
def installed(name: str, size: int) -> Font | None:
    """Return a font of the system's; None where it has none of that name."""
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


def readable(text: str, font: Font) -> str:
    """Return a text as a font can draw it: what it lacks is spelled, or "?"."""
    return "".join(each if has(font, each) else _spelled(each, font) for each in _composed(text))


def _spelled(letter: str, font: Font) -> str:
    """Return what stands for a letter that a font lacks; a mark on a letter is left out."""
    category = unicodedata.category(letter)
    if category == "Cf" or category[0] == "M":
        return ""
    parts = unicodedata.normalize("NFKD", letter)
    return "".join(each for each in parts if has(font, each)) or "?"


def _lacks(font: Font, text: str) -> bool:
    """Return whether a font lacks a letter of a text that people would see."""
    return any(_is_seen(each) and not has(font, each) for each in set(_composed(text)))


def _is_seen(letter: str) -> bool:
    """Return whether a character is one to see: no space, no control, no letter of nobody's."""
    hidden = letter == "\ufffd" or "VARIATION SELECTOR" in unicodedata.name(letter, "")
    return not hidden and unicodedata.category(letter)[0] not in "CZ"


def _composed(text: str) -> str:
    """Return a clean text whose letters have their accents in them, as fonts have them."""
    return unicodedata.normalize("NFC", clean(text))


@lru_cache(maxsize=4096)
def has(font: Font, letter: str) -> bool:
    """Return whether a font has a letter of its own for a character."""
    return letter.isascii() or bytes(font.getmask(letter)) != bytes(font.getmask(NO_LETTER))


def clean(text: str) -> str:
    """Return a text without what XML forbids: control characters and halves of surrogate pairs."""
    return "".join(
        "\ufffd" if unicodedata.category(each) in ("Cc", "Cs") or each in "\ufffe\uffff" else each
        for each in text
    )
