"""Measure datasets and clusters, and write what docs/cluster.md says of them.

    python tests/benchmarks/cluster.py [answers] [names] [stubs] [rate] [--docs docs/cluster.md]

`answers` asks three lists about a million vectors. `names` lists many names for stub work, and
looks at the memory of client and scheduler. `stubs` keeps 200 workers busy with stub work. `rate`
compares one worker with two, with the model that --model names. Needs Linux.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click
import dask
import export_path  # noqa: F401 - finds `command` and `dask_processes`
import numpy as np
import speed_report
from distributed import Worker, get_worker
from photographs import SIZE, paint_photographs
from speed import processor

import command
from clip_gaze import Clip
from clip_gaze.datasets import description, embed, engines, parts
from clip_gaze.datasets.listing import Named, listed
from clip_gaze.datasets.listing import names as names_in
from clip_gaze.datasets.partitions import Partition, partitions
from clip_gaze.datasets.place import ABOUT
from clip_gaze.system.resources import usable_cpus
from clip_gaze.system.storage import Folder
from clip_gaze.texts import phrases
from dask_processes import processes

if TYPE_CHECKING:
    from collections.abc import Iterator

BEGIN, END = "<!-- figures: cluster.py writes them -->", "<!-- end of figures -->"
PAUSE = 0.05  # seconds that stub work takes for a picture
IN_PROCESS = 25  # workers
RAMP = 45  # seconds more than what is measured: at the beginning and the end
SAMPLE = 10  # seconds between two looks at a scheduler's memory
# As the page advises: a scheduler keeps the last thousand messages to each worker else.
SHORT = {"DASK_DISTRIBUTED__ADMIN__LOW_LEVEL_LOG_LENGTH": "2"}
TIMES = "\N{MULTIPLICATION SIGN}"
COLLECTION = 10_000_000  # pictures, for the arithmetic
# What is measured, what is wanted, what was found.
Row = tuple[str, str, str]
HERE = Path(__file__).parent
LISTS = ("artists_by_training_prevalence", "movements", "surfaces")
PEAK = (
    "import resource, subprocess, sys\n"
    "code = subprocess.call(sys.argv[1:])\n"
    "print(code, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\n"
)


def answers(pictures: int, folder: Path) -> Iterator[Row]:
    """Ask three lists about so many vectors, and check the rows and the sum of probabilities."""
    rng = np.random.default_rng(0)
    names = (Named(f"{number:08}.jpg", "1 1") for number in range(pictures))
    with Clip("demo") as clip:
        about = description.about(clip)
        place = Folder(str(folder / "vectors"))
        empty = parts.schema(about).empty_table()
        place.put(ABOUT, parts.packed(empty))
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
    lists = len(LISTS)
    yield (
        f"three lists over {pictures:,} vectors of {about['dim']}: seconds",
        "≤ 60",
        f"{took:.1f}",
    )
    yield ("memory, MB", "≤ 1,000", f"{peak * 1024 / 1e6:,.0f}")
    yield ("rows", f"{pictures * lists * 5:,}", f"{rows:,}")
    # Of all phrases of a list the sum would be 1; of the likeliest five it is what they have.
    yield ("largest difference of a probability to float64", "≤ 1e-5", f"{most:.0e}")
    assert code == 0
    assert 0 < total < pictures * lists


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


class Slept(NamedTuple):
    """A part of stub work: how many pictures, on which worker, and when it began and ended."""

    count: int
    worker: str
    begin: float
    end: float


def stub(partition: Partition, pause: float) -> Slept:
    """Wait so long for each picture."""
    begin = time.time()
    for _ in range(partition.count if pause else 0):
        time.sleep(pause)
    return Slept(partition.count, get_worker().address, begin, time.time())


def resident(pid: int) -> float:
    """Return the memory of a process in MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0


def client(file: str, address: str) -> None:
    """Work on the names in a file, and print how many they are and the memory it took."""
    cut = partitions(listed(names_in(file), print))
    with engines.connected(address) as connection:
        done = sum(slept.count for _, slept in engines.on_cluster(connection, stub, 0.0, cut))
        click.echo(json.dumps([done, resident(os.getpid())]))


def names(counts: tuple[int, ...], folder: Path) -> Iterator[Row]:
    """List so many names, work on them with stubs, and say what client and scheduler take."""
    sizes: dict[str, list[float]] = {"client": [], "scheduler": []}
    for count in counts:
        file = folder / f"{count}.txt"
        with file.open("w") as lines:
            lines.writelines(f"s3://bucket/scans/{number:09}.jpg\n" for number in range(count))
        with processes(folder / str(count)) as started:
            scheduler = started.scheduler()
            started.worker(), started.worker()
            done, size = json.loads(called(f"client({str(file)!r}, {started.address!r})"))
            assert done == count
            sizes["client"].append(size)
            sizes["scheduler"].append(resident(scheduler.pid))
    for name, found in sizes.items():
        many = " and ".join(f"{count:,}" for count in counts)
        wanted = f"≤ {1.2 * found[0]:.0f}"
        yield (f"{name}, {many} names: MiB", wanted, " and ".join(f"{size:.0f}" for size in found))


def called(code: str) -> str:
    """Call a function of this module in a process of its own, and return what it prints."""
    words = [sys.executable, "-c", f"import cluster; cluster.{code}"]
    return subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True).stdout


def hold(address: str, count: int) -> None:
    """Be many workers of one thread each, in one process, until the scheduler is gone."""
    # Each worker's thread would be looked at a hundred times a second, all on the same cores.
    dask.config.set({"distributed.worker.profile.enabled": False})

    async def run() -> None:
        workers = [Worker(address, nthreads=1, memory_limit=0) for _ in range(count)]
        await asyncio.gather(*workers)
        await asyncio.gather(*(worker.finished() for worker in workers))

    asyncio.run(run())


def stubs(workers: int, seconds: int, folder: Path) -> Iterator[Row]:
    """Say how busy so many workers are with pictures that take 50 ms each.

    Busy is the time that pictures should take of the time that there is: 50 ms for each picture,
    between when the last worker began and so many seconds later. The rest of what a run takes is
    its beginning and its end, where some have work and others have not.
    """
    with processes(folder / "stubs") as started, contextlib.ExitStack() as stack:
        scheduler = started.scheduler()
        # Workers as they are, but many in a process: 200 processes have no room here.
        for first in range(0, workers, IN_PROCESS):
            some = min(IN_PROCESS, workers - first)
            code = f"import cluster; cluster.hold({started.address!r}, {some})"
            process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
            stack.callback(process.wait)
            stack.callback(process.kill)
        count = int(workers * (seconds + RAMP) / PAUSE)
        cut = partitions(Named(f"s3://bucket/{number:09}.jpg") for number in range(count))
        slept: list[Slept] = []
        seen: list[tuple[float, float]] = []
        with engines.connected(started.address) as connection:
            connection.wait_for_workers(workers)
            start = time.time()
            for _, part in engines.on_cluster(connection, stub, PAUSE, cut):
                slept.append(part)  # type: ignore[arg-type]
                if not seen or time.time() > seen[-1][0] + SAMPLE:
                    seen.append((time.time(), resident(scheduler.pid)))
            whole = time.time() - start
    first_of = {part.worker: part.begin for part in sorted(slept, key=lambda part: -part.begin)}
    assert len(first_of) == workers
    begin = max(first_of.values())
    busy = sum(_inside(part, begin, begin + seconds) for part in slept) / (workers * seconds)
    memory = [size for at, size in seen if begin <= at <= begin + seconds]
    after = f"{begin - start:.0f} s after the first task was sent"
    yield (f"{workers} workers, {seconds} s, from when all had work ({after}): busy", "≥ 95 %",
           f"{busy:.1%}")  # fmt: skip
    yield (f"from the first to the last of {len(slept):,} parts, {whole:.0f} s: busy", "",
           f"{sum(part.count for part in slept) * PAUSE / (workers * whole):.1%}")  # fmt: skip
    yield (f"scheduler in these {seconds} s, {len(memory)} samples: MiB", "flat",
           f"{memory[0]:.0f}, at most {max(memory):.0f}, at last {memory[-1]:.0f}")  # fmt: skip


def _inside(part: Slept, begin: float, end: float) -> float:
    """Return the seconds that the pictures of a part should take, as far as they lie in a time."""
    inside = max(0.0, min(part.end, end) - max(part.begin, begin))
    return part.count * PAUSE * inside / (part.end - part.begin)


def rate(pictures: int, model: str, folder: Path) -> Iterator[Row]:
    """Say how much faster two workers of one thread each are than one, and what that comes to."""
    scans = folder / "scans"
    scans.mkdir()
    paint_photographs(scans, pictures)
    took = {}
    for workers in (1, 2, 1, 2):
        place = folder / f"vectors-{len(list(folder.iterdir()))}"
        with engines.connected(f"local:{workers}") as connection:
            connection.wait_for_workers(workers)
            start = time.perf_counter()
            embed.embed(scans, place, model=model, cluster=connection, per_part=4)
            spent = time.perf_counter() - start
            took[workers] = min(spent, took.get(workers, spent))
    one = took[1] / pictures
    size = f" {TIMES} ".join(map(str, SIZE))
    with Clip(model) as clip:
        name = f"{clip.manifest.name}, {clip.variant}"
    yield (f"one worker, {pictures} JPEGs of {size}, {name}: seconds a picture", "", f"{one:.3f}")
    yield ("two workers of one thread, times one's rate", "≥ 1.8", f"{took[1] / took[2]:.2f}")
    for workers in (8, 200):
        days = COLLECTION * one / (workers * 86_400)
        sum_ = f"{COLLECTION:,} {TIMES} {one:.3f} / ({workers} {TIMES} 86,400)"
        yield (f"{COLLECTION:,} such pictures, {workers} such workers: days", sum_, f"{days:.1f}")


@click.command(help=__doc__)
@click.argument("what", nargs=-1, type=click.Choice(("answers", "names", "stubs", "rate")))
@click.option("--vectors", default=1_000_000, show_default=True, help="Of `answers`.")
@click.option("--names", "counts", type=int, multiple=True, default=(10_000, 1_000_000))
@click.option("--workers", default=200, show_default=True, help="Of `stubs`.")
@click.option("--seconds", default=300, show_default=True, help="Of `stubs`.")
@click.option("--pictures", default=200, show_default=True, help="Of `rate`.")
@click.option("--model", default="demo", show_default=True, help="Of `rate`.")
@click.option("--docs", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def main(
    *, what: tuple[str, ...], vectors: int, counts: tuple[int, ...], workers: int, seconds: int,
    pictures: int, model: str, docs: Path | None,
) -> None:  # fmt: skip
    """Measure, print, and write what is asked for."""
    # Workers import this module.
    os.environ |= SHORT
    os.environ["PYTHONPATH"] = os.pathsep.join(map(str, (HERE, HERE.parent)))
    rows: list[Row] = []
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        measures = {
            "names": lambda: names(counts, folder),
            "stubs": lambda: stubs(workers, seconds, folder),
            "answers": lambda: answers(vectors, folder),
            "rate": lambda: rate(pictures, model, folder),
        }
        for each in [name for name in measures if not what or name in what]:
            for row in measures[each]():
                click.echo(" | ".join(row))
                rows.append(row)
    run = (
        f"{processor()}, {usable_cpus()} CPUs, {platform.system()} {platform.machine()}, Python "
        f"{platform.python_version()}, distributed {version('distributed')}, onnxruntime "
        f"{version('onnxruntime')}; {load:.1f} processes ran or waited before (1 minute's load):"
    )
    text = "\n".join([run, "", *speed_report.table(["", "wanted", "found"], [*map(list, rows)])])
    if docs:
        before, rest = docs.read_text(encoding="utf-8").split(BEGIN)
        docs.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.split(END)[1]}", encoding="utf-8")


if __name__ == "__main__":
    command.run(main)
