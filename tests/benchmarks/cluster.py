"""Measure datasets and clusters; print figures, and ratios where a machine's pace does not count.

python tests/benchmarks/cluster.py answers --pictures 1000000
python tests/benchmarks/cluster.py names --names 10000 1000000
python tests/benchmarks/cluster.py stubs --workers 200 --seconds 300
python tests/benchmarks/cluster.py rate --pictures 400
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
import numpy as np

from clip_gaze import Clip
from clip_gaze.datasets import embed, engines, parts
from clip_gaze.datasets.listing import Named
from clip_gaze.datasets.partitions import Partition, partitions
from clip_gaze.datasets.work import Outcome
from clip_gaze.system.storage import Folder
from clip_gaze.texts import phrases

LISTS = ("artists_by_training_prevalence", "movements", "surfaces")
PEAK = (
    "import resource, subprocess, sys\n"
    "code = subprocess.call(sys.argv[1:])\n"
    "print(code, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\n"
)


def answers(pictures: int, folder: Path) -> None:
    """Ask three lists about so many vectors, and check the rows and the sum of probabilities."""
    rng = np.random.default_rng(0)
    names = (Named(f"{number:08}.jpg", "1 1") for number in range(pictures))
    with Clip("demo") as clip:
        about = embed.about(clip)
        place = Folder(str(folder / "vectors"))
        empty = parts.schema(about).empty_table()
        place.put(parts.ABOUT, parts.packed(empty))
        for each in partitions(names):
            vectors = rng.standard_normal((each.count, about["dim"])).astype(np.float32)
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            rows = parts.Rows([n for n, _ in each.pictures], [None] * each.count, vectors,
                              [None] * each.count)  # fmt: skip
            place.put(each.file, parts.packed(parts.vectors(rows, about)))
    words = ["gaze", str(folder / "vectors"), "-o", str(folder / "answers"), "--top", "5"]
    words += [word for name in LISTS for word in ("--list", name)]
    command = [sys.executable, "-c", PEAK, sys.executable, "-m", "clip_gaze", *words]
    start = time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    took = time.perf_counter() - start
    code, peak = map(int, done.stdout.split())
    rows, total, most = checked(folder)
    click.echo(f"gaze DATASET: {pictures:,} vectors of {about['dim']}, code {code}: {took:.1f} s, "
          f"{peak / 1024:.0f} MiB; {rows:,} rows; sum of the probabilities {total:.3f}, "
          f"of which the largest difference to float64 is {most:.2e}")  # fmt: skip


def checked(folder: Path) -> tuple[int, float, float]:
    """Return rows and the sum of probabilities, and how far some are from those in float64."""
    _, parquet = parts.arrow()
    rows, total, most = 0, 0.0, 0.0
    with Clip("demo") as clip:
        texts = {name: clip.encode_texts(phrases.load(name)) for name in LISTS}
        scale = clip.manifest.logit_scale
    for number, path in enumerate(sorted((folder / "answers").glob("part-*"))):
        table = parquet.read_table(path, columns=["image", "list", "probability"])
        rows += len(table)
        values = table.column("probability").to_numpy()
        total += float(values.sum())
        if number < 10:
            vectors = parts.rows((folder / "vectors" / path.name).read_bytes()).vectors
            found = values.reshape(len(vectors), len(LISTS), 5)
            for at, name in enumerate(LISTS):
                logits = scale * vectors.astype(np.float64) @ texts[name].astype(np.float64).T
                powers = np.exp(logits - logits.max(axis=1, keepdims=True))
                likely = -np.sort(-powers / powers.sum(axis=1, keepdims=True), axis=1)[:, :5]
                most = max(most, float(np.abs(likely - found[:, at]).max()))
    return rows, total, most


def stub(partition: Partition, pause: float) -> Outcome:
    """Wait so long for each picture."""
    time.sleep(pause * partition.count)
    return Outcome(partition.count)


def resident(pid: int) -> float:
    """Return the memory of a process in MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0


def names(counts: list[int], folder: Path) -> None:
    """List so many names, work on them with stubs, and say what client and scheduler take."""
    from dask_processes import processes

    for count in counts:
        with processes(folder / str(count)) as started:
            scheduler = started.scheduler()
            started.worker(), started.worker()
            file = folder / f"{count}.txt"
            with file.open("w") as listed:
                listed.writelines(f"s3://bucket/scans/{number:09}.jpg\n" for number in range(count))
            code = (
                "import sys, json, resource\n"
                "from cluster import partitions, engines, stub, resident\n"
                "from clip_gaze.datasets import listing\n"
                "import os\n"
                "cut = partitions(listing.listed(listing.names(sys.argv[1]), print))\n"
                "with engines.connected(sys.argv[2]) as client:\n"
                "    done = sum(o.count for _, o in engines.on_cluster(client, stub, 0.0, cut))\n"
                "    print(json.dumps([done, resident(os.getpid())]))\n"
            )
            command = [sys.executable, "-c", code, str(file), started.address]
            start = time.perf_counter()
            out = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
            done, client = json.loads(out)
            took = time.perf_counter() - start
            click.echo(f"{done:,} names in {took:.0f} s: client {client:.0f} MiB, "
                  f"scheduler {resident(scheduler.pid):.0f} MiB")  # fmt: skip


def stubs(workers: int, seconds: int, folder: Path) -> None:
    """Say how busy so many workers are with pictures that take 50 ms each."""
    from dask_processes import processes

    with processes(folder / "stubs") as started:
        scheduler = started.scheduler()
        # Each thread of a process is a worker that waits: 200 processes have no room here.
        started.worker("--nthreads", str(workers))
        count = int(workers * seconds / 0.05)
        cut = partitions(Named(f"s3://bucket/{number:09}.jpg") for number in range(count))
        done, seen = 0, []
        with engines.connected(started.address) as client:
            client.wait_for_workers(1)
            start = time.perf_counter()
            for _, outcome in engines.on_cluster(client, stub, 0.05, cut):
                done += outcome.count  # type: ignore[union-attr]
                seen.append(resident(scheduler.pid))
            took = time.perf_counter() - start
    busy = done * 0.05 / (workers * took)
    third = len(seen) // 3
    click.echo(f"{workers} threads, {done:,} pictures of 50 ms in {took:.0f} s: busy {busy:.1%}; "
          f"scheduler {seen[third]:.0f} MiB at a third, {seen[-1]:.0f} MiB at the end")  # fmt: skip


def rate(pictures: int, folder: Path) -> None:
    """Say how much faster two workers of one thread each are than one."""
    from photographs import paint_photographs

    scans = folder / "scans"
    scans.mkdir()
    paint_photographs(scans, pictures)
    took = {}
    for workers in (1, 2, 1, 2):
        place = folder / f"vectors-{len(list(folder.iterdir()))}"
        with engines.connected(f"local:{workers}") as client:
            client.wait_for_workers(workers)
            start = time.perf_counter()
            embed.embed(scans, place, model="demo", cluster=client, per_part=16)
            spent = time.perf_counter() - start
            took[workers] = min(spent, took.get(workers, spent))
    click.echo(f"{pictures} pictures: one worker {took[1]:.1f} s, two {took[2]:.1f} s: "
          f"{took[1] / took[2]:.2f} times")  # fmt: skip


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("answers", "names", "stubs", "rate"))
    parser.add_argument("--pictures", type=int, default=1_000_000)
    parser.add_argument("--names", type=int, nargs="+", default=[10_000, 1_000_000])
    parser.add_argument("--workers", type=int, default=200)
    parser.add_argument("--seconds", type=int, default=300)
    asked = parser.parse_args()
    # Workers import this module.
    os.environ["PYTHONPATH"] = os.pathsep.join(
        [str(Path(__file__).parent), str(Path(__file__).parents[1])]
    )
    with tempfile.TemporaryDirectory() as folder:
        if asked.what == "answers":
            answers(asked.pictures, Path(folder))
        elif asked.what == "names":
            names(asked.names, Path(folder))
        elif asked.what == "stubs":
            stubs(asked.workers, asked.seconds, Path(folder))
        else:
            rate(asked.pictures, Path(folder))


if __name__ == "__main__":
    main()
