"""Whatever stops a run, what it finished stays: in the store, and in what it wrote."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from clip_gaze import Clip, GazeError
from clip_gaze.store import FILE, Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from PIL import Image

    MakePicture = Callable[..., Image.Image]

COUNT = 40
LISTS = {"surface": ["on canvas", "on wood"]}


@pytest.fixture
def folder(tmp_path: Path, picture: MakePicture) -> Path:
    """Return a folder of pictures that differ."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for seed in range(COUNT):
        picture(seed=seed).save(folder / f"{seed:02}.png")
    return folder


def kept(cache: Path) -> int:
    """Return how many pictures' vectors are in the store, which nobody called damaged."""
    assert [path.name for path in cache.iterdir() if "damaged" in path.name] == []
    store = Store(cache)
    try:
        return store.counts().get("vision", 0)
    finally:
        store.close()


def started(folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "clip_gaze", "gaze", str(folder), "--model", "demo"]
    command += ["--list", "surfaces", "--format", "jsonl", "--threads", "4"]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8"
    )


@pytest.mark.parametrize("taken", [1, 2, 7, 23])
def test_a_reader_who_goes_loses_nothing(cache: Path, folder: Path, taken: int) -> None:
    with started(folder) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        lines = [process.stdout.readline() for _ in range(taken)]
        process.stdout.close()
        said = process.stderr.read()
    assert all(json.loads(line)["status"] == "ok" for line in lines)
    assert "damaged" not in said
    assert "Traceback" not in said
    assert kept(cache) >= taken


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such signals")
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
@pytest.mark.parametrize("seed", range(3))
def test_a_signal_loses_nothing(cache: Path, folder: Path, sent: int, seed: int) -> None:
    taken = random.Random(f"{sent} {seed}").randrange(1, COUNT - 8)
    with started(folder) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        done = [process.stdout.readline() for _ in range(taken)]
        process.send_signal(sent)
        done += process.stdout.readlines()
        said = process.stderr.read()
    assert "damaged" not in said
    assert "Traceback" not in said
    assert kept(cache) >= sum(line.endswith("\n") for line in done)


@pytest.mark.parametrize("taken", [1, 5, 30])
def test_an_exception_in_the_middle_loses_nothing(
    cache: Path, folder: Path, taken: int, caplog: pytest.LogCaptureFixture
) -> None:
    paths = sorted(folder.iterdir())
    with contextlib.suppress(ZeroDivisionError), Clip("demo", threads=3) as clip:
        results = clip.gaze_many(paths, LISTS)
        for _ in range(taken):
            assert next(results).status == "ok"
        raise ZeroDivisionError
    assert caplog.text == ""
    assert kept(cache) >= taken
    # Whoever goes on after that is told.
    with pytest.raises(GazeError, match="was closed"):
        list(results)


def test_a_store_is_not_used_after_it_was_closed(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.counts()
    store.close()
    for use in (store.counts, store.clear, lambda: store.get("encoder", ["a"], 8)):
        with pytest.raises(GazeError, match="was closed"):
            use()
    assert [path.name for path in tmp_path.iterdir()] == [FILE]
