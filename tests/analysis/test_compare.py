"""What differs between pictures: figures, tables, charts, and the command line."""

from __future__ import annotations

import base64
import csv
import io
import itertools
import json
import math
import re
import subprocess
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageColor

import clip_gaze
from clip_gaze import Clip, GazeError, wording
from clip_gaze.analysis.compare import changes
from clip_gaze.analysis.similarity import probability
from clip_gaze.drawing import canvas, chart
from clip_gaze.drawing.look import LIGHT
from clip_gaze.errors import PhraseListError, PictureError
from clip_gaze.output import render, tables
from clip_gaze.pictures.edits import edited
from clip_gaze.pictures.source import Content, Decoded
from clip_gaze.results import Change, Compared, Comparison
from demo.painter import paint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    MakePicture = Callable[..., Image.Image]

MOVEMENTS = {"movements": clip_gaze.MOVEMENTS}
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def clip() -> Iterator[Clip]:
    with Clip("demo", store=False) as opened:
        yield opened


@pytest.fixture(scope="module")
def paintings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("paintings")
    for name in ("pop art", "tonalism", "cubism"):
        image = paint(1, 200, movements=f"{name} movement").image
        image.save(folder / f"{name.split()[0]}.png")
    (folder / "broken.png").write_bytes(b"\x89PNG but no more")
    return folder


# The library


def test_what_was_painted_leads_both_ways(clip: Clip, paintings: Path) -> None:
    found = clip.compare([paintings / "pop.png", paintings / "tonalism.png"], MOVEMENTS, 3)
    assert found.reference == str(paintings / "pop.png")
    assert (found.model, found.variant) == ("demo", "fp32")
    (tonal,) = found.images
    rows = tonal.lists["movements"]
    assert len(rows) == 6
    first = {row.phrase: row for row in rows[:2]}
    assert first.keys() == {"tonalism movement", "pop art movement"}
    assert first["tonalism movement"].difference > 5
    assert first["pop art movement"].difference < -5
    changed = [abs(probability(row.after) - probability(row.before)) for row in rows]
    assert changed == sorted(changed, reverse=True)


def test_what_changed_most_for_a_person_stands_first_and_dwarfs_are_counted() -> None:
    """From 99.8 % to 4 % is more than from 0.0001 % to 0.05 %, whose odds change more."""
    rows = (
        Change("huge", 6.2, -3.2, -9.4), Change("small", -5.0, -4.0, 1.0),
        Change("dwarf", -13.8, -7.6, 6.2), Change("other", -9.0, -9.5, -0.5),
    )  # fmt: skip
    found = Comparison("a", "m", "v", (), (Compared("b", {"list": rows}),))
    shown = "".join(render.comparison(found)).splitlines()
    assert [line.split()[0] for line in shown[-3:]] == ["huge", "small", "and"]
    assert shown[-1] == "  and 2 more, below 1% in each"


def test_grey_tells_of_black_and_white_and_a_mirror_of_little(clip: Clip, tmp_path: Path) -> None:
    """Over ten pictures: one alone may be odd."""
    lists = {"photography": clip_gaze.PHOTOGRAPHY}
    changes: dict[str, dict[str, list[float]]] = {}
    for seed in range(10):
        path = tmp_path / f"{seed}.png"
        paint(seed, 200, study=True, photography="infrared film").image.save(path)
        for each in clip.compare(edited(path), lists, None).images:
            for row in each.lists["photography"]:
                by_phrase = changes.setdefault(each.image, {})
                by_phrase.setdefault(row.phrase, []).append(row.difference)
    assert list(changes) == ["crop", "grey", "blur", "mirrored"]
    means = {
        edit: {phrase: float(np.mean(values)) for phrase, values in by_phrase.items()}
        for edit, by_phrase in changes.items()
    }
    assert means["grey"]["black and white photography"] > 3
    assert means["grey"]["infrared film"] < -3
    largest = {edit: max(map(abs, by_phrase.values())) for edit, by_phrase in means.items()}
    assert largest["mirrored"] < largest["grey"] / 4


def test_figures_equal_those_of_an_oracle(clip: Clip, paintings: Path) -> None:
    paths = [paintings / "pop.png", paintings / "cubism.png"]
    found = clip.compare(paths, {"surfaces": clip_gaze.SURFACES}, None)
    pixels = clip.encode_images(paths).astype(np.float64)
    words = clip.encode_texts(clip_gaze.SURFACES).astype(np.float64)
    powers = np.exp(pixels @ words.T * clip.manifest.logit_scale)
    odds = {
        phrase: powers[:, at] / np.delete(powers, at, axis=1).sum(axis=1)
        for at, phrase in enumerate(clip_gaze.SURFACES)
    }
    rows = found.images[0].lists["surfaces"]
    assert {row.phrase for row in rows} == set(clip_gaze.SURFACES)
    for row in rows:
        before, after = np.log(odds[row.phrase])
        assert row.before == pytest.approx(before, abs=1e-4)
        assert row.after == pytest.approx(after, abs=1e-4)
        assert row.difference == row.after - row.before


def test_the_other_way_round_every_difference_is_negative(clip: Clip, paintings: Path) -> None:
    one, two = paintings / "pop.png", paintings / "cubism.png"
    there, back = (
        {row.phrase: row for row in clip.compare(pair, MOVEMENTS, 4).images[0].lists["movements"]}
        for pair in ([one, two], [two, one])
    )
    assert len(there) == 8
    assert {p: (r.before, r.after, r.difference) for p, r in there.items()} == {
        p: (r.after, r.before, -r.difference) for p, r in back.items()
    }


FIGURES = st.lists(
    st.tuples(st.floats(-50, 50) | st.just(0.0), st.floats(-50, 50) | st.just(0.0)), min_size=2
)


@given(FIGURES, st.none() | st.integers(0, 5))
def test_rise_and_fall_change_places_with_the_pictures(
    figures: list[tuple[float, float]], top: int | None
) -> None:
    before, after = np.array(figures).T
    rise, fall = changes(before, after, top)
    assert changes(after, before, top) == (fall, rise)
    assert not set(rise) & set(fall)
    differences = after - before
    rising = int((differences > 0).sum())
    assert len(rise) == (min(top, rising) if top else rising)
    left_out = set(range(len(figures))) - set(rise)
    assert all(differences[a] >= differences[b] for a in rise for b in left_out)
    assert changes(before, before, top) == ([], [])


def test_the_same_picture_twice_differs_in_nothing(clip: Clip, paintings: Path) -> None:
    path = paintings / "pop.png"
    with Image.open(path) as image:
        found = clip.compare([path, image.copy()], MOVEMENTS, None)
    assert found.images[0].same
    rows = found.images[0].lists["movements"]
    assert len(rows) == len(clip_gaze.MOVEMENTS)
    assert {row.difference for row in rows} == {0}
    assert clip.compare([path, path], MOVEMENTS, 5).images[0].lists == {"movements": ()}


def test_all_pictures_have_the_same_phrases_in_one_order(clip: Clip, paintings: Path) -> None:
    names = ("pop.png", "tonalism.png", "cubism.png")
    found = clip.compare([paintings / name for name in names], MOVEMENTS, 2)
    tonal, cubist = ([row.phrase for row in each.lists["movements"]] for each in found.images)
    assert tonal == cubist
    assert 4 <= len(tonal) <= 8
    alone = clip.compare([paintings / "pop.png", paintings / "cubism.png"], MOVEMENTS, 2)
    assert {row.phrase for row in alone.images[0].lists["movements"]} <= set(cubist)


def test_saturated_phrases_have_finite_log_odds(clip: Clip, paintings: Path) -> None:
    found = clip.compare([paintings / "pop.png", paintings / "tonalism.png"], MOVEMENTS, None)
    rows = found.images[0].lists["movements"]
    assert all(math.isfinite(value) for row in rows for value in (row.before, row.after))


def test_a_bad_picture_is_a_result_and_the_rest_is_compared(clip: Clip, paintings: Path) -> None:
    names = ("broken.png", "pop.png", "none.png", "cubism.png")
    found = clip.compare([paintings / name for name in names], MOVEMENTS)
    assert found.reference == str(paintings / "pop.png")
    assert [each.status for each in found.images] == ["error", "error", "ok"]
    assert "no such file" in str(found.images[1].error)


def test_pictures_in_memory_have_the_names_that_they_are_given(clip: Clip, paintings: Path) -> None:
    images = [
        Decoded(Image.open(paintings / "pop.png"), "first"),
        Content(b"no picture", "second"),
        Decoded(Image.open(paintings / "cubism.png"), "third"),
    ]
    found = clip.compare(images, MOVEMENTS)
    assert found.reference == "first"
    assert [(each.image, each.status) for each in found.images] == [
        ("second", "error"),
        ("third", "ok"),
    ]
    paths = clip.compare([paintings / "pop.png", paintings / "cubism.png"], MOVEMENTS)
    assert found.images[1].lists == paths.images[0].lists


def test_one_readable_picture_is_not_enough(clip: Clip, paintings: Path) -> None:
    with pytest.raises(GazeError, match=r"none\.png: no such file.*takes two"):
        clip.compare([paintings / "none.png", paintings / "pop.png"], MOVEMENTS)
    with pytest.raises(PictureError, match="no such file"):
        list(edited(paintings / "none.png"))


def test_a_phrase_alone_cannot_be_compared(clip: Clip, paintings: Path) -> None:
    with pytest.raises(PhraseListError, match="'mine'"):
        clip.compare([paintings / "pop.png"] * 2, {"mine": ["a cat"]})


def test_templates_are_kept(paintings: Path) -> None:
    with Clip("demo", store=False, templates=("a painting {}",)) as opened:
        found = opened.compare([paintings / "pop.png"] * 2, {"tools": clip_gaze.TOOLS})
    assert found.templates == ("a painting {}",)
    assert '"a painting {}"' in "".join(render.comparison(found))


# Text, CSV and charts, from figures that are known

KNOWN = Comparison(
    "a.jpg", "demo", "fp32", (),
    (
        Compared("b.jpg", {"words": (
            Change("<b>bold</b> & \x1b[31m", math.log(0.25), math.log(4), math.log(16)),
            Change("falls", 0.0, -math.log(10), -math.log(10)),
        )}),
        Compared("bad.jpg", status="error", error="bad.jpg: is no picture"),
    ),
)  # fmt: skip


def thumbs(count: int) -> list[Image.Image]:
    return [Image.new("RGB", (40, 30), "teal")] * count


def wide(count: int, phrase: str = "a phrase", name: str = "words") -> Comparison:
    """Return a comparison of so many pictures."""
    rows = (Change(phrase, 0.0, 3.0, 3.0), Change("another", 1.0, -700.0, -701.0))
    others = tuple(Compared(f"{at}.jpg", {name: rows}) for at in range(1, count))
    return Comparison("0.jpg", "demo", "fp32", (), others)


def test_text_shows_per_cents_log_odds_and_factors() -> None:
    lines = "".join(render.comparison(KNOWN)).splitlines()
    assert lines[:2] == ["A  a.jpg  (demo, fp32)", "B  b.jpg"]
    assert "words" in lines[3]
    assert lines[5].split("\ufffd[31m")[1].split() == [
        "20%",
        "80%",
        "+2.77",
        "\N{MULTIPLICATION SIGN}16",
    ]
    assert lines[6].split() == ["falls", "50%", "9.1%", "-2.30", "÷10"]
    assert "bad.jpg" not in "".join(lines)


@pytest.mark.parametrize(("size", "shown"), [((6000, 3), (336, 84)), ((1, 1), (264, 264))])
def test_long_and_tiny_pictures_can_be_seen(size: tuple[int, int], shown: tuple[int, int]) -> None:
    assert chart.thumbnail(Image.new("RGB", size)).size == shown


@pytest.mark.parametrize("count", range(2, chart.MOST + 1))
def test_long_phrases_give_way_to_a_terminal(count: int) -> None:
    made = wide(count, "a very long phrase that goes on " * 9)
    lines = "".join(render.comparison(made, 120)).splitlines()
    rows = [line for line in lines if "%" in line]
    assert max(map(len, rows)) < 120
    narrow = re.sub(r"\x1b\[\d*m", "", "".join(render.comparison(made, 50))).splitlines()
    assert [line for line in narrow if line.startswith("words")] == ["words"]
    assert "a very long" in rows[0]
    assert len("".join(render.comparison(made)).splitlines()[-1]) > 250


def test_columns_stand_below_each_other() -> None:
    lines = "".join(render.comparison(wide(4))).splitlines()[-3:]
    heads = [match.end() for match in re.finditer(r"[A-D]", lines[0])]
    assert heads == [match.end() for match in re.finditer("%", lines[1])]


@pytest.mark.parametrize(
    ("value", "shown"), [(2, "2"), (1.234, "1.23"), (999.4, "999"), (1234, "1,230"), (1e6, "10⁶")]
)
def test_factor_of_odds(value: float, shown: str) -> None:
    assert wording.factor(math.log(value)) == f"\N{MULTIPLICATION SIGN}{shown}"
    assert wording.factor(-math.log(value)) == f"÷{shown}"


def test_factor_of_a_huge_difference_does_not_overflow() -> None:
    assert wording.factor(-5000) == "÷10²¹⁷¹"


def test_json_and_csv_hold_every_digit() -> None:
    assert json.loads(render.json_object(KNOWN)) == json.loads(json.dumps(asdict(KNOWN)))
    rows = list(csv.DictReader(io.StringIO("".join(tables.csv_compared(KNOWN)))))
    assert [row["image"] for row in rows] == ["b.jpg", "b.jpg", "bad.jpg"]
    assert float(rows[0]["log_odds_difference"]) == math.log(16)
    for when in ("before", "after"):
        odds = float(rows[0][f"log_odds_{when}"])
        assert float(rows[0][f"probability_{when}"]) == pytest.approx(1 / (1 + math.exp(-odds)))
    assert rows[0]["phrase"] == "<b>bold</b> & \x1b[31m"
    assert rows[2]["error"] == "bad.jpg: is no picture"


def test_svg_is_xml_whose_words_are_text_and_whose_pictures_are_inside() -> None:
    root = ET.fromstring(canvas.svg(chart.draw(KNOWN, thumbs(2))))
    words = [each.text for each in root.iter(f"{SVG}text")]
    assert "<b>bold</b> & \ufffd[31m" in words
    assert {"same", "a.jpg", "b.jpg", "÷10", "20%", "80%"} <= set(words)
    assert root.get("aria-label") == "b.jpg compared with a.jpg"
    photos = [str(each.get("href")) for each in root.iter(f"{SVG}image")]
    assert len(photos) == 2
    start = "data:image/jpeg;base64,"
    for photo in photos:
        assert photo.startswith(start)
        with Image.open(io.BytesIO(base64.b64decode(photo.removeprefix(start)))) as image:
            assert image.size == (40, 30)


def test_bars_are_as_long_as_differences_and_point_their_way() -> None:
    made = chart.draw(KNOWN, thumbs(2))
    bars = [
        m
        for m in made.marks
        if isinstance(m, canvas.Box) and m.colour in (LIGHT["rise"], LIGHT["fall"])
    ]
    zero = next(m for m in made.marks if isinstance(m, canvas.Words) and m.text == "same")
    rise, fall = bars
    assert rise.x == pytest.approx(zero.x)
    assert fall.x + fall.width == pytest.approx(zero.x)
    assert rise.width / fall.width == pytest.approx(math.log(16) / math.log(10))
    tick = next(m for m in made.marks if isinstance(m, canvas.Words) and m.text == "÷10")
    assert tick.x == pytest.approx(fall.x)


@pytest.mark.parametrize("count", range(2, chart.MOST + 1))
def test_everything_lies_inside_the_chart(count: int) -> None:
    made = chart.draw(wide(count, "a very long phrase that goes on " * 9), thumbs(count))
    for mark in made.marks:
        if isinstance(mark, canvas.Words):
            long = canvas.width(mark.text, mark.size, bold=mark.bold)
            left = mark.x - {"start": 0, "middle": 0.5, "end": 1}[mark.anchor] * long
            assert left >= 0, mark
            assert left + long <= made.width, mark
        elif isinstance(mark, canvas.Box):
            assert mark.x >= 0
            assert mark.x + mark.width <= made.width
        assert 0 <= mark.y <= made.height
    assert any(isinstance(m, canvas.Words) and m.text.endswith("…") for m in made.marks)


@pytest.mark.parametrize("name", ["words", "artists_by_training_prevalence", "a_list_of_mine_" * 9])
def test_words_do_not_lie_on_each_other(name: str) -> None:
    made = chart.draw(wide(6, name=name), thumbs(6))
    assert name != "words" or any(m.text == name for m in made.marks if isinstance(m, canvas.Words))
    lines: dict[float, list[tuple[float, float]]] = {}
    for mark in made.marks:
        if isinstance(mark, canvas.Words):
            long = canvas.width(mark.text, mark.size, bold=mark.bold)
            left = mark.x - {"start": 0, "middle": 0.5, "end": 1}[mark.anchor] * long
            lines.setdefault(mark.y, []).append((left, left + long))
    for spans in lines.values():
        spans.sort()
        assert all(a[1] <= b[0] for a, b in itertools.pairwise(spans))


def test_a_picture_of_the_chart_has_its_colours_and_is_twice_its_size() -> None:
    made = chart.draw(KNOWN, thumbs(2))
    image = canvas.picture(made)
    assert image.size == (2 * made.width, 2 * made.height)
    colours = {colour for _, colour in image.getcolors(1 << 24) or []}
    assert {ImageColor.getrgb(LIGHT[name]) for name in ("rise", "fall")} | {
        (0, 128, 128)
    } <= colours


def test_a_difference_of_nothing_is_said(paintings: Path, clip: Clip) -> None:
    found = clip.compare([paintings / "pop.png"] * 2, MOVEMENTS)
    assert "all differences are 0" in "".join(render.comparison(found))
    assert "all differences are 0" in canvas.svg(chart.draw(found, thumbs(2)))


# The command line


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "clip_gaze", "compare", *map(str, arguments)]
    command += ["--model", "demo", "--list", "movements"]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)


def errors(done: subprocess.CompletedProcess[str]) -> list[str]:
    assert "Traceback" not in done.stderr
    return [line for line in done.stderr.splitlines() if line.startswith("clip-gaze: error: ")]


def test_command_writes_a_table_and_a_chart(paintings: Path, tmp_path: Path) -> None:
    one, two = paintings / "pop.png", paintings / "tonalism.png"
    done = run(one, two, "--top", 2, "-o", tmp_path / "chart.svg")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 3 + 2 + 4
    assert "tonalism movement" in (tmp_path / "chart.svg").read_text(encoding="utf-8")


def test_command_draws_edits_upright(paintings: Path, tmp_path: Path) -> None:
    with Image.open(paintings / "pop.png") as image:
        exif = image.getexif()
        exif[0x0112] = 6
        image.rotate(90, expand=True).save(tmp_path / "turned.png", exif=exif)
    done = run(tmp_path / "turned.png", "--edits", "--format", "json", "-o", tmp_path / "c.png")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [each["image"] for each in found["images"]] == ["crop", "grey", "blur", "mirrored"]
    straight = json.loads(run(paintings / "pop.png", "--edits", "--format", "json").stdout)
    assert found["images"] == straight["images"]
    with Image.open(tmp_path / "c.png") as made:
        assert made.width > 2000


def test_command_names_a_bad_picture_and_compares_the_rest(paintings: Path, tmp_path: Path) -> None:
    names = ("pop.png", "broken.png", "cubism.png")
    output = ("--format", "csv", "-o", tmp_path / "c.svg")
    done = run(*(paintings / name for name in names), *output)
    assert done.returncode == 1
    (line,) = errors(done)
    assert "broken.png" in line
    assert {row["status"] for row in csv.DictReader(io.StringIO(done.stdout))} == {"ok", "error"}
    assert "cubism.png" in (tmp_path / "c.svg").read_text(encoding="utf-8")


def test_command_needs_two_pictures_that_can_be_read(paintings: Path, tmp_path: Path) -> None:
    done = run(paintings / "pop.png", paintings / "broken.png", "-o", tmp_path / "c.svg")
    assert done.returncode == 2
    (line,) = errors(done)
    assert "broken.png" in line
    assert not done.stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["pop.png"], "--edits"),
        (["pop.png", "cubism.png", "--edits"], "one picture"),
        (["pop.png", "cubism.png", "-o", "table.gif"], r"\.webp or \.svg"),
        (["pop.png", "cubism.png", "-o", "missing/chart.png"], "no place for a file"),
        (["pop.png"] * 7, "at most 6"),
    ],
)
def test_command_refuses_what_it_cannot_do(
    arguments: list[str], said: str, paintings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(paintings)
    done = run(*arguments)
    assert done.returncode == 2
    (line,) = errors(done)
    assert re.search(said, line)
