"""The command line, in a process of its own where streams and exit codes matter."""

from __future__ import annotations

import csv
import gc
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
import pytest
from click.testing import CliRunner

from clip_gaze.cli import commands, main
from clip_gaze.pictures import memory
from clip_gaze.system.paths import shipped
from clip_gaze.texts import phrases
from clip_gaze.wording import rounded

if TYPE_CHECKING:
    from collections.abc import Callable

    from PIL import Image

    MakePicture = Callable[..., Image.Image]


def run(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "clip_gaze", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, encoding="utf-8", check=False, cwd=cwd
    )


def refused(*arguments: object, code: int = 2, cwd: Path | None = None) -> str:
    """Run a command that must fail with one line; return the line."""
    done = run(*arguments, cwd=cwd)
    assert done.returncode == code, done.stdout + done.stderr
    lines = [line for line in done.stderr.splitlines() if "error:" in line]
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("clip-gaze: error: ")
    assert "Traceback" not in done.stderr
    return lines[0]


@pytest.fixture
def photo(picture: MakePicture, tmp_path: Path) -> Path:
    path = tmp_path / "phöto.png"
    picture(90, 60).save(path)
    return path


def test_demo_answers_offline_and_says_what_made_it() -> None:
    done = run("demo")
    assert done.returncode == 0, done.stderr
    assert "movements" in done.stdout
    assert "demo model" in done.stderr
    assert "demo model" not in done.stdout


def test_json_holds_probabilities_that_sum_to_one_in_each_list(photo: Path) -> None:
    lists = ("--list", "movements", "--list", "surfaces")
    done = run("gaze", photo, "--model", "demo", *lists, "--top", 0, "--format", "json")
    assert done.returncode == 0, done.stderr
    (result,) = json.loads(done.stdout)
    assert (result["image"], result["model"], result["variant"]) == (str(photo), "demo", "fp32")
    assert {name: len(scores) for name, scores in result["lists"].items()} == {
        "movements": 193,
        "surfaces": 19,
    }
    for scores in result["lists"].values():
        values = [score["probability"] for score in scores]
        assert sum(values) == pytest.approx(1, abs=1e-9)
        assert values == sorted(values, reverse=True)


def test_formats_agree(photo: Path) -> None:
    start = ("gaze", photo, photo, "--model", "demo", "--list", "tools", "--format")
    array = json.loads(run(*start, "json").stdout)
    lines = [json.loads(line) for line in run(*start, "jsonl").stdout.splitlines()]
    rows = list(csv.DictReader(io.StringIO(run(*start, "csv").stdout)))
    assert lines == array
    assert [(row["phrase"], float(row["probability"])) for row in rows] == [
        (score["phrase"], score["probability"])
        for result in array
        for score in result["lists"]["tools"]
    ]


def test_own_phrases_and_files_are_lists_of_their_own(photo: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("# mine\n\non silk\non silk\non ice\n", encoding="utf-8")
    own = ("--phrases", tmp_path / "mine.txt", "--phrase", "a dog", "--phrase", "a cat")
    done = run("gaze", photo, "--model", "demo", *own, "--format", "json")
    assert done.returncode == 0
    lists = json.loads(done.stdout)[0]["lists"]
    assert {name: sorted(score["phrase"] for score in found) for name, found in lists.items()} == {
        "mine": ["on ice", "on silk"],
        "phrases": ["a cat", "a dog"],
    }
    assert "duplicate phrases ignored: 1" in done.stderr


def test_text_is_plain_when_piped(photo: Path) -> None:
    done = run("gaze", photo, "--model", "demo", "--list", "surfaces", "--top", 3)
    assert "\x1b" not in done.stdout
    assert "█" not in done.stdout
    assert len([line for line in done.stdout.splitlines() if line.endswith("%")]) == 3


def test_an_output_file_is_written_whole_and_stdout_stays_empty(
    photo: Path, tmp_path: Path
) -> None:
    target = tmp_path / "out.json"
    done = run(
        "gaze", photo, "--model", "demo", "--list", "tools", "--format", "json", "-o", target
    )
    assert done.returncode == 0
    assert done.stdout == ""
    assert len(json.loads(target.read_text(encoding="utf-8"))) == 1
    assert not list(tmp_path.glob("*.part"))


def test_a_failed_run_leaves_an_old_output_file_alone(tmp_path: Path) -> None:
    target = tmp_path / "out.json"
    target.write_text("old", encoding="utf-8")
    refused("gaze", tmp_path / "gone.png", "--model", "demo", "-o", target)
    assert target.read_text(encoding="utf-8") == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["out.json"]


def test_an_output_file_in_no_folder_is_refused(photo: Path, tmp_path: Path) -> None:
    out = tmp_path / "gone" / "out.txt"
    line = refused("gaze", photo, "--model", "demo", "-o", out)
    assert line == (
        f"clip-gaze: error: {out}: is no place for a file; name one in a folder that is there"
    )


def test_one_bad_picture_among_good_ones_exits_1(photo: Path, tmp_path: Path) -> None:
    done = run("gaze", photo, tmp_path / "gone.png", photo, "--model", "demo", "--format", "jsonl")
    assert done.returncode == 1
    assert [json.loads(line)["status"] for line in done.stdout.splitlines()] == [
        "ok",
        "error",
        "ok",
    ]
    assert "gone.png: no such file" in done.stderr


def test_no_such_picture(tmp_path: Path) -> None:
    assert "gone.png: no such file" in refused("gaze", tmp_path / "gone.png", "--model", "demo")


def test_not_a_picture(tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("not a picture", encoding="utf-8")
    line = refused("gaze", tmp_path / "text.jpg", "--model", "demo")
    assert "text.jpg: is not a picture" in line


def test_a_folder_without_pictures(tmp_path: Path) -> None:
    assert "no picture in this folder" in refused("gaze", tmp_path, "--model", "demo")


def test_an_unknown_list_names_the_nearest(photo: Path) -> None:
    assert "did you mean 'movements'" in refused("gaze", photo, "--list", "movement")


def test_an_unknown_model_names_those_there_are(photo: Path) -> None:
    line = refused("gaze", photo, "--model", "demmo")
    assert "did you mean 'demo'" in line


def test_an_unknown_variant_names_those_there_are(photo: Path) -> None:
    assert "fp32" in refused("gaze", photo, "--model", "demo", "--variant", "q99")


def test_a_folder_that_is_no_model(photo: Path, tmp_path: Path) -> None:
    assert "manifest.json" in refused("gaze", photo, "--model", tmp_path)


def test_a_model_folder_with_a_missing_file(photo: Path, tiny_model: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    (folder / "tokenizer.json").unlink()
    line = refused("gaze", photo, "--model", folder)
    assert "tokenizer.json" in line
    assert "missing" in line


def test_a_model_folder_with_an_altered_file(photo: Path, tiny_model: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    tower = folder / "vision_model.onnx"
    data = bytearray(tower.read_bytes())
    data[-1] ^= 1
    tower.write_bytes(data)
    wanted = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    line = refused("gaze", photo, "--model", folder)
    assert "vision_model.onnx" in line
    assert wanted["variants"]["fp32"]["vision"]["sha256"] in line


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"\n# nothing\n", "no phrase"), (b"caf\xe9\n", "not UTF-8"), (None, "no such phrase list")],
)
def test_a_bad_phrase_file(photo: Path, tmp_path: Path, content: bytes | None, reason: str) -> None:
    path = tmp_path / "mine.txt"
    if content is not None:
        path.write_bytes(content)
    assert reason in refused("gaze", photo, "--phrases", path)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--phrases", "phrases.txt", "--phrase", "a", "--phrase", "b"], "are called 'phrases'"),
        (["--phrases", "phrases.txt", "--phrases", "deep/phrases.txt"], "are called 'phrases'"),
        (["--list", "tools", "--phrases", "tools.txt"], "are called 'tools'"),
        (["--phrase", "a boat"], "'a boat' cannot be weighed alone; add another --phrase"),
        (["--phrase", "a boat", "--phrase", " a boat "], "'a boat' cannot be weighed alone"),
        (["--phrases", "one.txt"], "one.txt: holds one phrase, which cannot be weighed alone"),
    ],
)
def test_lists_that_would_vanish_or_win_alone(
    photo: Path, tmp_path: Path, options: list[str], said: str
) -> None:
    (tmp_path / "deep").mkdir()
    for name in ("phrases.txt", "deep/phrases.txt", "tools.txt"):
        (tmp_path / name).write_text("on silk\non ice\n", encoding="utf-8")
    (tmp_path / "one.txt").write_text("on silk\n", encoding="utf-8")
    assert said in refused("gaze", photo, "--model", "demo", *options, cwd=tmp_path)


def test_the_name_of_a_file_chooses_its_format(photo: Path, tmp_path: Path) -> None:
    ask = ("gaze", photo, "--model", "demo", "--list", "tools")
    for kind, name in (("json", "a.json"), ("jsonl", "a.ndjson"), ("csv", "a.csv")):
        assert run(*ask, "-o", tmp_path / name).returncode == 0
        said = run(*ask, "--format", kind).stdout
        assert (tmp_path / name).read_text(encoding="utf-8-sig") == said
    for name, more in (("a.dat", ()), ("b.csv", ("--format", "text"))):
        assert run(*ask, "-o", tmp_path / name, *more).returncode == 0
        assert (tmp_path / name).read_text(encoding="utf-8") == run(*ask).stdout
    assert run("demo", "-o", tmp_path / "demo.json").returncode == 0
    assert json.loads((tmp_path / "demo.json").read_text(encoding="utf-8"))


def test_a_comparison_goes_where_its_name_says(photo: Path, tmp_path: Path) -> None:
    ask = ("compare", photo, photo, "--model", "demo", "--list", "tools")
    for kind in ("json", "csv", "text"):
        target = tmp_path / f"table.{kind.replace('text', 'txt')}"
        done = run(*ask, "-o", target)
        assert (done.returncode, done.stdout) == (0, ""), done.stderr
        assert target.read_text(encoding="utf-8-sig") == run(*ask, "--format", kind).stdout
    assert ".svg" in refused(*ask, "-o", tmp_path / "table.dat")
    done = run(*ask, "-o", tmp_path / "table.dat", "--format", "json")
    assert json.loads((tmp_path / "table.dat").read_text(encoding="utf-8"))
    done = run(*ask, "-o", tmp_path / "chart.svg", "--format", "json")
    assert json.loads(done.stdout)
    assert "<svg" in (tmp_path / "chart.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize("arguments", [["gaze"], ["gaze", "--top", "x"], ["nonsense"], ["--nope"]])
def test_wrong_usage_is_one_line(arguments: list[str]) -> None:
    refused(*arguments)


def test_a_closed_pipe_is_no_error() -> None:
    command = [sys.executable, "-m", "clip_gaze", "lists", "artists_by_name"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""


def test_lists_names_every_list_and_shows_one() -> None:
    assert len(run("lists").stdout.splitlines()) == 13
    assert run("lists", "surfaces").stdout.splitlines()[1] == "on canvas"


def test_bias_shows_what_a_list_favours_and_agrees_with_its_json() -> None:
    shown = run("lists", "bias", "surfaces", "--model", "demo")
    assert shown.returncode == 0, shown.stderr
    assert "neutral pictures" in shown.stdout
    done = run("lists", "bias", "surfaces", "--model", "demo", "--format", "json", "--top", 0)
    found = json.loads(done.stdout)
    values = [each["probability"] for each in found["phrases"]]
    assert values == sorted(values, reverse=True)
    assert sum(values) == pytest.approx(1)
    logits = np.array([each["logit"] for each in found["phrases"]])
    assert np.diff(logits) == pytest.approx(np.diff(np.log(values)), abs=1e-4)
    assert (found["list"], found["total"], found["pictures"]) == ("surfaces", len(values), 48)
    assert found["phrases"][0]["phrase"] in shown.stdout.splitlines()[3]
    assert "'surfaces'" in refused("lists", "bias", "surfacse", "--model", "demo")


def test_corrected_results_show_both_columns(photo: Path) -> None:
    command = ("gaze", photo, "--model", "demo", "--list", "surfaces", "--top", 0)
    plain = json.loads(run(*command, "--format", "json").stdout)
    both = json.loads(run(*command, "--format", "json", "--corrected").stdout)
    before = {s["phrase"]: s["probability"] for s in plain[0]["lists"]["surfaces"]}
    after = {s["phrase"]: s for s in both[0]["lists"]["surfaces"]}
    assert {phrase: score["plain"] for phrase, score in after.items()} == before
    assert sum(score["probability"] for score in after.values()) == pytest.approx(1)
    text = run(*command, "--corrected").stdout
    assert "corrected, and plain" in text
    best = both[0]["lists"]["surfaces"][0]
    wanted = [rounded(100 * best[each]) for each in ("probability", "plain")]
    assert text.splitlines()[3].split()[-2:] == wanted


def test_a_template_needs_a_place_for_the_phrase(photo: Path) -> None:
    line = refused("gaze", photo, "--model", "demo", "--template", "no place")
    assert "once, where the phrase" in line


def test_version_and_help() -> None:
    from importlib.metadata import version

    assert run("--version").stdout.strip() == f"clip-gaze {version('clip-gaze')}"
    assert "gaze" in run("--help").stdout


def on_terminal(columns: int, *words: object, cwd: Path | None = None) -> tuple[int, list[str]]:
    """Run a command on a terminal of so many columns; return its exit code and lines."""
    import fcntl
    import pty
    import struct
    import termios

    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    command = [sys.executable, "-m", "clip_gaze", *map(str, words)]
    environment = {k: v for k, v in os.environ.items() if k != "COLUMNS"}
    process = subprocess.Popen(command, stdout=follower, stderr=follower, cwd=cwd, env=environment)
    os.close(follower)
    output = b""
    while True:
        try:
            piece = os.read(leader, 65536)
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        output += piece
    os.close(leader)
    shown = re.sub(r"\x1b\[\d*m", "", output.decode("utf-8"))
    return process.wait(), shown.replace("\r\n", "\n").splitlines()


@pytest.mark.skipif(sys.platform == "win32", reason="a pseudo-terminal needs POSIX")
@pytest.mark.parametrize("columns", [40, 80, 200])
def test_bars_fit_the_terminal(columns: int) -> None:
    folder = shipped("models") / "demo"  # of its picture the model is sure: one bar is full
    code, lines = on_terminal(columns, "gaze", "demo.jpg", "--model", "demo", cwd=folder)
    assert code == 0
    assert any("█" in line for line in lines)
    assert max(len(line) for line in lines if "%" in line) < columns


@pytest.mark.skipif(sys.platform == "win32", reason="a pseudo-terminal needs POSIX")
def test_results_on_the_terminal_stand_in_lines_of_their_own(studio: Path) -> None:
    names = [studio / name for name in ("a.png", "b.jpg", "c.webp")]
    code, lines = on_terminal(200, "gaze", *names, "--model", "demo", "--list", "tools")
    assert code == 0
    assert [line for line in lines if "demo, fp32" in line] == [f"{n}  demo, fp32" for n in names]


@pytest.mark.skipif(sys.platform == "win32", reason="a pseudo-terminal needs POSIX")
@pytest.mark.parametrize("columns", [60, 80])
def test_the_names_of_lists_fit_the_terminal(columns: int) -> None:
    code, lines = on_terminal(columns, "lists")
    assert code == 0
    assert len(lines) == len(phrases.names())
    assert max(map(len, lines)) < columns


@pytest.fixture
def studio(picture: MakePicture, tmp_path: Path) -> Path:
    """Return a folder with six pictures, two of them bad, in two folders."""
    folder = tmp_path / "studio"
    (folder / "deep").mkdir(parents=True)
    for seed, name in enumerate(("a.png", "b.jpg", "c.webp", "deep/d.tiff")):
        picture(50 + seed, 40, seed=seed).save(folder / name)
    (folder / "e.png").write_bytes((folder / "a.png").read_bytes()[:200])
    (folder / "f.gif").write_text("no picture", encoding="utf-8")
    return folder


def test_a_folder_gives_a_row_for_each_picture_and_bad_ones_are_named(studio: Path) -> None:
    done = run("gaze", studio, "--model", "demo", "--list", "tools", "--format", "jsonl")
    assert done.returncode == 1
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [Path(row["image"]).name for row in rows] == [
        "a.png", "b.jpg", "c.webp", "d.tiff", "e.png", "f.gif",
    ]  # fmt: skip
    assert [row["status"] for row in rows] == ["ok"] * 4 + ["error"] * 2
    assert "e.png: the picture is damaged" in done.stderr
    assert "f.gif: is not a picture" in done.stderr


def test_a_folder_with_options(studio: Path) -> None:
    ask = ("gaze", studio, "--model", "demo", "--list", "tools", "--format", "jsonl")
    done = run(*ask, "--no-recursive", "--exclude", "[ef].*", "--max-megapixels", "0.00205")
    statuses = [json.loads(line)["status"] for line in done.stdout.splitlines()]
    assert statuses == ["ok", "ok", "error"]
    assert "c.webp: has more than 0.00205 million pixels" in done.stderr


def test_wide_csv_and_parquet_hold_the_same(studio: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    ask = ("gaze", studio / "a.png", studio / "b.jpg", "--model", "demo", "--list", "surfaces")
    wide = list(csv.DictReader(io.StringIO(run(*ask, "--format", "csv", "--wide").stdout)))
    target = tmp_path / "out.parquet"
    assert run(*ask, "--format", "parquet", "--top", 0, "-o", target).returncode == 0
    table = parquet.read_table(target).to_pylist()
    assert len(table) == 2 * 19
    for row in table:
        (cell,) = [
            line[f"surfaces: {row['phrase']}"] for line in wide if line["image"] == row["image"]
        ]
        assert float(cell) == row["probability"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--wide"],
        ["--resume"],
        ["--format", "parquet"],
        ["--format", "json", "--resume", "-o", "x"],
    ],
)
def test_options_that_do_not_go_together(photo: Path, arguments: list[str]) -> None:
    assert "goes with" in refused("gaze", photo, "--model", "demo", *arguments)


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
def test_memory_does_not_grow_with_the_number_of_pictures(
    picture: MakePicture, tmp_path: Path
) -> None:
    """If pictures of 3 MB were kept, a hundred would take 270 MB more than ten do."""
    peaks = []
    for count in (10, 100):
        folder = tmp_path / str(count)
        folder.mkdir()
        for seed in range(count):
            picture(1000, 1000, seed=seed).save(folder / f"{seed:03}.bmp")
        script = (
            "import re, sys\n"
            "from clip_gaze.cli import main\n"
            "try:\n    main(sys.argv[1:])\n"
            "finally:\n"
            "    print(re.search(r'VmHWM:\\s*(\\d+)', open('/proc/self/status').read())[1])\n"
        )
        command = [sys.executable, "-c", script, "gaze", str(folder), "--model", "demo"]
        options = ["--threads", "2", "--list", "tools", "--format", "jsonl"]
        options += ["-o", str(tmp_path / f"{count}.jsonl")]
        done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
        peaks.append(int(done.stdout.split()[-1]))
    assert (peaks[1] - peaks[0]) * 1024 < 90_000_000


def called(code: str, *arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run the command in a process in which some code ran first."""
    words = list(map(str, arguments))
    program = f"import sys\n{code}\nfrom clip_gaze.cli import main\nmain({words!r})"
    return subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        **options,
    )


@pytest.mark.skipif(sys.platform == "win32", reason="no such names there")
def test_no_name_or_note_reaches_the_terminal_as_a_command(
    picture: MakePicture, tiny_model: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(tiny_model, tmp_path / "\x1b[1mmodel")
    deep = tmp_path / "\x1b[31mdeep"
    (deep / "empty\x1b[2J").mkdir(parents=True)
    picture().save(deep / "good\x9b.png")
    (deep / "bad\x1b[2K.png").write_text("no", encoding="utf-8")
    said = ""
    ask = ("--list", "tools", "--model", folder)
    for words in (
        ["gaze", deep, deep / "empty\x1b[2J", *ask],
        ["gaze", deep / "none\x1b.png", *ask],
        ["gaze", deep, "-o", deep / "none\x1b" / "out", *ask],
        ["compare", deep, deep / "good\x9b.png", *ask],
        ["report", deep, "-o", deep / "page\x1b.html", *ask],
        ["gaze", deep, "--model", tmp_path / "\x1b"],
        ["models", "check", folder],
    ):
        done = run(*words)
        assert done.returncode in (0, 1, 2)
        said += done.stdout + done.stderr
    assert said.count("\ufffd") > 10
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", said)


@pytest.mark.parametrize("name", ["stdout", "stderr", "stdin"])
def test_a_program_without_streams_is_served(name: str, photo: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.json"
    ask = ("gaze", photo, tmp_path / "none.png", "--model", "demo", "--list", "tools")
    for more in ((), ("-o", target), ("--nothing",)):
        done = called(f"sys.{name} = None", *ask, *more)
        assert done.returncode == (2 if more == ("--nothing",) else 1)
        assert "Traceback" not in done.stdout + done.stderr
    assert len(json.loads(target.read_text(encoding="utf-8"))) == 2


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
def test_streams_may_be_closed(closed: str, photo: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.json"
    ask = ("gaze", photo, "--model", "demo", "--list", "tools")
    for more in ((), ("-o", target)):
        words = shlex.join([sys.executable, "-m", "clip_gaze", *map(str, (*ask, *more))])
        done = subprocess.run(
            f"{words} {closed}", shell=True, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0
        assert "Traceback" not in done.stderr
    assert len(json.loads(target.read_text(encoding="utf-8"))) == 1


def test_ctrl_c_while_the_program_is_being_loaded() -> None:
    code = (
        "class Stop:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'clip_gaze.cli.commands.gaze': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Stop())"
    )
    done = called(code, "demo")
    assert (done.returncode, done.stderr) == (2, "clip-gaze: error: stopped\n")


def test_a_picture_with_the_longest_name_has_maps(picture: MakePicture, tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    for last in "ab":
        picture().save(tmp_path / "pictures" / f"{'x' * 250}{last}.png")
    ask = ("gaze", tmp_path / "pictures", "--model", "demo", "--list", "tools")
    done = run(*ask, "--see", tmp_path / "maps")
    assert done.returncode == 0, done.stderr
    names = sorted(path.name for path in (tmp_path / "maps").iterdir())
    assert names == [f"{'x' * 245}_map-2.png", f"{'x' * 247}_map.png"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has another way to the home folder")
@pytest.mark.parametrize("words", [["demo"], ["store"]])
def test_a_user_without_a_home(words: list[str], tmp_path: Path) -> None:
    left_out = ("HOME", "CLIP_GAZE_CACHE", "XDG_CACHE_HOME", "HF_HOME", "HF_HUB_CACHE")
    environment = {name: value for name, value in os.environ.items() if name not in left_out}
    environment["TMPDIR"] = str(tmp_path)
    code = "import pwd\ndef nobody(_): raise KeyError\npwd.getpwuid = nobody"
    done = called(code, *words, env=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in tmp_path.iterdir()] == [f"clip-gaze-{os.getuid()}"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_full_disk_is_one_line_with_the_name_of_the_file(photo: Path) -> None:
    ask = ("gaze", photo, "--model", "demo", "--list", "tools", "--format", "csv")
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        command = [sys.executable, "-m", "clip_gaze", *map(str, ask)]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines()[1:] == [
        "clip-gaze: error: standard output: No space left on device"
    ]
    line = refused(*ask, "-o", "/dev/full")
    assert line == "clip-gaze: error: /dev/full: No space left on device"


def test_help_and_completion_know_all_commands_and_load_none() -> None:
    code = (
        "import sys\n"
        "from clip_gaze.cli import main\n"
        "try:\n    main(sys.argv[1:], prog_name='clip-gaze')\n"
        "finally:\n    print(sorted(sys.modules))"
    )

    def asked(*words: str, **variables: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", code, *words], capture_output=True, text=True, check=True,
            encoding="utf-8", env={**os.environ, **variables},
        )  # fmt: skip
        for late in ("numpy", "PIL", "logging", "clip_gaze.cli.commands"):
            assert f"'{late}'" not in done.stdout
        return done.stdout

    modules = Path(commands.__path__[0]).glob("[a-z]*.py")
    known = main.list_commands(click.Context(main))
    own = {path.stem for path in modules} - {"bias"}  # which `lists` has
    assert own | {"demo", "download"} == set(known)
    helped = asked("--help").splitlines()
    for name in known:
        (line,) = (each for each in helped if each.startswith(f"  {name} "))
        assert line.endswith(".")
        assert len(line) <= 80
    completed = asked(
        _CLIP_GAZE_COMPLETE="bash_complete", COMP_WORDS="clip-gaze ", COMP_CWORD="1"
    ).splitlines()
    assert [f"plain,{name}" for name in known] == completed[: len(known)]


@pytest.mark.parametrize("collects", [True, False])
def test_a_program_that_runs_a_command_finds_its_collector_as_it_was(
    collects: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "clip_gaze.cli.commands.lists", raising=False)
    monkeypatch.delattr(commands, "lists", raising=False)
    was, frozen = gc.isenabled(), gc.get_freeze_count()
    try:
        (gc.enable if collects else gc.disable)()
        with pytest.raises(SystemExit):
            main(["lists"], prog_name="clip-gaze")
        assert gc.isenabled() == collects
        assert gc.get_freeze_count() == frozen
    finally:
        (gc.enable if was else gc.disable)()


@pytest.mark.parametrize("alone", [True, False])
def test_only_the_program_itself_settles_what_holds_for_a_process(
    alone: bool, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The collector's last round, Pillow's limit, and how long OpenBLAS's threads wait awake.
    words = ["gaze", str(photo), "--model", "demo", "--list", "surfaces", "--no-store"]
    code = (
        "import atexit, gc, os, sys\n"
        "from PIL import Image\n"
        "from clip_gaze.cli import main\n"
        "def last():\n"
        "    print(gc.get_freeze_count() > 0, Image.MAX_IMAGE_PIXELS is None,\n"
        "          os.environ.get('OPENBLAS_THREAD_TIMEOUT') == '4')\n"
        "atexit.register(last)\n"
        f"main({'' if alone else words})"
    )
    command = [sys.executable, "-c", code, *words]
    monkeypatch.delenv("OPENBLAS_THREAD_TIMEOUT", raising=False)
    for theirs in (False, True):
        if theirs:
            monkeypatch.setenv("OPENBLAS_THREAD_TIMEOUT", "20")
        done = subprocess.run(
            command, capture_output=True, text=True, encoding="utf-8", check=False
        )
        assert done.stdout.splitlines()[-1] == f"{alone} {alone} {alone and not theirs}"


def test_a_program_that_runs_a_command_finds_its_streams_and_logs_as_they_were() -> None:
    code = (
        "import logging, sys, warnings\n"
        "sys.stdout.reconfigure(encoding='latin-1', errors='strict')\n"
        "logger = logging.getLogger('clip_gaze')\n"
        "logger.setLevel(logging.INFO)\n"
        "logger.addHandler(logging.NullHandler())\n"
        "def state():\n"
        "    return (sys.stdout.encoding, sys.stdout.errors, logger.level,\n"
        "            logger.handlers[:], warnings.filters[:])\n"
        "before = state()\n"
        "from clip_gaze.cli import main\n"
        "try:\n    main(['lists'])\n"
        "except SystemExit:\n    assert state() == before, (state(), before)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_program_may_have_streams_of_its_own() -> None:
    code = (
        "import sys\n"
        "class Tee:\n"
        "    def write(self, text): sys.__stdout__.write(text)\n"
        "    def flush(self): pass\n"
        "    def isatty(self): return False\n"
        "sys.stdout = Tee()\n"
        "from clip_gaze.cli import main\n"
        "main(['lists'])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "artists" in done.stdout


def test_the_commands_can_stand_in_another_program() -> None:
    other = click.Group("other")
    other.add_command(main, "look")
    done = CliRunner().invoke(other, ["look", "lists"], obj={"theirs": True})
    assert done.exit_code == 0, done.stderr
    assert "artists" in done.stdout
    assert memory.alone is False


def test_a_library_that_is_stopped_while_it_is_loaded_gets_no_traceback(
    photo: Path, tmp_path: Path
) -> None:
    package = tmp_path / "onnxruntime"
    package.mkdir()
    (package / "__init__.py").write_text(
        "try:\n    raise KeyboardInterrupt\n"
        "except KeyboardInterrupt as error:\n"
        "    raise ImportError('initialization failed') from error\n",
        encoding="utf-8",
    )
    words = ["-m", "clip_gaze", "gaze", photo, "--model", "demo", "--list", "tools"]
    done = subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, check=False, encoding="utf-8",
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == "clip-gaze: error: stopped"
    assert "Traceback" not in done.stderr
