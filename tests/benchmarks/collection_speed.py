"""Measure a folder of pictures: the pipeline against the bare graph, and a second look.

    python tests/benchmarks/collection_speed.py MODEL [--pictures 1000] [--stored 10000]

MODEL is a full-size model folder from `export/export_clip.py`. Prints one JSON object; figures of
one run are to be compared with each other alone.
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
import numpy as np
from PIL import Image

import clip_gaze
from clip_gaze import models, phrases
from clip_gaze.session import Tower, usable_cpus

SIZE = 2175, 1713
KINDS = 20


def paint_photographs(folder: Path, count: int) -> list[Path]:
    """Write `count` JPEGs of the size of a museum's reproduction, of a few kinds."""
    rng = np.random.default_rng(0)
    contents = []
    for kind in range(KINDS):
        coarse = rng.integers(0, 256, (60 + 10 * kind, 80 + 10 * kind, 3), dtype=np.uint8)
        large = Image.fromarray(coarse).resize(SIZE, Image.Resampling.BICUBIC)
        grain = Image.effect_noise(SIZE, 20).convert("RGB")
        Image.blend(large, grain, 0.2).save(folder / "kind.jpg", quality=90)
        contents.append((folder / "kind.jpg").read_bytes())
    (folder / "kind.jpg").unlink()
    paths = [folder / f"{number:05}.jpg" for number in range(count)]
    for number, path in enumerate(paths):
        # Behind the end of a JPEG anything may stand: no two files have the same digest.
        path.write_bytes(contents[number % KINDS] + number.to_bytes(4, "big"))
    return paths


def bare_graph(model: str, variant: str | None, count: int) -> float:
    """Return the seconds that the graph alone takes for `count` pictures, one in each run."""
    found = models.find(model)
    _, towers = found.manifest.variant(variant)
    tower = Tower(found.folder / towers.vision.file)
    size = found.manifest.image.size
    pixels = np.random.default_rng(0).normal(size=(1, 3, size, size)).astype(np.float32)
    tower.images(pixels)
    started = time.perf_counter()
    for _ in range(count):
        tower.images(pixels)
    return time.perf_counter() - started


def pipeline(model: str, variant: str | None, paths: list[Path], name: str) -> float:
    """Return the seconds from paths to results, lists warm and pictures not."""
    lists = {name: phrases.load(name)}
    with clip_gaze.Clip(model, variant) as clip:
        clip.encode_texts(lists[name])
        clip.encode_images([Image.new("RGB", (9, 9))])
        started = time.perf_counter()
        failed = sum(result.status == "error" for result in clip.gaze_many(paths, lists))
        assert not failed
        return time.perf_counter() - started


def second_look(folder: Path, count: int) -> float:
    """Return the seconds of a whole process that asks another list about stored pictures."""
    for number in range(count):
        colour = (number % 256, number // 256, 99)
        Image.new("RGB", (8, 8), colour).save(folder / f"{number:05}.bmp")

    def gaze(what: Path, name: str) -> None:
        command = [sys.executable, "-m", "clip_gaze", "gaze", str(what), "--model", "demo"]
        output = ["--list", name, "--format", "jsonl", "-o", os.devnull]
        subprocess.run([*command, *output], check=True)

    gaze(folder, "movements")
    gaze(folder / "00000.bmp", "surfaces")  # its phrases are encoded here
    started = time.perf_counter()
    gaze(folder, "surfaces")
    return time.perf_counter() - started


@click.command(help=__doc__)
@click.argument("model")
@click.option("--variant")
@click.option("--pictures", "count", default=1000, show_default=True)
@click.option("--stored", default=10_000, show_default=True)
def main(model: str, variant: str | None, count: int, stored: int) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["CLIP_GAZE_CACHE"] = str(Path(scratch) / "cache")
        folders = [Path(scratch) / name for name in ("large", "small")]
        for folder in folders:
            folder.mkdir()
        paths = paint_photographs(folders[0], count)
        graph = bare_graph(model, variant, min(count, 400)) * count / min(count, 400)
        whole = pipeline(model, variant, paths, "movements")
        again = pipeline(model, variant, paths, "surfaces")
        stored_seconds = second_look(folders[1], stored)
    figures = {
        "cpus": usable_cpus(),
        "pictures": count,
        "size": SIZE,
        "graph alone, s": round(graph, 2),
        "pipeline, s": round(whole, 2),
        "throughput against the graph alone": round(graph / whole, 3),
        "second list, same process kind, s": round(again, 2),
        "stored pictures": stored,
        "second list over them, whole process, s": round(stored_seconds, 2),
    }
    click.echo(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
