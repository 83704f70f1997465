"""Measure a second look at a folder: another list about pictures that were looked at before.

    python tests/benchmarks/collection_speed.py [--stored 10000]

The pictures are small, and the demo model looks at them: neither matters the second time. Prints
one JSON object. What the first time takes, speed.py measures.
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
from PIL import Image

import command
from clip_gaze.system.resources import usable_cpus


def second_look(folder: Path, count: int) -> float:
    """Return the seconds of a whole process that asks another list about stored pictures."""
    for number in range(count):
        colour = (number % 256, number // 256, 99)
        Image.new("RGB", (8, 8), colour).save(folder / f"{number:05}.bmp")

    def gaze(what: Path, name: str) -> None:
        words = [sys.executable, "-m", "clip_gaze", "gaze", str(what), "--model", "demo"]
        output = ["--list", name, "--format", "jsonl", "-o", os.devnull]
        subprocess.run([*words, *output], check=True)

    gaze(folder, "movements")
    gaze(folder / "00000.bmp", "surfaces")  # its phrases are encoded here
    started = time.perf_counter()
    gaze(folder, "surfaces")
    return time.perf_counter() - started


@click.command(help=__doc__)
@click.option("--stored", type=click.IntRange(1, 2**16), default=10_000, show_default=True)
def main(stored: int) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["CLIP_GAZE_CACHE"] = str(Path(scratch) / "cache")
        folder = Path(scratch) / "pictures"
        folder.mkdir()
        seconds = second_look(folder, stored)
    figures = {
        "cpus": usable_cpus(),
        "stored pictures": stored,
        "second list over them, whole process, s": round(seconds, 2),
    }
    click.echo(json.dumps(figures, indent=1))


if __name__ == "__main__":
    command.run(main)
