"""Results reach their file whole, or grow there and can be gone on with."""

from __future__ import annotations

import csv
import io
import json
import re
import signal
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from clip_gaze import GazeError, PhraseScore, PictureResult
from clip_gaze.output import render, tables, writers

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from PIL import Image

    MakePicture = Callable[..., Image.Image]

MADE_BY = ("demo", "fp32")
LIKE = PictureResult("", *MADE_BY)
HEADER = list(tables.COLUMNS)
RESULTS = [
    PictureResult("a.png", *MADE_BY, {"l": (PhraseScore("x", 0.75), PhraseScore("y\n", 0.25))}),
    PictureResult("b\nc.png", *MADE_BY, status="error", error="b: gone"),
    PictureResult("d.png", *MADE_BY, {"l": (PhraseScore("x", 0.5), PhraseScore("y\n", 0.5))}),
]


def text(kind: str, results: list[PictureResult]) -> str:
    pieces = tables.csv_long(results) if kind == "csv" else render.json_lines(results)
    return "".join(pieces)


@pytest.mark.parametrize("kind", writers.GROWING)
def test_wherever_a_file_is_cut_no_result_is_lost_or_stands_twice(
    kind: str, tmp_path: Path
) -> None:
    whole = text(kind, RESULTS)
    path = tmp_path / "out"
    for cut in range(len(whole) + 1):
        path.write_text(whole[:cut], encoding="utf-8", newline="")
        done = writers.resume(path, kind, LIKE, 2, HEADER)
        left = [result for result in RESULTS if result.image not in done]
        pieces = (
            tables.csv_long(left, header=not done) if kind == "csv" else render.json_lines(left)
        )
        writers.write(pieces, path, append=bool(done))
        assert path.read_text(encoding="utf-8") == whole, cut


@pytest.mark.parametrize("kind", writers.GROWING)
@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"corrected": True}, "demo, fp32, corrected"),
        ({"templates": ("a {}", "b {}")}, "demo, fp32, a {} | b {}"),
    ],
)
def test_a_run_with_other_settings_is_not_gone_on_with(
    kind: str, other: dict[str, Any], said: str, tmp_path: Path
) -> None:
    path = tmp_path / "out"
    results = [replace(result, **other) for result in RESULTS]
    path.write_text(text(kind, results), encoding="utf-8", newline="")
    like = replace(LIKE, **other)
    assert writers.resume(path, kind, like, 2, HEADER) == {each.image for each in RESULTS}
    with pytest.raises(GazeError, match=re.escape(f"holds results of {said}, not of demo, fp32;")):
        writers.resume(path, kind, LIKE, 2, HEADER)
    assert path.read_text(encoding="utf-8") == text(kind, results)


@pytest.mark.parametrize("kind", writers.GROWING)
def test_a_file_of_another_model_is_left_alone(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_text(text(kind, RESULTS), encoding="utf-8", newline="")
    with pytest.raises(GazeError, match="demo, fp32, not of demo, q8"):
        writers.resume(path, kind, PictureResult("", "demo", "q8"), 2, HEADER)
    assert path.read_text(encoding="utf-8") == text(kind, RESULTS)


@pytest.mark.parametrize(("kind", "said"), [("jsonl", "something else"), ("csv", "other columns")])
def test_a_file_of_something_else_is_left_alone(kind: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_text("my diary,\n", encoding="utf-8")
    with pytest.raises(GazeError, match=said):
        writers.resume(path, kind, LIKE, 2, HEADER)
    assert path.read_text(encoding="utf-8") == "my diary,\n"


def test_no_file_means_nothing_is_done(tmp_path: Path) -> None:
    assert writers.resume(tmp_path / "none", "csv", LIKE, 2, HEADER) == set()


def test_a_whole_file_appears_only_if_nothing_fails(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.write_text("old", encoding="utf-8")

    def fail() -> None:
        with writers.to_file(target) as part:
            part.write_text("half", encoding="utf-8")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert [path.read_text(encoding="utf-8") for path in tmp_path.iterdir()] == ["old"]
    with writers.to_file(target) as part:
        part.write_text("new", encoding="utf-8")
    assert [path.read_text(encoding="utf-8") for path in tmp_path.iterdir()] == ["new"]


@pytest.mark.parametrize("kind", writers.GROWING)
def test_a_killed_run_is_gone_on_with(
    kind: str, tiny_model: Path, tmp_path: Path, picture: MakePicture
) -> None:
    for seed in range(40):
        picture(60, 60, seed=seed).save(tmp_path / f"{seed:02}.png")
    target = tmp_path / f"out.{kind}"
    command = [
        sys.executable, "-m", "clip_gaze", "gaze", str(tmp_path), "--model", str(tiny_model),
        "--list", "tools", "--format", kind, "-o", str(target), "--threads", "1",
    ]  # fmt: skip
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        while not (target.exists() and target.stat().st_size > 3000):
            assert process.poll() is None
        process.send_signal(signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
    done = subprocess.run([*command, "--resume"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    content = target.read_text(encoding="utf-8")
    if kind == "jsonl":
        images = [json.loads(line)["image"] for line in content.splitlines()]
        per_picture = 1
    else:
        images = [row["image"] for row in csv.DictReader(io.StringIO(content))]
        per_picture = 5
    assert images == [
        str(tmp_path / f"{seed:02}.png") for seed in range(40) for _ in range(per_picture)
    ]
