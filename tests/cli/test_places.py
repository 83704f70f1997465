"""What a command reads is never what it writes over."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from clip_gaze.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from PIL import Image

    MakePicture = Callable[..., Image.Image]

READ = "is read by this command"
NAME = "is the name of a picture"


@pytest.fixture
def folder(tmp_path: Path, picture: MakePicture, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the working folder: two pictures, one with a map's name, phrases, lists of names."""
    picture(seed=1).save(tmp_path / "mine.png")
    picture(seed=2).save(tmp_path / "two.png")
    picture(seed=3).save(tmp_path / "two_map.png")
    picture(seed=4).save(tmp_path / "a#1%20.png")
    (tmp_path / "words.txt").write_text("a sea\na boat\n", encoding="utf-8")
    (tmp_path / "names.txt").write_text("mine.png\n", encoding="utf-8")
    (tmp_path / "names.html").write_text("mine.png\n", encoding="utf-8")
    (tmp_path / "names.csv").write_text("image\nmine.png\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("gaze two.png -o mine.png", NAME),
        ("gaze two.png -o new.jpg --format json", NAME),
        ("gaze mine.png --phrases words.txt -o words.txt", READ),
        ("gaze --from names.txt -o names.txt", READ),
        ("gaze --from names.csv -o names.csv", READ),
        ("gaze . --see .", READ),
        ("see mine.png boat -o mine.png", READ),
        ("see mine.png boat --phrases words.txt -o words.txt --format json", READ),
        ("compare two.png mine.png -o mine.png", READ),
        ("compare two.png mine.png --phrases words.txt -o words.txt", READ),
        ("compare . -o mine.png", READ),
        ("prompt mine.png -o mine.png", NAME),
        ("prompt mine.png --phrases words.txt -o words.txt", READ),
        ("report two.png -o mine.png", "name a .html file"),
        ("report two.png -o page.pdf", "name a .html file"),
        ("report two.png -o -", "name a .html file"),
        ("find sea . -o mine.png", READ),
        ("find --like mine.png . -o ./mine.png", READ),
        ("find --duplicates . -o linked.png", READ),
        ("compare two.png mine.png --format json -o mine.tif", NAME),
        ("see two.png boat --format json -o mine.tif", NAME),
        ("find sea . --format json -o mine.tif", NAME),
        ("see FILE/mine.png boat -o mine.png", READ),
        ("see FILE/a#1%20.png boat -o a#1%20.png", READ),
        ("report --from names.html -o names.html", READ),
    ],
)
def test_no_file_that_is_read_is_written_over(
    words: str, why: str, folder: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.link(folder / "mine.png", folder / "linked.png")
    before = {path: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(SystemExit) as ended:
        main([*words.replace("FILE", f"file://{folder}").split(), "--model", str(tiny_model)])
    assert ended.value.code == 2
    said = capsys.readouterr().err.splitlines()
    assert len([line for line in said if "error" in line]) == 1
    assert why in said[-1]
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize(
    ("words", "drawn"),
    [
        ("find sea . -o {}", "near.png"),
        ("find sea . -o {}", "near.webp"),
        ("compare . -o {}", "chart.jpg"),
        ("gaze . --see .", "mine_map.png"),
    ],
)
def test_a_drawing_of_an_earlier_run_is_made_anew_and_not_looked_at(
    words: str, drawn: str, folder: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("two_map.png", "a#1%20.png"):
        (folder / name).unlink()
    sizes = []
    for more in ("", "not looked at, and made anew"):
        with pytest.raises(SystemExit) as ended:
            main([*words.format(drawn).split(), "--model", str(tiny_model)])
        assert ended.value.code == 0
        assert more in capsys.readouterr().err
        sizes.append((folder / drawn).stat().st_size)
        assert len(list(folder.glob("*_map*"))) == (2 if "--see" in words else 0)
    assert sizes[0] == sizes[1]


@pytest.mark.parametrize("words", ["find sea", "find --duplicates"])
def test_nothing_that_was_found_is_written_over(
    words: str, folder: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "copy.png").write_bytes((folder / "mine.png").read_bytes())
    for more, code in (([".", "--no-recursive"], 0), (["-o", "mine.png"], 2)):
        with pytest.raises(SystemExit) as ended:
            main([*words.split(), *more, "--model", str(tiny_model)])
        assert ended.value.code == code
    assert READ in capsys.readouterr().err
    assert (folder / "copy.png").read_bytes() == (folder / "mine.png").read_bytes()


@pytest.mark.parametrize(
    "words",
    [
        "gaze two.png --phrases words.txt",
        "gaze two.png mine.png --phrases words.txt --format csv",
        "compare two.png mine.png --phrases words.txt --format json",
        "prompt mine.png --phrases words.txt",
        "find sea .",
        "see mine.png boat --phrases words.txt --format json",
    ],
)
def test_a_dash_is_standard_output(
    words: str, folder: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written = []
    for more in ([], ["-o", "-"]):
        with pytest.raises(SystemExit) as ended:
            main([*words.split(), "--model", str(tiny_model), *more])
        assert ended.value.code == 0
        written.append(capsys.readouterr().out)
    assert written[0]
    assert written[0] == written[1]
    assert not (folder / "-").exists()
