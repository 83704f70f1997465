"""The command `clip-gaze prompt`."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from click.testing import CliRunner

from clip_gaze import Clip
from clip_gaze.analysis.prompt import Rules
from clip_gaze.cli.main import main
from clip_gaze.output import lines
from clip_gaze.output.terminal import width_of
from clip_gaze.results import PromptLine, PromptPart
from clip_gaze.texts import phrases
from demo.painter import paint

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

SHORT = ("--list", "surfaces", "--list", "painting_materials", "--list", "movements")


@pytest.fixture
def painting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the name of a picture in the working folder."""
    paint(7, 160).image.save(tmp_path / "painting.png")
    monkeypatch.chdir(tmp_path)
    return "painting.png"


def run(*words: Any) -> Result:
    return CliRunner().invoke(main, ["prompt", "--model", "demo", *map(str, words)])


def made(*words: Any) -> Any:
    done = run(*words, "--format", "json")
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


def test_what_is_made_is_what_the_class_makes(painting: str) -> None:
    with Clip("demo", offline=True) as clip:
        lists = {name: phrases.load(name) for name in SHORT[1::2]}
        found = clip.prompt(painting, lists, Rules("a boat", free=True, style="sd"))
    answer = made(painting, *SHORT, "--with", "a boat", "--free", "--style", "sd")
    assert answer["line"] == found.line
    assert answer["similarity"] == found.similarity
    assert [part["phrase"] for part in answer["parts"]] == [part.phrase for part in found.parts]
    assert answer["line"] == ", ".join(part["phrase"] for part in answer["parts"])


def test_the_line_stands_first_and_alone(painting: str, tmp_path: Path) -> None:
    answer = made(painting, *SHORT)
    shown = run(painting, *SHORT)
    first, blank, *_ = shown.stdout.splitlines()
    assert (first, blank) == (answer["line"], "")
    for part in answer["parts"]:
        assert f"{part['adds']:+.3f}  {part['phrase']}" in shown.stdout
    assert (
        f"{answer['naive_similarity']:.3f}  first of each list  {answer['naive']}" in shown.stdout
    )
    run(painting, *SHORT, "-o", "line.txt")
    assert (tmp_path / "line.txt").read_text(encoding="utf-8") == shown.stdout
    run(painting, *SHORT, "-o", "line.json")
    assert json.loads((tmp_path / "line.json").read_text(encoding="utf-8")) == answer


def test_names_can_be_kept_out(painting: str) -> None:
    answer = made(painting, "--without", "BY ", "--without", "movement")
    assert "by " not in answer["line"] + answer["naive"]
    assert "movement" not in answer["line"]
    done = run(painting, "--list", "movements", "--without", "movement")
    assert done.exit_code == 2
    assert "no phrase is left" in done.stderr


def test_own_lists_and_phrases_are_taken(painting: str, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("a stormy sea\na calm sea\n", encoding="utf-8")
    answer = made(painting, "--phrases", "mine.txt", "--phrase", "on wood")
    assert {part["list"] for part in answer["parts"]} <= {"mine", "phrases"}
    assert answer["naive"].endswith("sea on wood")


def test_no_list_takes_the_place_of_another(painting: str, tmp_path: Path) -> None:
    (tmp_path / "surfaces.txt").write_text("a blue boat\na red barn\n", encoding="utf-8")
    done = run(painting, "--list", "surfaces", "--phrases", tmp_path / "surfaces.txt")
    assert done.exit_code == 2
    assert done.stderr.count("\n") == 1
    assert "two phrase lists are called 'surfaces'" in done.stderr


def test_the_negative_line_is_farther_than_the_other(painting: str) -> None:
    near, far = made(painting, *SHORT), made(painting, *SHORT, "--negative")
    assert far["negative"]
    assert far["similarity"] <= far["naive_similarity"] < near["similarity"]
    assert "Farthest" in run(painting, *SHORT, "--negative").stdout


def test_so_many_lines_are_tried_at_most(painting: str) -> None:
    assert made(painting, "--free", "--tries", 60)["tried"] <= 60
    assert made(painting, "--free")["tried"] <= 400


@pytest.mark.parametrize("command", ["prompt painting.jpg", "embed painting.jpg -o vectors"])
def test_where_no_phrase_stands_in_a_sentence_no_template_is_taken(command: str) -> None:
    done = CliRunner().invoke(main, [*command.split(), "--template", "a painting of {}"])
    assert done.exit_code == 2
    assert re.search("No such option:? '?--template", done.stderr)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["none.png"], "none.png: no such file"),
        (["painting.png", "--list", "nothing"], "no phrase list is called"),
        (["painting.png", "--with", "boats " * 90], "shorten"),
        (["painting.png", "--style", "x"], "'sd'"),
    ],
)
@pytest.mark.usefixtures("painting")
def test_what_cannot_be_is_one_line(words: list[str], message: str) -> None:
    done = run(*words)
    assert done.exit_code == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("columns", [30, 60, 80, 120])
def test_rows_fit_into_the_terminal(columns: int) -> None:
    parts = (
        PromptPart("by somebody with quite a long name indeed", "artists_by_name", -0.0),
        PromptPart("on wood", None, 0.25),
    )
    found = PromptLine(
        "", "demo", "fp32", "on wood", 0.5, parts, "x" * 99, 0.1, "y" * 99, 0, 9, negative=False
    )
    first, *rows = "".join(lines.text(found, columns)).splitlines()
    assert first == "on wood"
    for row in rows:
        bare = row.replace("\x1b[1m", "").replace("\x1b[2m", "").replace("\x1b[0m", "")
        assert width_of(bare) < columns


def test_lines_beat_what_is_simpler_on_pictures_that_nobody_saw() -> None:
    """Of 200: the naive line in nine of ten, one phrase always; each part helps; most are true."""
    paintings = [paint(seed, 224) for seed in range(60_000_000, 60_000_200)]
    with Clip("demo", offline=True) as clip:
        found = [clip.prompt(each.image) for each in paintings]
    assert np.mean([each.similarity > each.naive_similarity for each in found]) >= 0.9
    assert np.mean([each.similarity > each.best_phrase_similarity for each in found]) >= 0.99
    assert all(part.adds > 0 for each in found for part in each.parts)
    for name, lost in (("surfaces", 0), ("painting_materials", 0.02)):
        truth = [each.phrases[name] for each in paintings]
        pairs = list(zip(found, truth, strict=True))
        named = np.mean([phrase in {p.phrase for p in each.parts} for each, phrase in pairs])
        gaze = np.mean([phrase in each.naive for each, phrase in pairs])
        assert named >= gaze - lost, name
