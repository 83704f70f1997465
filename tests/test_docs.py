"""Every command and every Python example in the README and in docs/ works."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    # The commands of models.md need a Hub; test_cli_models.py runs them.
    *sorted(set((ROOT / "docs").glob("*.md")) - {ROOT / "docs" / "models.md"}),
]
# What a line of a page may start with, to be run here; installing and testing is CI's own work.
COMMAND = re.compile(r"^ {4}(clip-gaze .*)$", re.MULTILINE)
EXAMPLE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def cases(pattern: re.Pattern[str]) -> list[object]:
    return [
        pytest.param(found, id=f"{page.name}-{number}")
        for page in PAGES
        for number, found in enumerate(pattern.findall(page.read_text(encoding="utf-8")))
    ]


@pytest.fixture
def studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with the files that the pages speak of, as the working folder."""
    from painter import paint

    for seed, name in enumerate(("painting.jpg", "one.jpg", "two.jpg")):
        paint(seed, 160).image.save(tmp_path / name)
    (tmp_path / "my_words.txt").write_text("a stormy sea\na calm sea\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("studio")
@pytest.mark.parametrize("line", cases(COMMAND))
def test_command(line: str) -> None:
    words = shlex.split(line)[1:]
    sees = words[0] in ("compare", "gaze", "report", "see") or words[:2] == ["lists", "bias"]
    if sees and "--model" not in words:
        words += ["--model", "demo"]  # the default model must be fetched
    done = subprocess.run(
        [sys.executable, "-m", "clip_gaze", *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.usefixtures("studio")
@pytest.mark.parametrize("source", cases(EXAMPLE))
def test_example(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from clip_gaze import models

    monkeypatch.setattr(models, "DEFAULT", "demo")
    exec(compile(source, "example", "exec"), {})
