"""Text fits the terminal; JSON and JSON Lines give back what went in."""

from __future__ import annotations

import io
import json
import re
import sys
import unicodedata
from dataclasses import asdict

import pytest
from _pytest._io.wcwidth import wcswidth, wcwidth
from hypothesis import example, given, settings
from hypothesis import strategies as st

from clip_gaze.output import render, terminal
from clip_gaze.results import Change, Compared, Comparison, PhraseScore, PictureResult
from clip_gaze.wording import is_clear
from samples import RESULTS

EXAMPLE = [
    PictureResult(
        "cat.jpg",
        "demo",
        "fp32",
        {
            "movements": (PhraseScore("pop art", 0.5), PhraseScore("dada", 0.125)),
            "surfaces": (PhraseScore("on canvas", 1.0), PhraseScore("on 紙", 0.0004)),
        },
    ),
    PictureResult("gone.jpg", "demo", "fp32", status="error", error="gone.jpg: no such file"),
    PictureResult("dog.jpg", "demo", "fp32", {"movements": (PhraseScore("fauvism", 0.25),)}),
]


def unstyled(text: str) -> str:
    return re.sub(r"\x1b\[\d*m", "", text)


def lines(text: str) -> list[str]:
    """Split as a terminal does."""
    return text.split("\n")[:-1]


def test_plain_text_is_aligned_and_has_no_escapes() -> None:
    assert "".join(render.text(EXAMPLE)) == (
        "cat.jpg  (demo, fp32)\n"
        "\n"
        "movements\n"
        "  pop art       50%\n"
        "  dada          13%\n"
        "\n"
        "surfaces\n"
        "  on canvas  >99.9%\n"
        "  on 紙       <0.1%\n"
        "\n"
        "dog.jpg  (demo, fp32)\n"
        "\n"
        "movements\n"
        "  fauvism     25%\n"
    )


def test_a_terminal_gets_bars_in_proportion() -> None:
    shown = unstyled("".join(render.text(EXAMPLE, 80)))
    bars = [line.count("█") for line in lines(shown) if "%" in line]
    assert bars == [20, 5, 40, 0, 10]
    assert "dog.jpg  demo, fp32\n" in shown


def test_bars_are_drawn_to_an_eighth_of_a_cell() -> None:
    found = {}
    for eighths in range(1, 321):
        scores = (PhraseScore("winner", 1.0), PhraseScore("phrase", eighths / 320))
        result = PictureResult("", "", "", {"list": scores})
        bar = unstyled("".join(render.text([result], 80))).rstrip("\n").rpartition("  ")[2]
        found[eighths] = 8 * bar.count("█") + sum(
            " ▏▎▍▌▋▊▉".index(block) for block in bar if block != "█"
        )
    assert found == {eighths: eighths for eighths in range(1, 321)}


def test_a_terminal_without_blocks_gets_bars_of_other_signs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Terminal(io.StringIO):
        encoding = "ascii"

        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys, "stdout", Terminal())
    shown = unstyled("".join(terminal.fitted(render.text, EXAMPLE)))
    bars = [line.count("#") for line in lines(shown) if "%" in line]
    assert bars == [20, 5, 40, 1, 10]
    assert "█" not in shown


def test_a_terminal_gets_emphasis_that_is_switched_off_again() -> None:
    shown = "".join(render.text(EXAMPLE, 80))
    assert "\x1b[1mmovements\x1b[0m\n" in shown
    for line in lines(shown):
        styles = re.findall(r"\x1b\[(\d*)m", line)
        assert styles == [] or styles[-1] == "0"


@settings(deadline=None, max_examples=300)
@given(results=RESULTS, columns=st.integers(20, 200))
@example(results=EXAMPLE, columns=20)
@example(results=[PictureResult("葛飾北斎" * 9, "näïve", "e\u0301" * 99, {})], columns=21)
def test_text_fits_any_terminal(results: list[PictureResult], columns: int) -> None:
    for line in lines(unstyled("".join(render.text(results, columns)))):
        cells = [wcwidth(letter) for letter in line]  # wcswidth takes some letters apart first
        assert min(cells, default=0) >= 0
        assert sum(cells) < columns  # the last column is left free: some terminals wrap there


@settings(deadline=None)
@given(results=RESULTS, columns=st.none() | st.integers(20, 200))
def test_no_name_or_phrase_breaks_a_line_or_reaches_the_terminal_as_a_command(
    results: list[PictureResult], columns: int | None
) -> None:
    shown = unstyled("".join(render.text(results, columns)))
    assert not [c for c in shown if unicodedata.category(c) in ("Cc", "Zl", "Zp") and c != "\n"]
    scores = sum(
        len(scores) for result in results for scores in result.lists.values()
        if scores and is_clear(scores[0].probability)
    )  # fmt: skip
    ends = [
        line for line in lines(shown) if re.fullmatch(r"  .*  [ <>.\d]{5}%(  [▏▎▍▌▋▊▉█]+)?", line)
    ]
    assert len(ends) >= scores


@pytest.mark.parametrize("columns", range(20, 200, 7))
def test_per_cents_stand_below_each_other(columns: int) -> None:
    scores = [
        PhraseScore(phrase, 0.5)
        for phrase in (
            "on canvas",
            "葛飾北斎",
            "e\u0301criture",
            "👩🏽\u200d🎨 emoji",
            "x" * 300,
            "",
        )
    ]
    result = PictureResult("", "", "", {"list": tuple(scores)})
    shown = unstyled("".join(render.text([result], columns)))
    ends = {wcswidth(line.partition("%")[0]) for line in lines(shown) if "%" in line}
    assert len(ends) == 1


def test_a_narrow_terminal_shows_phrases_before_bars() -> None:
    scores = (PhraseScore("by artemisia gentileschi", 0.5),)
    result = PictureResult("cat.jpg", "demo", "fp32", {"artists": scores})
    shown = {
        columns: lines(unstyled("".join(render.text([result], columns))))[-1]
        for columns in (20, 30, 40, 80)
    }
    assert shown[20] == "  by artem…     50%"
    assert shown[30] == "  by artemisia genti…     50%"
    assert shown[40] == "  by artemisia gentile…     50%  ███"
    assert shown[80] == "  by artemisia gentileschi     50%  " + "█" * 20


def test_a_long_path_keeps_its_end() -> None:
    result = PictureResult("/home/ada/pictures/2024/holidays/cat.jpg", "demo", "fp32", {})
    shown = unstyled("".join(render.text([result], 30)))
    assert lines(shown) == ["…ctures/2024/holidays/cat.jpg", "demo, fp32"]


def test_a_picture_that_could_not_be_read_is_left_out_of_the_text() -> None:
    assert "gone" not in "".join(render.text(EXAMPLE))
    assert list(render.text(EXAMPLE[1:2])) == []


@settings(deadline=None)
@given(RESULTS)
def test_json_gives_back_every_result_unrounded(results: list[PictureResult]) -> None:
    wanted = json.loads(json.dumps([asdict(result) for result in results]))
    assert json.loads("".join(render.json_array(results))) == wanted


def test_no_results_are_an_empty_json_array() -> None:
    assert "".join(render.json_array([])) == "[]\n"


def test_json_shows_letters_as_they_are() -> None:
    assert "紙" in "".join(render.json_array(EXAMPLE))
    assert "紙" in "".join(render.json_lines(EXAMPLE))


@settings(deadline=None)
@given(RESULTS)
def test_json_lines_are_one_object_a_line(results: list[PictureResult]) -> None:
    pieces = list(render.json_lines(results))
    assert all(piece.endswith("\n") and piece.count("\n") == 1 for piece in pieces)
    wanted = json.loads(json.dumps([asdict(result) for result in results]))
    assert [json.loads(line) for line in lines("".join(pieces))] == wanted


@pytest.mark.parametrize("kind", ["text", "json_array", "json_lines"])
def test_each_result_is_rendered_as_it_comes(kind: str) -> None:
    taken: list[str] = []

    def results() -> object:
        for result in (EXAMPLE[0], EXAMPLE[2]):
            taken.append(result.image)
            yield result

    shown = ""
    for piece in getattr(render, kind)(results()):
        shown += piece
        if "dog.jpg" not in taken:
            continue
        assert "cat.jpg" in shown
        break
    assert taken == ["cat.jpg", "dog.jpg"]


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_names_of_compared_pictures_are_cut_to_the_terminal(columns: int) -> None:
    folder = "/home/somebody/pictures/of/the/sea/and/of/boats/and of 紙/" * 2
    changes = {"movements": (Change("dada", 0.0, 1.0, 1.0),)}
    images = (Compared(f"{folder}two.jpg", changes, same=True), Compared("c.jpg", changes))
    found = Comparison(f"{folder}one.jpg", "demo", "fp32", ("a painting {}",), images)
    shown = lines(unstyled("".join(render.comparison(found, columns))))
    assert max(map(wcswidth, shown)) < columns
    first, by, second, same, third, *_ = shown
    assert first.startswith("A  …")
    assert first.endswith("/one.jpg")
    assert by == '   (demo, fp32, "a painting {}")'
    assert second.endswith("/two.jpg")
    assert same == "   (the same as A: all differences are 0)"
    assert third == "C  c.jpg"
    plain = lines("".join(render.comparison(found)))
    assert plain[0] == f'A  {folder}one.jpg  (demo, fp32, "a painting {{}}")'
