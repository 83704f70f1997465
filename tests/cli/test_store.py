"""`clip-gaze store` tells what is kept, and forgets what it is told to."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from typing import TYPE_CHECKING

import numpy as np
import pytest
from click.testing import CliRunner

from clip_gaze.cli import main
from clip_gaze.store import FILE, Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result
    from PIL import Image

    MakePicture = Callable[..., Image.Image]


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(each) for each in arguments])


@pytest.fixture
def photos(tmp_path: Path, picture: MakePicture) -> Path:
    """Return a folder of two pictures."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for seed in range(2):
        picture(seed=seed).save(folder / f"{seed}.png")
    return folder


def filled(folder: Path) -> None:
    with contextlib.closing(Store(folder)) as store:
        store.put("text:x", {str(at): np.full(5000, at, np.float32) for at in range(100)})


def test_the_store_says_what_it_holds_and_forgets_it(photos: Path, cache: Path) -> None:
    run("gaze", photos, "--model", "demo", "--list", "tools", "--list", "surfaces")
    said = run("store").stdout
    assert re.fullmatch(
        rf"{re.escape(str(cache / FILE))}  \d\.\d MB\n  43 phrases, 2 pictures\n", said
    )
    cleared = run("store", "clear")
    assert (cleared.exit_code, cleared.output) == (0, "")
    assert "0 phrases, 0 pictures" in run("store").stdout


def test_no_store_leaves_the_store_alone(photos: Path) -> None:
    run("gaze", photos, "--model", "demo", "--list", "tools", "--no-store")
    assert "0 phrases, 0 pictures" in run("store").stdout


@pytest.mark.parametrize("command", ["clear", "prune --max-size 0"])
def test_what_cannot_be_done_is_an_error_in_one_line(
    command: str, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clip_gaze.store.cache.LAST_SECONDS", 0.01)
    filled(cache)
    with contextlib.closing(sqlite3.connect(cache / FILE, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        done = run("store", *command.split())
    assert done.exit_code == 2
    assert done.stdout == ""
    assert re.fullmatch(
        rf"clip-gaze: error: {re.escape(str(cache / FILE))}: cannot be (cleared|pruned): "
        r"another process is using it; try again when that has ended\n",
        done.stderr,
    )
    assert "100 phrases" in run("store").stdout


def test_pruning_says_what_was_freed(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(cache)
    assert run("store", "prune").stdout == "0.0 MB freed, 0 vectors forgotten\n"
    done = run("store", "prune", "--max-size", "1.5MB")
    found = re.fullmatch(r"(\d\.\d) MB freed, (\d\d) vectors forgotten\n", done.stdout)
    assert found
    assert float(found[1]) > 0.5
    assert (cache / FILE).stat().st_size <= 1_500_000
    assert f"{100 - int(found[2])} phrases" in run("store").stdout
    monkeypatch.setenv("CLIP_GAZE_STORE_SIZE", "0")
    run("store", "prune")
    assert "0 phrases, 0 pictures" in run("store").stdout


@pytest.mark.parametrize("size", ["five", "-1", "2 XB"])
def test_a_wrong_size_is_an_error_in_one_line(size: str, monkeypatch: pytest.MonkeyPatch) -> None:
    done = run("store", "prune", f"--max-size={size}")
    said = f"'{size}' is no size; write it like 500MB or 2GB\n"
    assert (done.exit_code, done.output) == (2, f"clip-gaze: error: {said}")
    monkeypatch.setenv("CLIP_GAZE_STORE_SIZE", size)
    done = run("store")
    assert (done.exit_code, done.output) == (
        2, f"clip-gaze: error: CLIP_GAZE_STORE_SIZE: {said}",
    )  # fmt: skip


def test_a_journal_that_goes_while_the_store_is_measured_is_no_error(cache: Path) -> None:
    filled(cache)
    (cache / "vectors-2.sqlite-journal").symlink_to(cache / "gone")  # listed, but not there
    said = run("store")
    assert said.exit_code == 0
    assert "100 phrases, 0 pictures" in said.stdout


def test_what_copies_vectors_goes_when_they_are_pruned(cache: Path) -> None:
    with contextlib.closing(Store(cache)) as kept:
        kept.put("vision:e", {"00" * 32: np.ones(4, np.float32)})
    copy = cache / "vectors-index-0123456789abcdef.f32"
    copy.write_bytes(bytes(48))
    done = run("store", "prune")
    assert done.exit_code == 0, done.stderr
    assert done.stdout == "0.0 MB freed, 0 vectors forgotten\n"
    assert not copy.exists()


@pytest.mark.parametrize("command", ["clear", "prune --max-size 0"])
def test_thumbnails_are_shown_and_forgotten(
    command: str, photos: Path, cache: Path, tmp_path: Path
) -> None:
    pytest.importorskip("jinja2")
    page = tmp_path / "page.html"
    run("report", photos, "--model", "demo", "--list", "tools", "-o", page)
    assert run("store").stdout.endswith(f"{cache / 'thumbnails'}  0.0 MB\n  2 thumbnails\n")
    assert run("store", *command.split()).exit_code == 0
    assert "thumbnails" not in run("store").stdout
