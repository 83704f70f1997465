"""Colours can be told apart, and words be read, in the light and in the dark."""

from __future__ import annotations

import pytest
from PIL import ImageColor

from clip_gaze.drawing import look

MODES = {"light": look.LIGHT, "dark": look.DARK}


def luminance(colour: str) -> float:
    """Return the relative luminance of a colour, as WCAG 2.2 defines it."""
    levels = [level / 255 for level in ImageColor.getrgb(colour)[:3]]
    linear = [
        level / 12.92 if level <= 0.04045 else ((level + 0.055) / 1.055) ** 2.4 for level in levels
    ]
    return sum(a * b for a, b in zip(linear, (0.2126, 0.7152, 0.0722), strict=True))


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("words", ["ink", "quiet", "accent", "warn", "rise", "fall"])
@pytest.mark.parametrize("ground", ["ground", "sheet"])
def test_words_have_the_contrast_of_aa(mode: str, words: str, ground: str) -> None:
    assert contrast(MODES[mode][words], MODES[mode][ground]) >= 4.5


@pytest.mark.parametrize("mode", MODES)
def test_what_is_no_word_has_the_contrast_of_aa(mode: str) -> None:
    colours = MODES[mode]
    assert contrast(colours["on-accent"], colours["accent"]) >= 4.5
    for name in ("edge", "fill", "accent"):
        assert contrast(colours[name], colours["ground"]) >= 3


def test_both_modes_have_the_same_colours() -> None:
    assert list(look.LIGHT) == list(look.DARK)
