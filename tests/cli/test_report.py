"""The command `clip-gaze report`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from PIL import Image

from clip_gaze.cli.commands.report import report
from clip_gaze.cli.progress import NothingWrittenError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    MakePicture = Callable[..., Image.Image]


def test_the_command_makes_a_page_of_a_folder(
    tiny_model: Path, picture: MakePicture, tmp_path: Path
) -> None:
    folder = tmp_path / "studio"
    folder.mkdir()
    for seed in range(3):
        picture(seed=seed).save(folder / f"{seed}.png")
    (folder / "bad.png").write_text("no", encoding="utf-8")
    out = tmp_path / "page.html"
    arguments = [str(folder), "--model", str(tiny_model), "--list", "surfaces", "-o", str(out)]
    done = CliRunner().invoke(report, arguments, standalone_mode=False)
    assert done.exception is None
    assert done.return_value == 1  # one of the pictures is bad
    assert "bad.png" in done.stderr
    assert f"{out}: 3 pictures, 0." in done.stderr.splitlines()[-2]
    assert done.stdout == ""
    assert "<title>studio</title>" in out.read_text(encoding="utf-8")


def test_the_command_makes_no_page_where_all_pictures_are_bad(
    tiny_model: Path, tmp_path: Path
) -> None:
    (tmp_path / "bad.png").write_text("no", encoding="utf-8")
    out = tmp_path / "page.html"
    arguments = [str(tmp_path), "--model", str(tiny_model), "--list", "surfaces", "-o", str(out)]
    done = CliRunner().invoke(report, arguments, standalone_mode=False)
    assert isinstance(done.exception, NothingWrittenError)
    assert not out.exists()


def test_the_page_has_maps_where_they_are_asked_for(
    tiny_model: Path, picture: MakePicture, tmp_path: Path
) -> None:
    picture().save(tmp_path / "a.png")
    out = tmp_path / "page.html"
    arguments = [str(tmp_path), "--model", str(tiny_model), "--list", "surfaces", "--list", "tools"]
    counts = []
    for more in ([], ["--see"]):
        done = CliRunner().invoke(
            report, [*arguments, "-o", str(out), *more], standalone_mode=False
        )
        assert done.exception is None
        counts.append(out.read_text(encoding="utf-8").count('class="map">'))
    assert counts == [0, 2]


def test_a_second_page_of_the_same_pictures_opens_none(
    tiny_model: Path, picture: MakePicture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("jinja2")
    folder = tmp_path / "studio"
    folder.mkdir()
    for seed in range(3):
        picture(seed=seed).save(folder / f"{seed}.png")
    arguments = [str(folder), "--model", str(tiny_model), "--list", "surfaces"]
    pages = [tmp_path / name for name in ("1.html", "2.html", "3.html")]

    def made(page: Path, *more: str) -> int:
        options = [*arguments, "-o", str(page), *more]
        code: int = CliRunner().invoke(report, options, standalone_mode=False).return_value
        return code

    assert made(pages[0]) == 0
    monkeypatch.setattr(Image.Image, "thumbnail", None)  # none is made small
    assert made(pages[1]) == 0
    assert pages[0].read_bytes() == pages[1].read_bytes()
    assert not made(pages[2], "--no-store")
    assert not pages[2].exists()
