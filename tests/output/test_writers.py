"""Results reach their file whole, or grow there and can be gone on with."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from clip_gaze import GazeError, PhraseScore, PictureResult
from clip_gaze.cli.progress import NothingWrittenError
from clip_gaze.output.writers import GROWING, Output, Writer, kind_of, marked
from clip_gaze.system.paths import cache_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from PIL import Image

    MakePicture = Callable[..., Image.Image]

LISTS = {"l": ("x", "y\n", "-z"), "one": ("a", "b")}
TOP = 2
LIKE = PictureResult("", "demo", "fp32")


def answers(first: float) -> dict[str, tuple[PhraseScore, ...]]:
    return {
        "l": (PhraseScore("x", first), PhraseScore("y\n", 0.25)),
        "one": (PhraseScore("a", 1.0), PhraseScore("b", 0.0)),
    }


RESULTS = [
    replace(LIKE, image="a.png", lists=answers(0.75)),
    replace(LIKE, image="b\nc.png", status="error", error="b\nc.png: gone\nfor ever"),
    replace(LIKE, image="=d.png", lists=answers(0.5)),
]
TABLES = [*GROWING, "wide"]


def output(path: Path, kind: str, *, resume: bool = True) -> Output:
    if kind == "wide":
        return Output(path, "csv", TOP, wide=True, resume=resume)
    return Output(path, kind, TOP, resume=resume)


def go_on(
    path: Path,
    kind: str,
    results: Iterable[PictureResult] = RESULTS,
    *,
    like: PictureResult = LIKE,
    lists: dict[str, tuple[str, ...]] = LISTS,
    top: int = TOP,
    resume: bool = True,
) -> set[str]:
    """Write what a file lacks of the results; return what it had."""
    writer = Writer(replace(output(path, kind, resume=resume), top=top), lists)
    done = writer.resume(like)
    with writer.opened() as write:
        write(result for result in results if result.image not in done)
    return done


def records(path: Path, kind: str) -> list[Any]:
    """Return the lines of JSON, or the rows of a table with its header."""
    with path.open(encoding="utf-8", newline="") as file:
        return [json.dumps({}), *file] if kind == "jsonl" else [*csv.reader(file)]


@pytest.mark.parametrize("kind", TABLES)
def test_wherever_a_file_is_cut_no_result_is_lost_or_stands_twice(
    kind: str, tmp_path: Path
) -> None:
    path = tmp_path / "out"
    go_on(path, kind)
    whole, (head, *expected) = path.read_bytes(), records(path, kind)
    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        go_on(path, kind)
        # What could not be read is tried again, and then comes last.
        first, *rest = records(path, kind)
        assert (first, sorted(rest)) == (head, sorted(expected)), cut


@pytest.mark.parametrize("kind", TABLES)
def test_pictures_that_could_not_be_read_are_tried_again(kind: str, tmp_path: Path) -> None:
    path, expected = tmp_path / "out", tmp_path / "expected"
    bad = [replace(LIKE, image=f"{name}.png", status="error", error="gone") for name in "xyz"]
    for number in range(len(RESULTS) + 1):
        results = [*RESULTS[:number], *bad, *RESULTS[number:]]
        path.unlink(missing_ok=True)
        go_on(path, kind, results)
        assert go_on(path, kind, []) == {"a.png", "=d.png"}
        expected.unlink(missing_ok=True)
        go_on(expected, kind, [RESULTS[0], RESULTS[2]])
        assert path.read_bytes() == expected.read_bytes()


@pytest.mark.parametrize("kind", TABLES)
def test_a_file_of_errors_alone_grows_when_it_is_gone_on_with(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "out"
    go_on(path, kind, RESULTS[1:2])

    def stopped() -> Iterator[PictureResult]:
        yield RESULTS[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        go_on(path, kind, stopped())
    assert go_on(path, kind) == {"a.png"}
    assert go_on(path, kind) == {"a.png", "=d.png"}


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs Linux's list of open files")
@pytest.mark.parametrize("kind", TABLES)
def test_no_file_is_open_while_it_is_replaced(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows refuses it."""
    path = tmp_path / "out"
    replace_file = Path.replace

    def checked(part: Path, target: Path) -> Path:
        opened = [os.path.realpath(each) for each in Path("/proc/self/fd").iterdir()]
        assert os.path.realpath(target) not in opened
        return replace_file(part, target)

    go_on(path, kind)
    monkeypatch.setattr(Path, "replace", checked)
    assert go_on(path, kind) == {"a.png", "=d.png"}
    go_on(path, kind, resume=False)


@pytest.mark.parametrize("kind", TABLES)
def test_a_run_that_is_stopped_leaves_an_older_file_as_it_was(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "out"
    go_on(path, kind)
    before = path.read_bytes()

    def stopped(error: type[BaseException]) -> Iterator[PictureResult]:
        yield RESULTS[0]
        raise error

    for error in (KeyboardInterrupt, NothingWrittenError):
        writer = Writer(output(path, kind, resume=False), LISTS)
        with pytest.raises(error), writer.opened() as write:
            write(stopped(error))
        assert not writer.grows
        assert [each.name for each in tmp_path.iterdir()] == ["out"]
        assert path.read_bytes() == before
    path.unlink()
    writer = Writer(output(path, kind, resume=False), LISTS)
    assert writer.grows
    with pytest.raises(KeyboardInterrupt), writer.opened() as write:
        write(stopped(KeyboardInterrupt))
    assert go_on(path, kind, []) == {"a.png"}


@pytest.mark.parametrize("kind", TABLES)
@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"variant": "q8"}, "demo, q8"),
        ({"corrected": True}, "demo, fp32, corrected"),
        ({"templates": ("a {}", "b {}")}, "demo, fp32, a {} | b {}"),
    ],
)
def test_a_run_with_other_settings_is_not_gone_on_with(
    kind: str, other: dict[str, Any], said: str, tmp_path: Path
) -> None:
    path = tmp_path / "out"
    results = [replace(result, **other) for result in RESULTS]
    go_on(path, kind, results)
    assert go_on(path, kind, results, like=replace(LIKE, **other)) == {"a.png", "=d.png"}
    before = path.read_bytes()
    with pytest.raises(GazeError, match=re.escape(f"holds results of {said}, not of demo, fp32;")):
        go_on(path, kind)
    assert path.read_bytes() == before


@pytest.mark.parametrize("kind", GROWING)
@pytest.mark.parametrize(
    ("lists", "top", "said"),
    [
        ({"l": LISTS["l"]}, TOP, "answers about l, one, not about l"),
        ({"l": LISTS["l"], "two": ("a", "b")}, TOP, "answers about l, one, not about l, two"),
        (LISTS, 1, "2 phrases of 'l' for each picture, not 1"),
        (LISTS, 0, "2 phrases of 'l' for each picture, not 3"),
        (LISTS | {"l": ("x", "w", "v")}, TOP, r"'y\n', which is no longer in the list 'l'"),
        (LISTS | {"one": ("a", "c", "b")}, 3, "2 phrases of 'l' for each picture, not 3"),
    ],
)
def test_a_run_with_another_question_is_not_gone_on_with(
    kind: str, lists: dict[str, tuple[str, ...]], top: int, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "out"
    go_on(path, kind, RESULTS[:1])
    before = path.read_bytes()
    with pytest.raises(GazeError, match=re.escape(said)):
        go_on(path, kind, lists=lists, top=top)
    assert path.read_bytes() == before


@pytest.mark.parametrize("kind", GROWING)
@pytest.mark.parametrize("changed", [("x", "y\n"), ("x", "y\n", "-z", "new")])
def test_a_list_whose_phrases_changed_unseen_is_not_gone_on_with(
    kind: str, changed: tuple[str, ...], tmp_path: Path
) -> None:
    path = tmp_path / "out"
    go_on(path, kind, RESULTS[:1])
    before = path.read_bytes()
    with pytest.raises(GazeError, match="begun when the list 'l' had other phrases"):
        go_on(path, kind, lists=LISTS | {"l": changed})
    assert path.read_bytes() == before
    assert go_on(path, kind, RESULTS[:1], lists=LISTS | {"l": ("-z", "y\n", "x")}) == {"a.png"}
    path.rename(tmp_path / "moved")  # nothing is known of it there but its rows
    assert go_on(tmp_path / "moved", kind) == {"a.png"}


@pytest.mark.parametrize("kind", TABLES)
def test_results_of_another_folder_are_not_gone_on_with(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "out"
    absolute = [replace(each, image=str(tmp_path / each.image)) for each in RESULTS]
    for results in (RESULTS, absolute):
        path.unlink(missing_ok=True)
        for name in ("one", "two"):
            (tmp_path / name).mkdir(exist_ok=True)
        monkeypatch.chdir(tmp_path / "one")
        go_on(path, kind, results)
        monkeypatch.chdir(tmp_path / "two")
        if results is absolute:
            assert len(go_on(path, kind, results)) == 2
            continue
        before = path.read_bytes()
        with pytest.raises(GazeError, match=r"holds results of pictures in .*one; name another"):
            go_on(path, kind, results)
        assert path.read_bytes() == before


@pytest.mark.parametrize("text", ["{", "[]", '{"lists": 1}', "\udcff", "a folder"])
def test_a_damaged_note_is_as_good_as_none(text: str, tmp_path: Path) -> None:
    path = tmp_path / "out"
    go_on(path, "csv", RESULTS[:1])
    (note,) = (cache_folder() / "begun").iterdir()
    if text == "a folder":
        note.unlink()
        note.mkdir()
    else:
        note.write_text(text, encoding="utf-8", errors="surrogateescape")
    assert go_on(path, "csv") == {"a.png"}


def test_where_nothing_can_be_noted_a_table_is_written_all_the_same(tmp_path: Path) -> None:
    (cache_folder() / "begun").write_text("in the way", encoding="utf-8")
    go_on(tmp_path / "out", "csv", RESULTS[:1])
    assert go_on(tmp_path / "out", "csv") == {"a.png"}


def test_a_wide_table_of_another_question_is_not_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "out"
    go_on(path, "wide", RESULTS[:1])
    before = path.read_bytes()
    with pytest.raises(GazeError, match=r"other columns .* such as 'l: w'"):
        go_on(path, "wide", lists=LISTS | {"l": ("x", "y\n", "w")})
    assert path.read_bytes() == before


@pytest.mark.parametrize("kind", TABLES)
@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\nand more\n"])
@pytest.mark.parametrize("start", ["my diary,", "{}", "image,mood", '{"image"; 1}', "\ufeffmy"])
def test_a_file_of_something_else_is_left_alone(
    kind: str, start: str, end: str, tmp_path: Path
) -> None:
    path = tmp_path / "out"
    path.write_bytes((start + end).encode())
    with pytest.raises(GazeError, match=r"something other|other columns"):
        go_on(path, kind)
    assert path.read_bytes() == (start + end).encode()


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        *((kind, line) for kind in TABLES for line in (b"my diary\n", b"caf\xe9\n", b'"a"b,\n')),
        ("jsonl", b"my diary"),  # in CSV it may be a row that was cut
    ],
)
def test_what_was_added_to_a_file_is_left_alone(kind: str, line: bytes, tmp_path: Path) -> None:
    path = tmp_path / "out"
    go_on(path, kind, RESULTS[:1])
    with path.open("ab") as file:
        file.write(line)
    before = path.read_bytes()
    with pytest.raises(GazeError, match="something other"):
        go_on(path, kind)
    assert path.read_bytes() == before


@pytest.mark.parametrize("kind", TABLES)
@pytest.mark.parametrize("marked", [True, False])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_file_that_an_editor_saved_is_gone_on_with(
    kind: str, marked: bool, end: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "out"
    results = [
        replace(LIKE, image=f"{name}.png", lists={"one": answers(0)["one"]}) for name in "ab"
    ]
    lists = {"one": LISTS["one"]}
    go_on(path, kind, results[:1], lists=lists)
    text = path.read_bytes().removeprefix(b"\xef\xbb\xbf").replace(b"\n", end)
    path.write_bytes((b"\xef\xbb\xbf" if marked else b"") + text)
    assert go_on(path, kind, results, lists=lists) == {"a.png"}
    assert path.read_bytes().count(b"\xef\xbb\xbf") == marked
    assert go_on(path, kind, results, lists=lists) == {"a.png", "b.png"}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no pipes in folders")
def test_a_table_has_a_mark_in_a_file_and_none_in_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path, start in ((None, ""), (pipe, ""), (tmp_path / "file", "\ufeff")):
        assert "".join(marked(iter(["image\n", "a.png\n"]), path)) == f"{start}image\na.png\n"


def test_no_file_means_nothing_is_done(tmp_path: Path) -> None:
    assert go_on(tmp_path / "none", "csv") == set()


@pytest.mark.parametrize("kind", TABLES)
def test_without_resume_a_file_is_begun_anew(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "out"
    go_on(path, kind)
    whole = path.read_bytes()
    go_on(path, kind, resume=False)
    assert path.read_bytes() == whole


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.csv", "csv"), ("a.CSV", "csv"), ("a.json", "json"), ("a.jsonl", "jsonl"),
        ("a.ndjson", "jsonl"), ("a.parquet", "parquet"), ("a.txt", "text"), ("a.dat", None),
        ("csv", None),
    ],
)  # fmt: skip
def test_a_name_asks_for_a_format(name: str, kind: str | None) -> None:
    assert kind_of(Path(name)) == kind


@pytest.mark.parametrize("kind", GROWING)
def test_a_killed_run_is_gone_on_with(
    kind: str, tiny_model: Path, tmp_path: Path, picture: MakePicture
) -> None:
    for seed in range(40):
        picture(60, 60, seed=seed).save(tmp_path / f"{seed:02}.png")
    target = tmp_path / f"out.{kind}"
    command = [
        sys.executable, "-m", "clip_gaze", "gaze", str(tmp_path), "--model", str(tiny_model),
        "--list", "tools", "-o", str(target), "--threads", "1",
    ]  # fmt: skip
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        while not (target.exists() and target.stat().st_size > 3000):
            assert process.poll() is None
        process.send_signal(signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
    done = subprocess.run([*command, "--resume"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with target.open(encoding="utf-8-sig") as file:
        if kind == "jsonl":
            images = [json.loads(line)["image"] for line in file]
        else:
            images = [row["image"] for row in csv.DictReader(file)]
    assert images == [
        str(tmp_path / f"{seed:02}.png")
        for seed in range(40)
        for _ in range(1 if kind == "jsonl" else 5)
    ]


NOT_TEXT = os.fsdecode(b"caf\xe9 50%41.png")


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names of files are text there")
@pytest.mark.parametrize("kind", [*TABLES, "json", "text", "parquet"])
def test_a_name_that_is_no_text_reads_back(kind: str, tmp_path: Path) -> None:
    from urllib.parse import unquote

    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    results = [
        replace(LIKE, image=NOT_TEXT, lists=answers(0.5)),
        replace(LIKE, image=f"b{NOT_TEXT}", status="error", error=f"b{NOT_TEXT}: gone"),
    ]
    path = tmp_path / "out"
    writer = Writer(output(path, kind, resume=False), LISTS)
    with writer.opened() as write:
        write(results)
    if kind == "text":
        assert path.read_text(encoding="utf-8").startswith("caf%E9 50%2541.png  (demo")
        return
    for frames in (pandas, polars):
        if kind == "json":
            read = frames.read_json
        elif kind == "jsonl":
            read = frames.read_ndjson if frames is polars else pandas.read_json
        else:
            read = frames.read_parquet if kind == "parquet" else frames.read_csv
        options = {"lines": True} if (kind, frames) == ("jsonl", pandas) else {}
        names = dict.fromkeys(read(path, **options)["image"])
        assert [unquote(name, errors=sys.getfilesystemencodeerrors()) for name in names] == [
            NOT_TEXT,
            f"b{NOT_TEXT}",
        ]
    if kind in TABLES:
        done = Writer(output(path, kind), LISTS).resume(LIKE)
        assert done == {"caf%E9 50%2541.png"}


@pytest.mark.parametrize("kind", ["csv", "wide"])
def test_a_spreadsheet_sees_utf_8_and_no_formula(kind: str, tmp_path: Path) -> None:
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    path = tmp_path / "out.csv"
    names = ["=cmd()", "+1", "-1", "@x", "\tx", "'=x", "'x", "é"]
    lists = {"-l": ("=p", "-0.5")}
    results = [
        replace(LIKE, image=name, lists={"-l": (PhraseScore("=p", 1e-9), PhraseScore("-0.5", 1.0))})
        for name in names
    ]
    go_on(path, kind, results, lists=lists)
    assert path.read_bytes().startswith(b"\xef\xbb\xbfimage,")
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.reader(file))
    shown = ["'=cmd()", "'+1", "'-1", "'@x", "'\tx", "''=x", "'x", "é"]
    assert [*dict.fromkeys(row[0] for row in rows[1:])] == shown
    assert go_on(path, kind, results, lists=lists) == set(names)
    figures = "'-l: =p" if kind == "wide" else "probability"
    for frames in (pandas, polars):
        frame = frames.read_csv(path)
        assert frame.columns[0] == "image"
        assert frame[figures].dtype in ("float64", polars.Float64)


def test_standard_output_has_no_mark(capsys: pytest.CaptureFixture[str]) -> None:
    writer = Writer(Output(None, "csv", TOP), LISTS)
    with writer.opened() as write:
        write(RESULTS)
    assert capsys.readouterr().out.startswith("image,")


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_an_old_table_stays_until_there_is_a_result(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"old.{ending}"
    path.write_text("what somebody has", encoding="utf-8")

    def broken() -> Iterator[PictureResult]:
        raise KeyboardInterrupt
        yield

    writer = Writer(Output(path, ending), {"list": ["a", "b"]})
    with pytest.raises(KeyboardInterrupt), writer.opened() as write:
        write(broken())
    assert path.read_text(encoding="utf-8") == "what somebody has"
