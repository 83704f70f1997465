"""`clip-gaze bundle`, and the commands that use what it makes, each in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from clip_gaze.texts import phrases

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from PIL import Image


def run(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "clip_gaze", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """Return a bundle with a shipped list and one of a file."""
    (tmp_path / "seas.txt").write_text("a stormy sea\na calm sea\n", encoding="utf-8")
    done = run(
        "bundle", tmp_path / "out", "--model", "demo", "--variant", "q4", "--list", "surfaces",
        "--phrases", tmp_path / "seas.txt", "--template", "a painting {}",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    size = sum(path.stat().st_size for path in (tmp_path / "out").iterdir())
    about = f"demo (q4), {size / 1e6:.1f} MB, surfaces (19), seas (2)"
    assert done.stderr.splitlines()[-1] == f"clip-gaze: wrote {tmp_path / 'out'}: {about}"
    assert done.stdout == ""
    return tmp_path / "out"


@pytest.fixture
def painting(picture: Callable[..., Image.Image], tmp_path: Path) -> Path:
    path = tmp_path / "painting.png"
    picture().save(path)
    return path


def test_it_answers_as_the_model_does(made: Path, painting: Path) -> None:
    words = made.parent / "seas.txt"
    for options in (
        ["gaze", painting, "--top", "0", "--format", "json", "--corrected"],
        ["gaze", painting, "--template", "a painting {}", "--format", "json"],
        ["compare", painting, "--edits", "--format", "json"],
        ["see", painting, "on wood", "--quality", "quick", "--format", "json"],
    ):
        lists = [] if options[0] == "see" else ["--list", "surfaces", "--phrases", words]
        whole = run(*options, *lists, "--model", "demo", "--variant", "q4")
        found = run(*options, *lists, "--model", made)
        assert whole.returncode == found.returncode == 0, found.stderr
        assert json.loads(found.stdout) == json.loads(whole.stdout)
    assert run("report", painting, "--model", made, "-o", made.parent / "r.html").returncode == 0


def test_without_a_list_all_of_its_own_are_asked(made: Path, painting: Path) -> None:
    done = run("gaze", painting, "--model", made, "--format", "json")
    assert list(json.loads(done.stdout)[0]["lists"]) == ["surfaces", "seas"]
    done = run("gaze", painting, "--model", made, "--list", "seas", "--format", "json")
    assert list(json.loads(done.stdout)[0]["lists"]) == ["seas"]
    assert run("lists", "bias", "seas", "--model", made).returncode == 0


def test_what_is_not_in_it_is_one_line(made: Path, painting: Path) -> None:
    done = run("gaze", painting, "--model", made, "--list", "tools")
    assert (done.returncode, done.stdout) == (2, "")
    first = phrases.load("tools")[0]
    *_, line = done.stderr.splitlines()
    assert line == (
        f"clip-gaze: error: {made}: this bundle has no vector of {first!r}; it has the phrases of "
        "surfaces (19), seas (2), alone and in 'a painting {}'; ask the whole model for others"
    )
    done = run("prompt", painting, "--model", made)
    assert done.returncode == 2
    assert "a bundle has no text tower for lines; use the whole model" in done.stderr


def test_what_is_there_is_not_overwritten(made: Path) -> None:
    before = {path: path.read_bytes() for path in made.iterdir()}
    done = run("bundle", made, "--model", "demo", "--list", "tools")
    assert done.returncode == 2
    assert done.stderr == (
        f"clip-gaze: error: {made}: is there and not empty; name a new or an empty folder\n"
    )
    assert {path: path.read_bytes() for path in made.iterdir()} == before


def test_models_describes_and_checks_it(made: Path) -> None:
    done = run("models", made)
    first, second, third = done.stdout.splitlines()
    assert first == "demo, a bundle; licence: MIT"
    assert second == "  answers: surfaces (19), seas (2)"
    assert third.startswith("  q4 ")
    assert third.endswith("MB  here, not verified yet, default")
    assert run("models", "check", made).stdout.startswith(f"{made}: 2 right, 0 wrong")
    assert run("models", made).stdout.endswith("MB  here, verified, default\n")
    assert run("models", "demo").stdout.startswith("demo; licence: MIT\n  fp32 ")


def test_a_copy_is_as_good(made: Path, painting: Path) -> None:
    done = run("download", made, "--to", made.parent / "copy")
    assert done.returncode == 0, done.stderr
    found, wanted = (
        run("gaze", painting, "--model", each, "--format", "json").stdout
        for each in (made.parent / "copy", made)
    )
    assert json.loads(found) == json.loads(wanted)


def test_something_must_be_asked_for(tmp_path: Path) -> None:
    done = run("bundle", tmp_path / "out", "--model", "demo")
    assert done.returncode == 2
    assert "name what the folder shall answer: --list, --phrases or --phrase" in done.stderr
    done = run("bundle", tmp_path / "out", "--model", "demo", "--list", "nothing")
    assert "no phrase list is called 'nothing'" in done.stderr
    assert not (tmp_path / "out").exists()
