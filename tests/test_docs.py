"""Every command and every Python example in the README and in docs/ works."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from serving import Served, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    # The commands of models.md need a Hub; test_cli_models.py runs them.
    # Those of embedding.md need each other; test_embedding.py runs them.
    *sorted(
        set((ROOT / "docs").glob("*.md"))
        - {ROOT / "docs" / "models.md", ROOT / "docs" / "embedding.md"}
    ),
]
# What a line of a page may start with, to be run here; installing and testing is CI's own work.
COMMAND = re.compile(r"^ {4}(clip-gaze (?!serve).*)$", re.MULTILINE)
SERVE = re.compile(r"^ {4}(clip-gaze serve.*)$", re.MULTILINE)
CURL = re.compile(r"^ {4}(curl .*)$", re.MULTILINE)
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
    from demo.painter import paint

    for seed, name in enumerate(("painting.jpg", "one.jpg", "two.jpg")):
        paint(seed, 160).image.save(tmp_path / name)
    (tmp_path / "my_words.txt").write_text("a stormy sea\na calm sea\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("studio")
@pytest.mark.parametrize("line", cases(COMMAND))
def test_command(line: str) -> None:
    words = shlex.split(line)[1:]
    sees = words[0] in ("compare", "embed", "find", "gaze", "prompt", "report", "see") or words[
        :2
    ] == [
        "lists",
        "bias",
    ]
    if sees and "--model" not in words:
        words += ["--model", "demo"]  # the default model must be fetched
    done = subprocess.run(
        [sys.executable, "-m", "clip_gaze", *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("line", cases(SERVE))
def test_serving(line: str) -> None:
    words = [*shlex.split(line)[1:], "--model", "demo", "--port", "0", "--no-open"]
    process = subprocess.Popen(
        [sys.executable, "-m", "clip_gaze", *words], stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        ready = process.stdout.readline()
        process.terminate()
    assert re.match(r"clip-gaze serves http://\S+$", ready)
    assert os.name == "nt" or process.returncode == 0


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    """Return a server for the pages' requests."""
    with serving() as server:
        yield server


@pytest.mark.usefixtures("studio")
@pytest.mark.parametrize("line", cases(CURL))
def test_request(line: str, served: Served) -> None:
    if shutil.which("curl") is None and not os.environ.get("CI"):
        pytest.skip("there is no curl")
    words = shlex.split(line.replace("http://127.0.0.1:8017/", f"http://{served.host}/"))
    assert served.host in words[-1]
    done = subprocess.run(
        [*words, "--fail-with-body", "--silent", "--show-error"],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    if "-o" in words:
        with Image.open(words[words.index("-o") + 1]) as card:
            card.load()
    elif "text/event-stream" in line:
        assert done.stdout.endswith("event: done\ndata: {}\n\n")
    else:
        assert json.loads(done.stdout)


@pytest.mark.usefixtures("studio")
@pytest.mark.parametrize("source", cases(EXAMPLE))
def test_example(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from clip_gaze.model import registry

    monkeypatch.setattr(registry, "DEFAULT", "demo")
    exec(compile(source, "example", "exec"), {})


@pytest.mark.parametrize("source", [each for each in cases(EXAMPLE) if "_many(" in str(each)])
def test_example_with_a_picture_that_cannot_be_read(
    source: str, studio: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "embed(" in source:  # its extra has a pyarrow that can read rows without a vector
        pytest.importorskip("distributed")
    (studio / "two.jpg").write_bytes(b"no picture")
    test_example(source, monkeypatch)
