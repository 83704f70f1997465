"""A `Clip` survives a fork: the new process gets towers, threads and a store of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from samples import PATIENCE

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows has no fork")

FORK = """
import os, sys
import clip_gaze
from PIL import Image
model, how, parent, child = sys.argv[1:]
clip = clip_gaze.Clip(model, threads=2)
image = Image.new("RGB", (60, 50), "teal")
clip.gaze(image, ["on wood", "on paper"])
if parent == "closes":
    clip.close()
forked = os.fork()
if forked == 0:
    if child == "asks":
        try:
            print(clip.gaze(image, ["on glass", "on canvas"]), flush=True)
        except clip_gaze.GazeError as error:
            print(error, flush=True)
    os._exit(0) if how == "leaves at once" else sys.exit()
assert os.waitpid(forked, 0)[1] == 0
if parent == "goes on":
    print(clip.gaze(image, ["on glass", "on canvas"]))
    clip.close()
"""


@pytest.mark.parametrize("how", ["leaves at once", "ends"])
def test_a_forked_process_answers_as_the_first_one(tiny_model: Path, how: str) -> None:
    child, parent = forked(tiny_model, how, "goes on", "asks")
    assert child == parent
    assert "on glass" in child


def test_a_forked_process_that_asks_nothing_ends(tiny_model: Path) -> None:
    assert len(forked(tiny_model, "ends", "goes on", "asks nothing")) == 1


def test_a_closed_clip_stays_closed_in_a_forked_process(tiny_model: Path) -> None:
    (line,) = forked(tiny_model, "ends", "closes", "asks")
    assert "closed" in line


def forked(*arguments: object) -> list[str]:
    """Return what a process and its child print; fail if one of them waits for ever."""
    command = [sys.executable, "-W", "ignore", "-c", FORK, *map(str, arguments)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, encoding="utf-8", start_new_session=True
    ) as running:
        try:
            output, _ = running.communicate(timeout=PATIENCE)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(running.pid, signal.SIGKILL)
    assert running.returncode == 0
    return output.splitlines()
