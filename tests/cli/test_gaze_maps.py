"""Heat maps of what a result says first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from PIL import Image

import clip_gaze
from clip_gaze.cli.main import main
from clip_gaze.texts.questions import of_first

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    MakePicture = Callable[..., Image.Image]

LISTS = {"mine": ["a calm sea", "a red boat"], "surfaces": clip_gaze.SURFACES, "one": ["alone"]}


def test_the_first_phrase_of_each_list_has_a_map_within_that_list(
    tiny_model: Path, picture: MakePicture, tmp_path: Path
) -> None:
    picture().save(tmp_path / "a.png")
    with clip_gaze.Clip(tiny_model) as clip:
        (result,) = clip.gaze_many([tmp_path / "a.png"], LISTS, 1)
        first = {name: scores[0].phrase for name, scores in result.lists.items()}
        found = clip.heat_maps(tmp_path / "a.png", of_first(first, LISTS), runs=20)
        alone = clip.see(tmp_path / "a.png", found[0].phrase, LISTS["mine"], runs=20)
    assert [heat.list for heat in found] == ["mine", "surfaces"]  # "alone" has no rival
    for heat in found:
        (first,) = result.lists[str(heat.list)]
        assert heat.phrase == first.phrase
        assert heat.probability == pytest.approx(first.probability, abs=1e-6)
    assert found[0].log_odds == alone.log_odds


def test_gaze_draws_maps_into_a_folder(
    tiny_model: Path, picture: MakePicture, tmp_path: Path
) -> None:
    for name in ("a/sea.png", "b/sea.png", "b/bad.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        picture().save(tmp_path / name)
    (tmp_path / "b/bad.png").write_text("no", encoding="utf-8")
    folder = tmp_path / "maps" / "new"
    asked = [tmp_path / "a", tmp_path / "b", "--list", "surfaces", "--list", "tools"]
    words = ["gaze", *asked, "--see", folder, "--model", tiny_model]
    done = CliRunner().invoke(main, [*map(str, words)])
    assert done.exit_code == 1
    assert "bad.png" in done.stderr
    assert sorted(path.name for path in folder.iterdir()) == ["sea_map-2.png", "sea_map.png"]
    with Image.open(folder / "sea_map.png") as image:
        assert image.width > 3 * 190  # the picture and two maps


def test_a_run_that_goes_on_names_maps_as_it_would_have_in_one_go(
    tiny_model: Path, picture: MakePicture, tmp_path: Path
) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        picture().save(tmp_path / folder / "sea.png")
    table, folder = tmp_path / "table.jsonl", tmp_path / "maps"
    words = ["gaze", tmp_path / "a", tmp_path / "b", "--list", "tools", "--see", folder, "--format",
             "jsonl", "-o", table, "--model", tiny_model]  # fmt: skip
    CliRunner().invoke(main, [*map(str, words)])
    lines = table.read_text(encoding="utf-8").splitlines(keepends=True)
    table.write_text(lines[0], encoding="utf-8", newline="")
    (folder / "sea_map-2.png").unlink()
    before = (folder / "sea_map.png").stat().st_mtime_ns
    done = CliRunner().invoke(main, [*map(str, words), "--resume"])
    assert done.exit_code == 0, done.stderr
    assert (folder / "sea_map-2.png").exists()
    assert (folder / "sea_map.png").stat().st_mtime_ns == before


def test_a_picture_that_is_gone_by_then_is_a_bad_one(
    tiny_model: Path, picture: MakePicture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object, **__: object) -> None:
        raise clip_gaze.PictureError("a.png: no such file")

    for name in ("a.png", "b.png"):
        picture().save(tmp_path / name)
    monkeypatch.setattr(clip_gaze.Clip, "heat_maps", gone)
    words = ["gaze", tmp_path / "a.png", "--list", "tools", "--see", tmp_path / "maps", "--model",
             tiny_model]  # fmt: skip
    done = CliRunner().invoke(main, [*map(str, words)])
    assert done.exit_code == 2
    assert "a.png: no such file" in done.stderr


def test_a_place_where_no_folder_can_be_is_one_line(
    tiny_model: Path, picture: MakePicture, tmp_path: Path
) -> None:
    picture().save(tmp_path / "a.png")
    words = [
        "gaze",
        tmp_path / "a.png",
        "--see",
        tmp_path / "a.png" / "maps",
        "--model",
        tiny_model,
    ]
    done = CliRunner().invoke(main, [*map(str, words)])
    assert done.exit_code == 2
    assert "no folder can be made here" in done.stderr.splitlines()[-1]
