"""The command `clip-gaze see`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from PIL import Image

from clip_gaze.cli.main import main

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result

    Run = Callable[..., Result]


@pytest.fixture
def see(tiny_model: Path, picture: Callable[..., Image.Image], tmp_path: Path) -> Run:
    """Return a function that runs the command on a picture."""
    picture(90, 60).save(tmp_path / "picture.png")

    def run(*words: Any, image: str = "picture.png") -> Result:
        arguments = [str(tmp_path / image), *map(str, words), "--model", str(tiny_model)]
        return CliRunner().invoke(main, ["see", "--quality", "quick", *arguments])

    return run


def test_maps_come_as_a_picture(see: Run, tmp_path: Path) -> None:
    done = see("on canvas", "a red boat", "-o", tmp_path / "map.png", "--edge", 300)
    assert done.exit_code == 0, done.stderr
    assert done.stdout == ""
    with Image.open(tmp_path / "map.png") as image:
        assert image.width > 3 * 300


def test_maps_come_as_json(see: Run, tmp_path: Path) -> None:
    done = see("on canvas", "a red boat", "--format", "json")
    assert done.exit_code == 0
    first, second = json.loads(done.stdout)
    assert (first["phrase"], first["list"]) == ("on canvas", "surfaces")
    assert (second["phrase"], second["list"]) == ("a red boat", "genres")
    assert [len(row) for row in first["grid"]] == [16] * 16
    assert first["runs"] == 50
    assert first["box"] == pytest.approx([1 / 6, 0, 5 / 6, 1], abs=0.02)
    into = see("on canvas", "a red boat", "--format", "json", "-o", tmp_path / "maps.json")
    assert into.stdout == ""
    assert (tmp_path / "maps.json").read_text(encoding="utf-8") == done.stdout


def test_a_list_can_be_named_or_be_a_file(see: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("a calm sea\na stormy sea\n", encoding="utf-8")
    (of_list,) = json.loads(see("x", "--list", "tools", "--format", "json").stdout)
    (of_file,) = json.loads(see("x", "--phrases", tmp_path / "mine.txt", "--format", "json").stdout)
    assert of_list["list"] == "tools"
    assert of_file["list"] is None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["on canvas"], "-o map.png"),
        ([], "PHRASE"),
        ([" ", "--format", "json"], "blank"),
        (["x", "--format", "json", "--list", "no_list"], "no phrase list"),
        (["x", "--list", "tools", "--phrases", "mine.txt"], "exclude each other"),
        (["x", "-o", "map.gif"], ".png, .jpg, .webp or .svg"),
        (["x", "-o", "missing/map.png"], "no place for a file"),
    ],
)
def test_an_error_is_one_line(see: Run, words: list[str], message: str) -> None:
    done = see(*words)
    assert done.exit_code == 2
    assert done.stderr.startswith("clip-gaze: error: ")
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_missing_picture_is_one_line_and_leaves_no_file(see: Run, tmp_path: Path) -> None:
    done = see("on canvas", "-o", tmp_path / "map.png", image="missing.png")
    assert done.exit_code == 2
    assert done.stderr.splitlines()[-1].startswith("clip-gaze: error: ")
    assert not (tmp_path / "map.png").exists()
