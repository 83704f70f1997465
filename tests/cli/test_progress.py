"""What commands say on stderr of what they wrote and looked at."""

from __future__ import annotations

import os
import re
import webbrowser
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from clip_gaze.cli.main import main
from demo.painter import paint

if TYPE_CHECKING:
    from pathlib import Path

SUMMARY = re.compile(r"clip-gaze: looked at (\d+ pictures) in [\d.]+ s(?:; (\d+ failed))?")


@pytest.fixture
def scans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the working folder, which has a folder of three pictures."""
    (tmp_path / "scans").mkdir()
    for seed in range(3):
        paint(seed, 96).image.save(tmp_path / "scans" / f"{seed}.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(webbrowser, "open", lambda _: None)


def said(*words: str, code: int = 0) -> tuple[list[str], str]:
    """Return the lines that a command writes on stderr, but for the model's note; and stdout."""
    options = () if words[0] == "demo" else ("--model", "demo")
    done: Any = CliRunner().invoke(main, [*words, *options])
    assert done.exit_code == code, done.stderr
    return [line for line in done.stderr.splitlines() if "demo model" not in line], done.stdout


@pytest.mark.usefixtures("scans")
@pytest.mark.parametrize(
    ("command", "file"),
    [
        *((f"gaze scans/0.png -l tools -o a.{end}", f"a.{end}")
          for end in ("txt", "csv", "parquet")),
        ("demo -o a.csv", "a.csv"),
        ("compare scans/0.png scans/1.png -l tools -o a.csv", "a.csv"),
        ("compare scans/0.png scans/1.png -l tools -o a.svg", "a.svg"),
        ("see scans/0.png boats --quality quick -o a.png", "a.png"),
        ("see scans/0.png boats --quality quick -o a.json", "a.json"),
        ("prompt scans/0.png -l tools -o a.txt", "a.txt"),
        *((f"find boats scans -o a.{end}", f"a.{end}") for end in ("csv", "html", "png")),
    ],
)  # fmt: skip
def test_a_written_file_is_named_and_whether_it_replaced_one(command: str, file: str) -> None:
    (first, *more), stdout = said(*command.split())
    assert first == f"clip-gaze: wrote {file}"
    (again, *_), _ = said(*command.split())
    assert again == f"clip-gaze: wrote {file} (replaced)"
    assert all(map(SUMMARY.fullmatch, more))
    assert file not in stdout


@pytest.mark.usefixtures("scans")
@pytest.mark.parametrize(
    "command",
    [
        "gaze scans/0.png -l tools",
        f"gaze scans/0.png -l tools -o {os.devnull}",
        "compare scans/0.png scans/1.png -l tools",
        "see scans/0.png boats --quality quick --format json",
        "prompt scans/0.png -l tools",
    ],
)
def test_nothing_is_said_of_standard_output_and_of_one_picture(command: str) -> None:
    assert said(*command.split())[0] == []


@pytest.mark.usefixtures("scans")
def test_a_contact_sheet_that_is_opened_is_named(tmp_path: Path) -> None:
    (line, _), _ = said("find", "boats", "scans", "--open")
    assert re.fullmatch(r"clip-gaze: wrote .*found\.html( \(replaced\))?", line)
    (line, _), _ = said("find", "boats", "scans", "-o", "a.html", "--open")
    assert line == "clip-gaze: wrote a.html"
    assert (tmp_path / "a.html").is_file()


@pytest.mark.usefixtures("scans")
@pytest.mark.parametrize(
    "command",
    [
        "gaze scans -l tools", "gaze scans -l tools -o a.csv", "report scans -l tools",
        "find boats scans", "find --duplicates scans", "embed scans -o vectors",
        "gaze scans -l tools -o answers/",
    ],
)  # fmt: skip
def test_a_run_over_a_folder_ends_with_a_summary(command: str, tmp_path: Path) -> None:
    summary = SUMMARY.fullmatch(said(*command.split())[0][-1])
    assert summary is not None
    assert summary.groups() == ("3 pictures", None)
    (tmp_path / "scans" / "bad.png").write_text("no", encoding="utf-8")
    for place in ("vectors", "answers/"):
        command = command.replace(place, f"more_{place}")
    summary = SUMMARY.fullmatch(said(*command.split(), code=1)[0][-1])
    assert summary is not None
    assert summary.groups() == ("4 pictures", "1 failed")


@pytest.mark.usefixtures("scans")
@pytest.mark.parametrize("command", ["gaze scans -o a.json", "report scans", "find boats scans"])
def test_where_all_failed_the_summary_says_so_and_nothing_was_written(
    command: str, tmp_path: Path
) -> None:
    for path in (tmp_path / "scans").iterdir():
        path.write_text("no", encoding="utf-8")
    lines, _ = said(*command.split(), code=2)
    summary = SUMMARY.fullmatch(lines[-1])
    assert summary is not None
    assert summary.groups() == ("3 pictures", "3 failed")
    assert not [line for line in lines if "wrote" in line]


@pytest.mark.usefixtures("scans")
def test_a_table_that_holds_errors_alone_was_written_all_the_same(tmp_path: Path) -> None:
    for path in (tmp_path / "scans").iterdir():
        path.write_text("no", encoding="utf-8")
    (tmp_path / "a.csv").write_text("of an earlier run", encoding="utf-8")
    lines, _ = said("gaze", "scans", "-o", "a.csv", code=2)
    assert lines[-2] == "clip-gaze: wrote a.csv (replaced)"
    assert "is not a picture" in (tmp_path / "a.csv").read_text(encoding="utf-8")


@pytest.mark.usefixtures("scans")
def test_a_run_that_goes_on_says_so(tmp_path: Path) -> None:
    command = ("gaze", "scans", "-l", "tools", "-o", "a.csv", "--resume")
    assert said(*command)[0][0] == "clip-gaze: wrote a.csv"
    done = "clip-gaze: a.csv: has all of these pictures; nothing was left to do"
    assert said(*command)[0] == [done]
    for seed in (3, 4):
        paint(seed, 96).image.save(tmp_path / "scans" / f"{seed}.png")
    wrote, summary = said(*command)[0]
    assert wrote == "clip-gaze: wrote a.csv (continued)"
    assert summary.startswith("clip-gaze: looked at 2 pictures in ")


@pytest.mark.usefixtures("scans")
def test_a_dataset_is_named_with_what_it_holds(tmp_path: Path) -> None:
    command = ("embed", "scans", "-o", "vectors")
    assert said(*command)[0][0] == "clip-gaze: wrote vectors: 3 pictures"
    done = "clip-gaze: vectors: 3 pictures, 3 of them before; nothing was left to do"
    assert said(*command, "--resume")[0] == [done]
    paint(3, 96).image.save(tmp_path / "scans" / "3.png")
    lines, _ = said(*command, "--resume")
    assert lines[0].startswith("clip-gaze: wrote vectors")


@pytest.mark.usefixtures("scans")
def test_a_report_says_what_it_holds() -> None:
    for change in ("", r" \(replaced\)"):
        line, _ = said("report", "scans", "-l", "tools")[0]
        assert re.fullmatch(rf"clip-gaze: wrote report\.html{change}: 3 pictures, \d\.\d MB", line)


@pytest.mark.usefixtures("scans")
def test_maps_that_gaze_draws_are_counted() -> None:
    command = ("gaze", "scans/0.png", "-l", "tools", "--see", "maps")
    assert said(*command)[0] == ["clip-gaze: wrote maps: maps of 1 picture"]
    assert said(*command)[0] == ["clip-gaze: wrote maps (1 replaced): maps of 1 picture"]


@pytest.mark.usefixtures("scans")
def test_a_bundle_is_named_with_what_it_holds() -> None:
    (line,), stdout = said("bundle", "made", "-l", "tools")
    assert re.fullmatch(r"clip-gaze: wrote made: demo \(fp32\), [\d.]+ MB, tools \(\d+\)", line)
    assert stdout == ""
