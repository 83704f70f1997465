"""The command `clip-gaze embed`, and the commands that take its dataset in place of pictures."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest

import clip_gaze
from dask_processes import until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from PIL import Image

LISTS = ["--list", "surfaces", "--list", "movements"]


@pytest.fixture
def scans(tmp_path: Path, picture: Callable[..., Image.Image]) -> Path:
    """Return a folder of pictures that differ, and of one that is none."""
    folder = tmp_path / "scans"
    folder.mkdir()
    for seed in range(6):
        picture(seed=seed).save(folder / f"{seed}.png")
    (folder / "bad.png").write_text("no", encoding="utf-8")
    return folder


def run(
    *words: object, stdin: str | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "clip_gaze", *map(str, words)]
    return subprocess.run(
        command, input=stdin, capture_output=True, text=True, encoding="utf-8", check=False, cwd=cwd
    )


def read(folder: Path) -> pl.DataFrame:
    return pl.read_parquet(str(folder / "part-*.parquet"))


def test_a_dataset_is_made_and_asked(scans: Path, tmp_path: Path) -> None:
    vectors, answers = tmp_path / "vectors", tmp_path / "answers"
    done = run("embed", scans, "-o", vectors, "--model", "demo")
    assert done.returncode == 1  # one of the pictures is bad
    assert "bad.png: is not a picture" in done.stderr
    assert f"clip-gaze: wrote {vectors}: 7 pictures" in done.stderr.splitlines()
    again = run("embed", scans, "-o", vectors, "--model", "demo")
    assert (again.returncode, again.stderr.count("--resume")) == (2, 1)
    again = run("embed", scans, "-o", vectors, "--model", "demo", "--resume")
    assert again.returncode == 1  # as that picture is still bad
    assert "7 pictures, 7 of them before, 1 of which cannot be read" in again.stderr

    # The model is that of the dataset; a folder without an ending is a dataset, too.
    done = run("gaze", vectors, *LISTS, "-o", answers, "--top", "0")
    assert done.returncode == 1
    table = read(answers)
    run("gaze", scans, *LISTS, "--model", "demo", "--top", "0", "-o", tmp_path / "all.parquet")
    expected = pl.read_parquet(tmp_path / "all.parquet")
    keys = ["image", "list", "phrase"]
    table, expected = (each.sort(keys, nulls_last=True) for each in (table, expected))
    for name in expected.columns:
        if name == "probability":
            assert np.allclose(table[name].drop_nulls(), expected[name].drop_nulls(), atol=1e-5)
        else:
            assert table[name].equals(expected[name]), name
    assert table.group_by("list").len().sort("list")["len"].to_list()[1:] == [
        6 * len(clip_gaze.MOVEMENTS),
        6 * len(clip_gaze.SURFACES),
    ]

    page = tmp_path / "page.html"
    assert run("report", vectors, *LISTS, "-o", page).returncode == 1
    assert "5.png" in page.read_text(encoding="utf-8")
    found = run("find", "a stormy sea", vectors, "--format", "csv", "--top", "2")
    assert found.returncode == 1
    assert found.stdout.count(".png") == 2
    done = run("gaze", vectors, *LISTS, "--model", "demo", "--variant", "q8")
    assert done.returncode == 2
    assert "of demo (fp32), not of demo (q8); name that model, or none" in done.stderr


def test_answers_of_a_dataset_of_halves_can_be_gone_on_with(scans: Path, tmp_path: Path) -> None:
    vectors, answers = tmp_path / "vectors", tmp_path / "answers"
    run("embed", scans, "-o", vectors, "--model", "demo", "--half")
    words = ("gaze", vectors, *LISTS, "-o", f"{answers}/")
    run(*words)
    before = {path.name: path.read_bytes() for path in answers.iterdir()}
    done = run(*words, "--resume")
    assert "holds a dataset" not in done.stderr
    assert {path.name: path.read_bytes() for path in answers.iterdir()} == before


def test_a_dataset_knows_where_its_pictures_lie(
    scans: Path, tmp_path: Path, picture: Callable[..., Image.Image]
) -> None:
    (scans / "bad.png").unlink()
    run("embed", ".", "-o", tmp_path / "vectors", "--model", "demo", cwd=scans)
    other = tmp_path / "other"
    other.mkdir()
    (other / "1.png").write_bytes((scans / "2.png").read_bytes())  # another picture of that name
    (scans / "3.png").unlink()
    picture(90, 90).save(scans / "4.png")
    page = tmp_path / "page.html"
    done = run("report", tmp_path / "vectors", "--list", "surfaces", "-o", page, cwd=other)
    assert done.returncode == 1
    assert f"{scans / '3.png'}: no such file" in done.stderr
    assert f"{scans / '4.png'}: has changed since its vector was made" in done.stderr
    assert "looked at 6 pictures" in done.stderr
    assert "2 failed" in done.stderr
    there = [f"scans/{seed}.png" for seed in (0, 1, 2, 5)]
    assert all(f'"{name}"' in page.read_text(encoding="utf-8") for name in there)
    for sheet in ("near.html", "near.png"):
        words = ("find", "a sea", tmp_path / "vectors", "--top", "0", "-o", tmp_path / sheet)
        done = run(*words, cwd=other)
        assert done.returncode == 1
        assert done.stderr.count(f"error: {scans / '3.png'}: no such file") == 1
        assert "1 nearer picture is gone or changed since" in done.stderr
    done = run("find", "a sea", tmp_path / "vectors", "--top", "0", "-0", cwd=other)
    assert sorted(done.stdout.split("\0")[:-1]) == sorted(
        str(scans / f"{seed}.png") for seed in (0, 1, 2, 3, 5)
    )


def test_a_file_that_stands_twice_in_a_dataset_is_no_copy(scans: Path, tmp_path: Path) -> None:
    shutil.copy(scans / "1.png", scans / "copy.png")
    (scans / "bad.png").unlink()
    run("embed", scans, scans / "1.png", scans / "2.png", "-o", tmp_path / "v", "--model", "demo")
    done = run("find", "--duplicates", tmp_path / "v", "--threshold", "1", "--format", "json")
    (group,) = json.loads(done.stdout)["groups"]
    names = [name for alike in group for name in alike["images"]]
    assert sorted(names) == [str(scans / "1.png"), str(scans / "copy.png")]
    done = run("find", "a sea", tmp_path / "v", "--top", "0", "-0")
    assert len(done.stdout.split("\0")) == len(set(done.stdout.split("\0"))) == 8
    done = run("find", "a sea", tmp_path / "v", "--top", "5", "--format", "json")
    hits = json.loads(done.stdout)["images"]
    assert len({hit["image"] for hit in hits}) == 5
    values = [hit["similarity"] for hit in hits]
    assert values == sorted(values, reverse=True)


def test_a_copy_with_other_times_has_not_changed(scans: Path, tmp_path: Path) -> None:
    (scans / "bad.png").unlink()
    run("embed", scans, "-o", tmp_path / "v", "--model", "demo")
    for path in scans.iterdir():
        os.utime(path, (1, 1))
    done = run("find", "a sea", tmp_path / "v", "--top", "0", "-0")
    assert done.stdout.count("\0") == 6


def test_answers_of_another_folder_are_not_gone_on_with(scans: Path, tmp_path: Path) -> None:
    words = ("gaze", ".", "--model", "demo", "--list", "surfaces", "-o", f"{tmp_path / 'answers'}/")
    assert run(*words, cwd=scans).returncode == 1
    before = {path.name for path in (tmp_path / "answers").iterdir()}
    shutil.copytree(scans, tmp_path / "other")
    done = run(*words, "--resume", cwd=tmp_path / "other")
    assert done.returncode == 2
    assert f"holds a dataset of pictures in {scans}; go there to go on" in done.stderr
    assert {path.name for path in (tmp_path / "answers").iterdir()} == before
    assert run(*words, "--resume", cwd=scans).returncode == 1


def test_a_table_of_a_dataset_is_gone_on_with_from_anywhere(scans: Path, tmp_path: Path) -> None:
    run("embed", ".", "-o", tmp_path / "v", "--model", "demo", cwd=scans)
    command = ("gaze", tmp_path / "v", "--list", "surfaces", "-o", tmp_path / "a.csv")
    assert run(*command, cwd=scans).returncode == 1
    whole = (tmp_path / "a.csv").read_bytes()
    (tmp_path / "a.csv").write_bytes(whole[: len(whole) // 2])
    assert run(*command, "--resume", cwd=tmp_path).returncode == 1
    assert sorted((tmp_path / "a.csv").read_bytes().split()) == sorted(whole.split())


def test_corrected_answers_are_those_for_pictures(scans: Path, tmp_path: Path) -> None:
    words = ("--model", "demo", "--list", "surfaces", "--corrected")
    assert run("gaze", scans, *words, "-o", f"{tmp_path / 'answers'}/").returncode == 1
    run("gaze", scans, *words, "-o", tmp_path / "answers.parquet")
    keys = ["image", "list", "probability"]
    table, expected = (
        each.sort(keys) for each in (read(tmp_path / "answers"), pl.read_parquet(
            tmp_path / "answers.parquet"))
    )  # fmt: skip
    assert table["corrected"].drop_nulls().unique().to_list() == ["corrected"]
    for name in ("probability", "plain"):
        assert np.allclose(table[name].drop_nulls(), expected[name].drop_nulls(), atol=1e-5)
    assert table["phrase"].equals(expected["phrase"])


@pytest.mark.parametrize("command", ["embed", "gaze", "report"])
def test_files_and_pipes_name_pictures(command: str, scans: Path, tmp_path: Path) -> None:
    names = [str(scans / f"{number}.png") for number in range(3)]
    (tmp_path / "names.csv").write_text("id,path\n" + "".join(f"1,{name}\n" for name in names))
    out = {"embed": "vectors", "gaze": "answers.csv", "report": "page.html"}[command]
    words = [command, "-o", tmp_path / out, "--model", "demo"]
    words += [] if command == "embed" else ["--list", "surfaces"]
    done = run(*words, "--from", tmp_path / "names.csv", "--column", "path")
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)
    if command == "embed":
        assert sorted(read(tmp_path / out)["name"]) == names
        words[2] = tmp_path / "piped"
    done = run(*words, "-", stdin="\n".join(names))
    assert done.returncode == 0
    if command == "gaze":
        table = pl.read_csv(io.BytesIO((tmp_path / out).read_bytes()))
        assert sorted(table["image"].unique()) == names
    assert run(*words[:3]).returncode == 2  # no picture is named


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["embed", "scans"], "Missing option '-o'"),
        (["embed", "-o", "vectors"], "Missing argument"),
        (["embed", "scans", "-o", "vectors", "--cluster", "nowhere"], "is no cluster"),
        (["embed", "scans", "-o", "vectors", "--column", "a", "--from", "n.txt"], "--column goes"),
        (["embed", "scans/*.jpg", "-o", "vectors"], "no picture in this folder"),
        (["embed", "scans", "-o", "scans"], "holds other files"),
        (["gaze", "scans", "--cluster", "local"], "--cluster goes with -o DATASET"),
        (["gaze", "scans", "-o", "answers/", "--wide"], "leave out --format and --wide"),
        (["gaze", "scans", "-o", "answers/", "--see", "maps"], "--see goes with no dataset"),
        (["demo", "-o", "answers/"], "name a file"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    words: list[str], said: str, scans: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(scans.parent)
    done = run(*words, *([] if words[0] == "demo" else ["--model", "demo"]))
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("error") == 1
    assert not (scans.parent / "vectors").exists()


def test_a_collection_is_not_listed_before_it_is_looked_at(scans: Path, tmp_path: Path) -> None:
    out = tmp_path / "answers.jsonl"
    words = ["gaze", "-", "--model", "demo", "--list", "surfaces", "-o", str(out)]
    with subprocess.Popen(
        [sys.executable, "-m", "clip_gaze", *words],
        stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdin
        assert process.stderr
        for _ in range(200):  # more than are looked at at once
            process.stdin.write(f"{scans / '0.png'}\n")
        process.stdin.flush()
        until(lambda: process.poll() is not None or (out.is_file() and out.read_bytes()))
        process.stdin.write(f"{scans / 'bad.png'}\n")
        process.stdin.close()
        assert "bad.png: is not a picture" in process.stderr.read()
    assert process.returncode == 1
    assert len(out.read_text(encoding="utf-8").splitlines()) == 201
