"""Measure `clip-gaze find`: pictures that are known, and a million vectors.

    python tests/benchmarks/find_speed.py [--stored 10000] [--vectors 1000000]

The pictures are small and the demo model looks at them: neither matters once they are known. The
vectors are random, 512 numbers each, in a file as `search/index.py` has it. Prints one JSON
object.
"""

from __future__ import annotations

import json
import os
import re
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
from clip_gaze.search.index import Index
from clip_gaze.store import Store
from clip_gaze.system.resources import usable_cpus

DIM = 512
ENCODER = "vision:benchmark"
TIMES = 5
# Looks for the nearest ten of all vectors of a folder, twice; prints what the second time took.
SEARCH = f"""
import json, sys, time
import numpy as np
from pathlib import Path
from clip_gaze.search import nearest
from clip_gaze.search.index import Index
from clip_gaze.store import Store
wanted = np.load(sys.argv[2])
for _ in range(2):
    started = time.perf_counter()
    index = Index(Store(None), Path(sys.argv[1]), {ENCODER!r}, {DIM})
    take = lambda at: index.vectors[at[0] : at[-1] + 1]
    values = nearest.cosines(take, len(index.digests), wanted)
    best = np.argsort(-values, kind="stable")[:10]
    seconds = time.perf_counter() - started
status = Path("/proc/self/status")
text = status.read_text() if status.exists() else ""
private = int(text.partition("RssAnon:")[2].split()[0]) if text else 0  # without mapped files
print(json.dumps([seconds, private / 1024, best.tolist(), values[best].tolist()]))
"""


def known(folder: Path, count: int) -> dict[str, float]:
    """Return the seconds of whole processes that search known pictures, the median of five."""
    for number in range(count):
        colour = (number % 256, number // 256, 99)
        Image.new("RGB", (8, 8), colour).save(folder / f"{number:05}.bmp")
    line = [sys.executable, "-m", "clip_gaze"]

    def find(where: str) -> float:
        started = time.perf_counter()
        words = ["find", "a harbour", where, "--model", "demo"]
        subprocess.run([*line, *words], check=True, capture_output=True)
        return time.perf_counter() - started

    find(str(folder))
    seconds = {where: sorted(find(where) for _ in range(TIMES)) for where in (str(folder), "all")}
    started = [time.perf_counter()]
    for _ in range(TIMES):
        subprocess.run([*line, "--help"], check=True, capture_output=True)
        started.append(time.perf_counter())
    folder_s, all_s = (round(each[TIMES // 2], 3) for each in seconds.values())
    return {
        "in a folder, s": folder_s,
        "in all, s": all_s,
        "--help alone, s": round(float(np.median(np.diff(started))), 3),
    }


def million(folder: Path, count: int) -> dict[str, float | bool]:
    """Return what a search over random vectors takes, and whether a plain product says the same."""
    rng = np.random.default_rng(0)
    index = Index(Store(None), folder, ENCODER, DIM)
    record = np.dtype([("digest", "S32"), ("vector", "<f4", (DIM,))])
    with index.path.open("wb") as file:
        for at in range(0, count, 10_000):
            block = np.empty(min(10_000, count - at), record)
            block["digest"] = [b"%032d" % (at + each) for each in range(len(block))]
            vectors = rng.standard_normal(block["vector"].shape, np.float32)
            block["vector"] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
            file.write(block.tobytes())
    wanted = rng.standard_normal(DIM).astype(np.float32)
    wanted /= np.linalg.norm(wanted)
    np.save(folder / "wanted.npy", wanted)
    words = [sys.executable, "-c", SEARCH, str(folder), str(folder / "wanted.npy")]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    seconds, private, nearest, values = json.loads(re.findall(r"\[.*", done.stdout)[-1])
    plain = np.memmap(index.path, record, "r")["vector"] @ wanted
    best = np.argsort(-plain, kind="stable")[:10]
    return {
        "search, s": round(seconds, 2),
        "private memory, MB": round(private),
        "as a plain product": best.tolist() == nearest and bool(np.allclose(plain[best], values)),
    }


@click.command(help=__doc__)
@click.option("--stored", type=click.IntRange(1, 2**16), default=10_000, show_default=True)
@click.option("--vectors", type=click.IntRange(1000), default=1_000_000, show_default=True)
def main(stored: int, vectors: int) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["CLIP_GAZE_CACHE"] = str(Path(scratch) / "cache")
        folder = Path(scratch) / "pictures"
        folder.mkdir()
        figures = {
            "cpus": usable_cpus(),
            f"{stored:,} known pictures": known(folder, stored),
            f"{vectors:,} x {DIM}": million(Path(scratch), vectors),
        }
    click.echo(json.dumps(figures, indent=1))


if __name__ == "__main__":
    command.run(main)
