"""What commands say on stderr of what they wrote and looked at."""

from __future__ import annotations

import os
import re
import shutil
import webbrowser
from itertools import islice
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from clip_gaze import Clip
from clip_gaze.cli.asked import Asked, Streamed
from clip_gaze.cli.main import main
from demo.painter import paint

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from clip_gaze import PictureResult

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
def test_a_table_that_holds_errors_alone_takes_the_place_of_no_other(tmp_path: Path) -> None:
    for path in (tmp_path / "scans").iterdir():
        path.write_text("no", encoding="utf-8")
    lines, _ = said("gaze", "scans", "-o", "a.csv", code=2)
    assert lines[-2] == "clip-gaze: wrote a.csv"
    assert "is not a picture" in (tmp_path / "a.csv").read_text(encoding="utf-8")
    (tmp_path / "a.csv").write_text("of an earlier run", encoding="utf-8")
    lines, _ = said("gaze", "scans", "-o", "a.csv", code=2)
    assert not [line for line in lines if "wrote" in line]
    assert (tmp_path / "a.csv").read_text(encoding="utf-8") == "of an earlier run"


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
def test_a_run_that_goes_on_tries_again_what_could_not_be_read(tmp_path: Path) -> None:
    command = ("gaze", "scans", "-l", "tools", "--top", "1", "-o", "a.csv", "--resume")
    good = (tmp_path / "scans" / "1.png").read_bytes()
    (tmp_path / "scans" / "1.png").write_text("no", encoding="utf-8")
    said(*command, code=1)
    lines, _ = said(*command, code=1)  # which it still cannot be
    assert len([line for line in lines if "is not a picture" in line]) == 1
    (tmp_path / "scans" / "1.png").write_bytes(good)
    said(*command)
    assert ",error," not in (tmp_path / "a.csv").read_text(encoding="utf-8")
    assert said(*command)[0][-1].endswith("nothing was left to do")


@pytest.mark.usefixtures("scans")
@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_a_run_that_is_stopped_says_how_to_go_on(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Clip.gaze_many

    def stopped(*args: Any, **options: Any) -> Iterator[PictureResult]:
        yield from islice(found(*args, **options), 2)
        raise KeyboardInterrupt

    command = ("gaze", "scans", "-l", "tools", "-o", f"a.{kind}")
    monkeypatch.setattr(Clip, "gaze_many", stopped)
    lines, _ = said(*command, code=2)
    why = "clip-gaze: error: stopped after 2 pictures; the same command with --resume goes on"
    assert lines == [why]
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    said(*command, "--resume")
    before = (tmp_path / f"a.{kind}").read_bytes()
    monkeypatch.setattr(Clip, "gaze_many", stopped)
    assert said(*command, code=2)[0][-1] == "clip-gaze: error: stopped"
    assert (tmp_path / f"a.{kind}").read_bytes() == before


@pytest.mark.usefixtures("scans")
@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("gaze scans --from gone.txt", "gone.txt: no such file"),
        ("gaze scans --from names.csv --column title", "has no column 'title'"),
        ("gaze scans --from latin.csv", "is not CSV in UTF-8"),
        ("gaze gone", "gone: no such file"),
    ],
)
def test_what_is_wrong_with_names_is_said_before_any_picture_is_looked_at(
    command: str, message: str, tmp_path: Path
) -> None:
    for number in range(60):  # more than are taken at once
        shutil.copy(tmp_path / "scans" / "0.png", tmp_path / "scans" / f"copy-{number}.png")
    (tmp_path / "names.csv").write_text("image\nscans/0.png\n", encoding="utf-8")
    (tmp_path / "latin.csv").write_bytes(b"image\ncaf\xe9.png\n")
    (tmp_path / "a.csv").write_text("of an earlier run", encoding="utf-8")
    lines, _ = said(*command.split(), "-o", "a.csv", code=2)
    assert len(lines) == 1
    assert message in lines[0]
    assert (tmp_path / "a.csv").read_text(encoding="utf-8") == "of an earlier run"


@pytest.mark.usefixtures("scans")
@pytest.mark.parametrize("what", ["gaze", "report", "embed -o new", "gaze -o new/"])
@pytest.mark.parametrize("names", ["--from empty.txt", "--from head.csv", "vectors", "-"])
def test_where_no_picture_is_named_a_line_says_so(what: str, names: str, tmp_path: Path) -> None:
    (tmp_path / "empty.txt").touch()
    (tmp_path / "head.csv").write_text("image\n", encoding="utf-8")
    said("embed", "scans", "-o", "vectors")
    for part in (tmp_path / "vectors").glob("part-*"):
        part.unlink()
    (line,), _ = said(*what.split(), *names.split(), code=2)
    assert re.search(r"error: .*(names no picture|no picture is named|without pictures)", line)


@pytest.mark.usefixtures("scans")
def test_a_folder_without_pictures_is_named_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "empty").mkdir()
    pictures = Streamed(Asked(["scans", "empty"], (), (), (), recursive=True, exclude=()))
    assert len(list(pictures)) == pictures.asked.count() == 3
    assert caplog.text.count("no picture in this folder") == 1


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
