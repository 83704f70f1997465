"""Measure `clip-gaze prompt` with a model folder, such as a full-size one: lists warm.

    python tests/benchmarks/prompt_speed.py MODEL [--variant q4] [--tries 400]

Prints one JSON object: the whole process for a picture, as many lines as are tried being up to the
model, and the time of all lines that may be tried, five phrases each.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
import export_path  # noqa: F401 - finds `command`
import numpy as np
from PIL import Image

import command
from clip_gaze import Clip
from clip_gaze.analysis.prompt import MOST, Lines, Part, Rules
from clip_gaze.system.resources import usable_cpus
from clip_gaze.texts import phrases
from clip_gaze.texts.sentences import Sentences

TIMES = 3


def whole(model: str, variant: str | None, image: Path) -> tuple[float, int]:
    """Return the seconds of a whole process, the best of three, and how many lines it tried."""
    words = [sys.executable, "-m", "clip_gaze", "prompt", str(image), "--model", model]
    words += ["--format", "json", *(["--variant", variant] if variant else [])]
    seconds = []
    for _ in range(TIMES + 1):  # the first fills the store
        started = time.perf_counter()
        done = subprocess.run(words, check=True, capture_output=True, text=True)
        seconds.append(time.perf_counter() - started)
    return min(seconds[1:]), json.loads(done.stdout)["tried"]


def all_lines(model: str, variant: str | None, count: int) -> float:
    """Return the seconds that lines of five phrases take, the text tower's start included."""
    rng = np.random.default_rng(0)
    lists = {name: phrases.load(name) for name in phrases.FOR_PROMPTS}
    lines = {
        Rules().join(tuple(Part(str(rng.choice(each)), name) for name, each in lists.items()))
        for _ in range(2 * count)
    }
    with Clip(model, variant, offline=True) as clip:
        started = time.perf_counter()
        tokenizer, tower = clip._files.paths["tokenizer"], clip._runtime.towers.text
        sentences = Sentences(clip.manifest, tokenizer, tower)
        image = np.zeros(clip.manifest.embedding_dim, np.float32)
        Lines(sentences.encode, sentences.fits, image, Rules()).similarities(sorted(lines)[:count])
        return time.perf_counter() - started


@click.command(help=__doc__)
@click.argument("model")
@click.option("--variant")
@click.option("--tries", type=click.IntRange(1), default=MOST, show_default=True)
def main(model: str, variant: str | None, tries: int) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["CLIP_GAZE_CACHE"] = str(Path(scratch) / "cache")
        image = Path(scratch) / "picture.png"
        noise = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
        Image.fromarray(noise).save(image)
        seconds, tried = whole(model, variant, image)
        figures = {
            "cpus": usable_cpus(),
            "whole process, s": round(seconds, 2),
            "lines tried": tried,
            f"{tries} lines of five phrases, s": round(all_lines(model, variant, tries), 2),
        }
    click.echo(json.dumps(figures, indent=1))


if __name__ == "__main__":
    command.run(main)
