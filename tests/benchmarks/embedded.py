"""Measure a process of five lines that asks a bundle: memory, start to answer, size.

    python tests/benchmarks/embedded.py --model MODEL [--variant q4] [--docs docs/embedding.md]

MODEL is what `export/export_clip.py` wrote. Processes run in turns with some that import numpy,
onnxruntime and Pillow alone. Needs Linux.
"""

from __future__ import annotations

import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import click
import export_path  # noqa: F401 - finds `command`
import speed_report
from photographs import paint_photographs
from speed import processor

import clip_gaze
import command
from clip_gaze.system.resources import usable_cpus

BEGIN, END = "<!-- figures: embedded.py writes them -->", "<!-- end of figures -->"
LISTS = ("movements", "surfaces")
BARE = "import numpy, onnxruntime, PIL.Image"
FIVE = """
import sys
from clip_gaze import Clip
clip = Clip(sys.argv[1])
print(clip.gaze(open(sys.argv[2], "rb").read(), clip.lists))
{}
"""
# Memory is asked for in other processes than those whose time is taken.
MEMORY = "print(open('/proc/self/smaps_rollup').read())"


def run(code: str, *words: object, cache: Path) -> tuple[float, str]:
    """Return the seconds of a whole process, and what it prints."""
    environment = os.environ | {"CLIP_GAZE_CACHE": str(cache)}
    started = time.perf_counter()
    said = subprocess.run(
        [sys.executable, "-c", code, *map(str, words)],
        check=True, env=environment, stdout=subprocess.PIPE, text=True,
    ).stdout  # fmt: skip
    return time.perf_counter() - started, said


def private(code: str, *words: object, cache: Path) -> float:
    """Return the anonymous memory of a process at its end, in MB of 2^20 bytes."""
    _, said = run(code, *words, cache=cache)
    return int(re.findall(r"Anonymous:\s+(\d+) kB", said)[0]) / 1024


def size(folder: Path, *names: str) -> float:
    """Return the size of a folder's files, in MB of 10^6 bytes."""
    files = [folder / name for name in names] if names else list(folder.iterdir())
    return sum(path.stat().st_size for path in files) / 1e6


@click.command(help=__doc__)
@click.option("--model", required=True, help="The model folder.")
@click.option("--variant", default="q4", show_default=True)
@click.option("--repeat", type=click.IntRange(min=1), default=9, show_default=True)
@click.option("--docs", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def main(model: str, variant: str, repeat: int, docs: Path | None) -> None:
    """Measure, print, and write what is asked for."""
    with tempfile.TemporaryDirectory() as scratch:
        folder, bundle, cache = Path(model), Path(scratch) / "bundle", Path(scratch) / "cache"
        paint_photographs(Path(scratch), 1)
        (picture,) = (path for path in Path(scratch).iterdir() if path.is_file())
        with clip_gaze.Clip(folder, variant) as clip:
            clip.bundle(bundle, {name: getattr(clip_gaze, name.upper()) for name in LISTS})
            names = [file.file for file in clip.manifest.files(variant).values()]
        whole, small = size(folder, *names), size(bundle)
        asked = FIVE.format("")
        empty = Path(scratch) / "none"
        empty.mkdir()
        plain = private(FIVE.format(MEMORY), bundle, picture, cache=empty)
        first, _ = run(FIVE.format("clip.close()"), bundle, picture, cache=cache)  # packs
        mapped = private(FIVE.format(MEMORY), bundle, picture, cache=cache)
        rounds = [
            (run(asked, bundle, picture, cache=cache)[0], run(BARE, cache=cache)[0])
            for _ in range(repeat)
        ]
        seconds, bare = (statistics.median(each[at] for each in rounds) for at in (0, 1))
    rows = [
        ["folder, MB", f"{small:.1f}", f"{whole:.1f} for the whole model"],
        ["start to answer, s", f"{seconds:.2f}", f"{bare:.2f} for the bare imports"],
        ["times the bare imports", f"{seconds / bare:.1f}", ""],
        ["private memory, mapped weights, MB", f"{mapped:.0f}", ""],
        ["private memory, first run, MB", f"{plain:.0f}", ""],
        ["first run, packing included, s", f"{first:.1f}", ""],
    ]
    about = (
        f"A ViT-B/32 ({variant}) with random weights and the lists {' and '.join(LISTS)}. Medians "
        f"of {repeat} processes: {processor()}, {usable_cpus()} CPUs, {platform.system()} "
        f"{platform.machine()}, Python {platform.python_version()}, onnxruntime "
        f"{version('onnxruntime')}. Private memory in MB of 2^20 bytes."
    )
    text = "\n".join([about, "", *speed_report.table(["", "found", "beside"], rows)])
    click.echo(text)
    if docs:
        before, rest = docs.read_text(encoding="utf-8").split(BEGIN)
        after = rest.split(END)[1]
        docs.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    command.run(main)
