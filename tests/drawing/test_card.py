"""A card shows a picture, its phrases with bars, and which model said so."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from clip_gaze.drawing import canvas, card, look
from clip_gaze.drawing.canvas import SCALE, Box, Photo, Words
from clip_gaze.results import CorrectedScore, HeatMap, PhraseScore, PictureResult
from clip_gaze.texts import phrases

NOTE = "this is a small model; it knows nothing of real art"
SCORES = (PhraseScore("on canvas", 0.7512), PhraseScore("on wood", 0.2), PhraseScore("on ice", 0.0))
RESULT = PictureResult("sea.jpg", "demo", "fp32", {"surfaces": SCORES})
FLAT = HeatMap(
    "sea.jpg", "demo", "fp32", "on canvas", "surfaces", 0.0, 0.5, ((0.1,) * 16,) * 16, (0, 0, 1, 1),
    50,
)  # fmt: skip


def said(drawn: canvas.Drawing) -> list[str]:
    return [mark.text for mark in drawn.marks if isinstance(mark, Words)]


def photos(drawn: canvas.Drawing) -> list[Photo]:
    return [mark for mark in drawn.marks if isinstance(mark, Photo)]


def painting(width: int, height: int, colour: str = "#336699") -> Image.Image:
    return Image.new("RGB", (width, height), colour)


def test_a_card_says_what_the_picture_the_phrases_and_the_model_are() -> None:
    words = said(card.draw(painting(300, 300), RESULT, note=NOTE))
    for text in ("sea.jpg", "surfaces", "on canvas", "75%", "on wood", "20%", "on ice", "<0.1%"):
        assert text in words
    assert "This is a small model; it knows nothing of real art" in words
    assert "How likely each phrase is within its list. Model: demo, fp32." in words


def test_where_nothing_wins_the_card_says_so_beside_the_list() -> None:
    unclear = (PhraseScore("on canvas", 0.0094), PhraseScore("on wood", 0.0093))
    result = replace(RESULT, lists={"materials": unclear, "surfaces": SCORES})
    drawn = card.draw(painting(300, 300), result)
    (mark,) = (each for each in drawn.marks if isinstance(each, Words) and "winner" in each.text)
    assert mark.text == "no clear winner"
    (title,) = (e for e in drawn.marks if isinstance(e, Words) and e.text == "materials")
    assert mark.y == title.y
    accent = look.LIGHT["accent"]
    assert sum(isinstance(each, Box) and each.colour == accent for each in drawn.marks) == 1


def test_where_nothing_wins_a_long_name_of_a_list_is_whole() -> None:
    unclear = {"artists_by_training_prevalence": (PhraseScore("by one", 0.004),)}
    words = said(card.draw(painting(300, 300), replace(RESULT, lists=unclear)))
    assert {"artists by training prevalence", "no clear winner"} <= set(words)


def test_without_a_note_there_is_none() -> None:
    words = said(card.draw(painting(300, 300), RESULT))
    assert not [text for text in words if text.startswith("This")]


def test_bars_are_as_long_as_the_probabilities() -> None:
    drawn = card.draw(painting(300, 300), RESULT)
    rows: dict[float, list[float]] = {}
    (heading, *_) = [mark for mark in drawn.marks if isinstance(mark, Words) and mark.bold]
    for mark in drawn.marks:
        if isinstance(mark, Box) and mark.x == heading.x:
            rows.setdefault(mark.y, []).append(mark.width)
    (track,) = {widths[0] for widths in rows.values()}
    filled = [widths[1:] for widths in rows.values()]
    assert filled == [[pytest.approx(part * track, abs=1 / SCALE)] for part in (0.7512, 0.2)] + [[]]


def test_corrected_results_show_both_figures() -> None:
    scores = (CorrectedScore("on canvas", 0.6, 0.3),)
    result = replace(RESULT, lists={"surfaces": scores}, corrected=True)
    words = said(card.draw(painting(300, 300), result))
    assert "60%  (plain 30%)" in words
    assert "How likely each phrase is within its list. Model: demo, fp32, corrected." in words


@pytest.mark.parametrize(
    ("width", "height"), [(300, 300), (300, 900), (900, 300), (1, 4000), (4000, 1), (1, 1), (9, 7)]
)
def test_any_picture_fits_on_its_card(width: int, height: int) -> None:
    drawn = card.draw(painting(width, height), RESULT, note=NOTE)
    for mark in drawn.marks:
        if isinstance(mark, Words):
            wide, high = canvas.width(mark.text, mark.size, bold=mark.bold), mark.size
            left = mark.x - (wide if mark.anchor == "end" else 0)
        elif isinstance(mark, Photo):
            wide, high = mark.image.width / SCALE, mark.image.height / SCALE
            left = mark.x
        else:
            wide, high, left = mark.width, mark.height, mark.x
        assert 0 <= left <= left + wide <= drawn.width + 1 / SCALE
        assert 0 <= mark.y <= drawn.height
        assert high <= drawn.height


def test_a_picture_keeps_its_proportions_and_colours() -> None:
    (photo,) = photos(card.draw(painting(600, 300), RESULT))
    assert photo.image.width / photo.image.height == pytest.approx(2, rel=0.01)
    pixels = np.asarray(canvas.picture(card.draw(painting(600, 300), RESULT)))
    blue = (pixels == (0x33, 0x66, 0x99)).all(axis=-1)
    assert blue.sum() == photo.image.width * photo.image.height


def test_a_wide_picture_stands_above_its_lists_and_others_beside() -> None:
    for size, above in (((900, 300), True), ((300, 300), False), ((300, 900), False)):
        drawn = card.draw(painting(*size), RESULT)
        (heading,) = [mark for mark in drawn.marks if isinstance(mark, Words) and mark.bold][:1]
        (photo,) = photos(drawn)
        assert (heading.y > photo.y + photo.image.height / SCALE) is above
        assert (heading.x > photo.x + photo.image.width / SCALE) is not above


def test_a_map_stands_beside_its_picture() -> None:
    drawn = card.draw(painting(300, 300), RESULT, heat=FLAT)
    picture, heat, scale = photos(drawn)
    assert picture.y == heat.y < scale.y
    assert heat.x > picture.x + picture.image.width / SCALE
    assert "for +0.1" in said(drawn)


def test_a_transparent_picture_lies_on_white() -> None:
    (photo,) = photos(card.draw(Image.new("RGBA", (50, 50)), RESULT))
    assert photo.image.getpixel((5, 5)) == (255, 255, 255)


def test_all_lists_fit_on_one_card() -> None:
    lists = {
        name: tuple(PhraseScore(phrase, 0.01) for phrase in phrases.load(name)[:20])
        for name in phrases.names()
    }
    drawn = card.draw(painting(300, 300), replace(RESULT, lists=lists))
    made = canvas.picture(drawn)
    assert made.width * made.height < 20e6
    assert set(phrases.names()) <= {text.replace(" ", "_") for text in said(drawn)}


def test_names_from_elsewhere_stay_in_their_place() -> None:
    name = "an_uncommonly_long_name_of_a_file_" * 9 + "\x1b[31m.jpg"
    scores = (PhraseScore("a phrase that never ends, " * 20, 0.5),)
    result = replace(RESULT, image=name, lists={"WWWWWW_MMMMMM_" * 9: scores})
    drawn = card.draw(painting(300, 300), result)
    for mark in drawn.marks:
        if isinstance(mark, Words):
            left = mark.x - (canvas.width(mark.text, mark.size) if mark.anchor == "end" else 0)
            assert left + canvas.width(mark.text, mark.size, bold=mark.bold) <= drawn.width
    (heading,) = [mark for mark in drawn.marks if isinstance(mark, Words) and mark.size == 16]
    assert heading.text.endswith("…")
    (track, *_) = [mark for mark in drawn.marks if isinstance(mark, Box) and mark.x == heading.x]
    assert canvas.width(heading.text, 16, bold=True) <= track.width
    canvas.picture(drawn)


@pytest.mark.parametrize("size", [(300, 300), (900, 300), (300, 900)])
@pytest.mark.parametrize("count", [2, 3, 5])
def test_lists_are_read_in_their_order(size: tuple[int, int], count: int) -> None:
    """Down one column and then down the next, however many phrases each has."""
    lists = {f"list {at}": SCORES * (1 + at * 5 % 3) for at in range(count)}
    drawn = card.draw(painting(*size), replace(RESULT, lists=lists))
    names = [mark for mark in drawn.marks if isinstance(mark, Words) and mark.text in lists]
    assert [mark.text for mark in sorted(names, key=lambda mark: (mark.x, mark.y))] == list(lists)


def test_what_is_not_0_has_a_bar_that_can_be_seen() -> None:
    scores = (PhraseScore("sea", 0.9), PhraseScore("sky", 1e-6), PhraseScore("sun", 0.0))
    drawn = card.draw(painting(300, 300), replace(RESULT, lists={"things": scores}))
    bars = [mark for mark in drawn.marks if isinstance(mark, Box) and mark.height == look.BAR]
    tracks = [bar for bar in bars if bar.colour == look.LIGHT["track"]]
    assert len(tracks) == 3
    assert [bar.width for bar in bars if bar not in tracks][1:] == [look.LEAST]


def test_a_picture_above_its_lists_stands_in_the_middle() -> None:
    lists = {f"list {at}": SCORES * 3 for at in range(4)}
    drawn = card.draw(painting(300, 900), replace(RESULT, lists=lists))
    (photo,) = photos(drawn)
    assert 2 * photo.x + photo.image.width / SCALE == pytest.approx(drawn.width, abs=1)
