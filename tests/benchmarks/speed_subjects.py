"""One measurement in a process of its own, as `speed.py` asks for it; prints one JSON object.

    python tests/benchmarks/speed_subjects.py JSON

What is heavy is imported by the subject that is measured, since memory is measured too.
"""

from __future__ import annotations

import json
import os
import runpy
import statistics
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import export_path  # noqa: F401 - finds `peak`

from variants.peak import peak_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Ask = dict[str, Any]

LIST = "artists_by_training_prevalence"


@contextmanager
def clock(times: list[float]) -> Iterator[None]:
    """Add the seconds that the block takes to a list."""
    started = time.perf_counter()
    yield
    times.append(time.perf_counter() - started)


def ours(ask: Ask, times: list[float]) -> None:
    """Run a task with this package."""
    import clip_gaze

    task, paths = ask["task"], ask["pictures"]
    if task == "c":
        # What `python -m clip_gaze` runs; the process that asks has the clock.
        model = ["--model", ask["model"], "--variant", ask["variant"]]
        sys.argv = ["clip-gaze", "gaze", paths[0], *model, "--list", LIST, "-o", os.devnull]
        try:
            runpy.run_module("clip_gaze", run_name="__main__", alter_sys=True)
        except SystemExit as done:
            assert not done.code, done.code  # noqa: PT017 - it is always raised
        return
    from PIL import Image

    phrases = clip_gaze.ARTISTS_BY_TRAINING_PREVALENCE
    if task == "a":
        with clock(times):
            clip = clip_gaze.Clip(ask["model"], ask["variant"])
            clip.gaze(paths[0], phrases)
        clip.close()
        return
    with clip_gaze.Clip(ask["model"], ask["variant"]) as clip:
        if task == "warm":
            clip.gaze(Image.new("RGB", (9, 9)), phrases)
        elif task == "b":
            clip.gaze(paths[0], phrases)
            for path in paths[1:]:
                with clock(times):
                    clip.gaze(path, phrases)
        elif task == "d":
            with clock(times):
                clip.encode_texts(clip_gaze.ARTISTS_BY_NAME)
        else:
            clip.gaze(Image.new("RGB", (9, 9)), phrases)
            with clock(times):
                for result in clip.gaze_many(paths, {LIST: phrases}):
                    assert result.status == "ok", result.error


def original(ask: Ask, times: list[float]) -> None:
    """Run a task with clip-gaze 0.3.0, which is found on the path in place of this package."""
    import clip_gaze

    if not Path(clip_gaze.__file__).resolve().is_relative_to(ask["original"]):
        sys.exit(f"{ask['original']}: clip_gaze was imported from {clip_gaze.__file__} instead")
    import transformers

    for kind in (transformers.CLIPModel, transformers.CLIPProcessor):
        load = kind.from_pretrained
        kind.from_pretrained = classmethod(lambda _, __, load=load: load(ask["checkpoint"]))
    from PIL import Image

    def gaze(path: str, phrases: list[str]) -> None:
        with Image.open(path) as image:
            clip_gaze.gaze(image, phrases, device="cpu", batch_size=ask["batch_size"])

    task, paths = ask["task"], ask["pictures"]
    artists = clip_gaze.ARTISTS_BY_TRAINING_PREVALENCE
    if task in ("a", "c"):
        with clock(times):
            gaze(paths[0], artists)
    elif task == "b":
        gaze(paths[0], artists)
        with clock(times):
            gaze(paths[1], artists)
    else:
        gaze(paths[0], artists[:2])
        names = clip_gaze.ARTISTS_BY_NAME
        with clock(times):
            if task == "d":
                gaze(paths[0], names[:: max(1, len(names) // ask["part"])][: ask["part"]])
            elif task == "e":
                for path in paths:
                    gaze(path, artists)


def graph(ask: Ask, times: list[float]) -> None:
    """Run the vision graph alone, as ONNX Runtime runs it by default, on made-up pixels."""
    import numpy as np
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = ask["threads"]
    session = onnxruntime.InferenceSession(ask["graph"], options, ["CPUExecutionProvider"])
    shape = 1, 3, ask["size"], ask["size"]
    rng = np.random.default_rng(0)
    feeds = {session.get_inputs()[0].name: rng.normal(size=shape).astype(np.float32)}
    session.run(None, feeds)
    if ask["task"] == "b":
        for _ in ask["pictures"]:
            with clock(times):
                session.run(None, feeds)
    else:
        with clock(times):
            for _ in ask["pictures"]:
                session.run(None, feeds)


def paint(ask: Ask, _: list[float]) -> None:
    """Write the pictures; here, so that the process that asks stays small."""
    from photographs import paint_photographs

    paint_photographs(Path(ask["folder"]), ask["count"])


SUBJECTS: dict[str, Callable[[Ask, list[float]], None]] = {
    "ours": ours,
    "original": original,
    "graph": graph,
    "paint": paint,
}


def main() -> None:
    """Measure what the argument asks for."""
    ask = json.loads(sys.argv[1])
    times: list[float] = []
    SUBJECTS[ask["kind"]](ask, times)
    seconds, peak = statistics.median(times) if times else None, peak_bytes()
    answer = {"seconds": seconds, "peak_mb": None if peak is None else peak / 2**20}
    sys.stdout.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
