"""Measure what mapped weights save: memory, time to load, processes that share, folders.

    python tests/benchmarks/mapped.py --model MODEL [--docs docs/speed.md]

MODEL is what `export/export_clip.py` wrote. Each figure is of processes of their own, with the same
weights mapped and as they were exported, in turns. Needs Linux, and cgroups to limit memory.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
import export_path  # noqa: F401 - finds `limits`, `command` and `variants`
import speed_report
from photographs import paint_photographs
from speed import processor

import command
from clip_gaze.model import registry
from clip_gaze.store import FILE
from clip_gaze.system.resources import usable_cpus
from limits import memory_limit
from variants.measure import environment

WORKER = Path(__file__).with_name("mapped_subjects.py")
BEGIN, END = "<!-- mapped: mapped.py writes them -->", "<!-- end of mapped -->"
PROCESSES = 8
LIMITS = {"fp32": 192, "q8": 128, "q4": 128}
NO_LIMIT = 2**30
FOLDERS = 4
BARE = "import numpy, onnxruntime"


class Bench:
    """What is measured, and with what."""

    def __init__(self, model: str, scratch: Path, pictures: list[str]) -> None:
        """Keep them."""
        self.scratch, self.pictures, self._model = scratch, pictures, model

    def run(
        self, variant: str, kind: str, *before: str, keep: bool = False, **ask: Any
    ) -> dict[str, Any]:
        """Run a worker with the variant's cache, in which no picture is known."""
        return self._run(self._cache(variant, keep=keep), variant, kind, *before, **ask)

    def _run(
        self, cache: Path, variant: str, kind: str, *before: str, **ask: Any
    ) -> dict[str, Any]:
        done = self._begun(cache, variant, kind, *before, **ask)
        said, _ = done.communicate()
        if done.returncode:
            msg = f"{WORKER.name}: {kind} of {variant} could not be measured"
            raise click.ClickException(msg)
        answer: dict[str, Any] = json.loads(said.splitlines()[-1])
        return answer

    def warm(self, variant: str) -> None:
        """Let the list be known and the weights be packed, and wait until both are on the disk."""
        self.run(variant, "gaze", picture=self.pictures[0], keep=True)
        self.run(variant, "both")
        os.sync()

    def whole(self, variant: str, *, plain: bool, limit: int = NO_LIMIT) -> dict[str, float]:
        """Return what a whole process takes that looks at a picture, its list known."""
        for path in (self.scratch / variant / "packed").rglob("*") if limit < NO_LIMIT else ():
            # A limit counts those pages of files alone that the process itself makes be read.
            with path.open("rb") if path.is_file() else nullcontext() as file:
                if file:
                    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        cache, ask = self._cache(variant), {"picture": self.pictures[1], "plain": plain}
        started = time.perf_counter()
        with memory_limit(limit * 2**20) as enter:
            found = self._run(cache, variant, "gaze", enter=enter, **ask)
        return {**found, "seconds": time.perf_counter() - started}

    def read(self, variant: str) -> None:
        """Let the system have the packed files in its memory."""
        for path in (self.scratch / variant / "packed").rglob("*.bin"):
            with path.open("rb") as file:
                while file.read(2**20):
                    pass

    def known(self, variant: str) -> float:
        """Return the seconds of a whole process whose picture and list are known."""
        words = [sys.executable, "-m", "clip_gaze", "gaze", self.pictures[0], "--model"]
        words += [self._model, "--variant", variant, "--list", "artists_by_training_prevalence"]
        return self._timed([*words, "-o", os.devnull], variant)

    def bare(self) -> float:
        """Return the seconds of a process that imports numpy and onnxruntime."""
        return self._timed([sys.executable, "-c", BARE], "none")

    def shared(self, variant: str, count: int) -> float:
        """Return the proportional memory of processes that have looked at a picture, in sum."""
        running = [
            self._begun(self._cache(variant), variant, "wait", stdin=subprocess.PIPE)
            for _ in range(count)
        ]
        for each in running:
            assert each.stdout.readline() == "ready\n"
        sizes = []
        for each in running:
            each.stdin.write("measure\n")
            each.stdin.flush()
            sizes.append(json.loads(each.stdout.readline())["pss"])
        for each in running:
            each.communicate("end\n")
        return sum(sizes)

    def _timed(self, words: list[str], variant: str) -> float:
        cache = os.environ | {"CLIP_GAZE_CACHE": str(self.scratch / variant)}
        started = time.perf_counter()
        subprocess.run(words, check=True, env=cache)
        return time.perf_counter() - started

    def _cache(self, variant: str, *, keep: bool = False) -> Path:
        """Return a cache with a store of its own, which has the list; or the one that is kept."""
        kept = self.scratch / variant
        if keep:
            return kept
        cache = Path(tempfile.mkdtemp(dir=self.scratch))
        shutil.copy(kept / FILE, cache)
        for name in ("packed", "verified"):  # the model is not hashed anew
            (cache / name).symlink_to(kept / name)
        return cache

    def _begun(
        self, cache: Path, variant: str, kind: str, *before: str, enter: Any = None,
        stdin: int | None = None, **ask: Any,
    ) -> subprocess.Popen[str]:  # fmt: skip
        ask |= {"kind": kind, "model": self._model, "variant": variant}
        # The worker has imported numpy before the program can say so.
        program = {"CLIP_GAZE_CACHE": str(cache), "OPENBLAS_THREAD_TIMEOUT": "4"}
        return subprocess.Popen(
            [*before, sys.executable, str(WORKER), json.dumps(ask)],
            stdin=stdin, stdout=subprocess.PIPE, text=True,
            preexec_fn=enter,  # noqa: PLW1509 - there are no threads
            env=environment(before) | program,
        )  # fmt: skip


def measure(bench: Bench, variant: str, repeat: int) -> dict[str, Any]:
    """Return all figures of a variant."""
    found: dict[str, Any] = {}
    for tower in ("vision", "text"):
        rounds = [
            (
                bench.run(variant, "load", tower=tower, plain=True),
                bench.run(variant, "load", tower=tower),
            )
            for _ in range(repeat)
        ]
        assert all(mapped["packed"] and not plain["packed"] for plain, mapped in rounds)
        for at, name in enumerate(("plain", "mapped")):
            for what in ("seconds", "private", "mapped"):
                value = statistics.median(each[at][what] for each in rounds)
                found[f"{tower} {name} {what}"] = value
    rounds = []
    for _ in range(repeat):
        plain, mapped = (bench.whole(variant, plain=plain) for plain in (True, False))
        rounds.append((plain, mapped, bench.whole(variant, plain=False, limit=LIMITS[variant])))
        bench.read(variant)
    for at, name in enumerate(("plain", "mapped", "limited")):
        for what in ("seconds", "private"):
            found[f"whole {name} {what}"] = statistics.median(each[at][what] for each in rounds)
    found["known"] = statistics.median(bench.known(variant) for _ in range(repeat))
    found["both private"] = bench.run(variant, "both")["private"]
    one, many = bench.shared(variant, 1), bench.shared(variant, PROCESSES)
    found |= {"pss one": one, "pss many": many}
    some = bench.pictures[:50]
    plain, mapped = (
        bench.run(variant, "vectors", pictures=some, plain=plain) for plain in (True, False)
    )
    assert mapped["packed"]
    found["same"] = plain["digest"] == mapped["digest"]
    # What others do on the machine only adds: the shortest of several runs in turns counts.
    numbers = sorted({1, usable_cpus()})
    rounds = [
        (
            bench.run(variant, "parts", *on(1), pictures=bench.pictures),
            *(bench.run(variant, "folder", *on(cpus), pictures=bench.pictures) for cpus in numbers),
        )
        for _ in range(FOLDERS)
    ]
    alone, *folders = zip(*rounds, strict=True)
    found["parts"] = parts = min(alone, key=lambda parts: sum(parts.values()))
    for cpus, runs in zip(numbers, folders, strict=True):
        seconds = min(each["seconds"] for each in runs)
        found[f"folder {cpus}"] = seconds / (sum(parts.values()) / cpus)
        found[f"folder {cpus} ms"] = seconds * 1000
    return found


def on(cpus: int) -> tuple[str, ...]:
    """Return what to put before a command so that it has the first CPUs alone."""
    return "taskset", "-c", ",".join(map(str, range(cpus)))


def in_turns(bench: Bench, variants: list[str], repeat: int) -> list[float]:
    """Return the median seconds of whole processes of each variant, in turns."""
    rounds = [
        [bench.whole(variant, plain=False)["seconds"] for variant in variants]
        for _ in range(repeat)
    ]
    return list(map(statistics.median, zip(*rounds, strict=True)))


def goals(figures: dict[str, dict[str, Any]], bare: float) -> list[list[str]]:
    """Return the rows of the table of goals."""
    rows = []

    def add(goal: str, variant: str, wanted: float, found: float) -> None:
        said = "met" if found <= wanted else "**missed**"
        rows.append([goal, variant, f"≤ {wanted:g}", speed_report.number(found), said])

    for variant, found in figures.items():
        for towers in ("vision",), ("text",), ("vision", "text"):
            mapped, plain = (
                sum(found[f"{tower} {name} seconds"] for tower in towers)
                for name in ("mapped", "plain")
            )
            named = f"the {towers[0]} tower" if len(towers) == 1 else "both towers"
            add(f"loading {named}, times that without", variant, 0.5, mapped / plain)
        if variant == "fp32":
            add(
                "whole process, new picture: private MB",
                variant,
                100,
                found["whole mapped private"],
            )
            add("both towers open: private MB", variant, 150, found["both private"])
            sharing = found["pss many"] / found["pss one"]
            add(f"{PROCESSES} processes: PSS, times one's", variant, 1.6, sharing)
        limit = found["whole limited seconds"] / found["whole mapped seconds"]
        add(f"whole process in {LIMITS[variant]} MB, times that without a limit", variant, 3, limit)
        add("known picture, times the bare imports", variant, 1.5, found["known"] / bare)
        for cpus in sorted({1, usable_cpus()}):
            add(f"folder on {cpus} CPUs, times its parts", variant, 1.05, found[f"folder {cpus}"])
    if "times q4" in figures.get("fp32", {}):
        add("whole process, new picture, times q4's", "fp32", 1.25, figures["fp32"]["times q4"])
    return rows


def section(figures: dict[str, dict[str, Any]], bare: float, count: int, repeat: int) -> str:
    """Return what docs/speed.md says of a run."""
    heads = {
        "vision {} seconds": "vision: load, s", "vision {} private": "private, MB",
        "vision {} mapped": "mapped, MB", "text {} seconds": "text: load, s",
        "text {} private": "private, MB", "whole {} seconds": "whole process, s",
        "whole {} private": "private, MB",
    }  # fmt: skip
    rows = [
        [f"{variant}, {name}", *(speed_report.number(found[key.format(name)]) for key in heads)]
        for variant, found in figures.items()
        for name in ("plain", "mapped")
    ]
    parts = [
        [variant, *(f"{found['parts'][part] * 1000:.1f}" for part in found["parts"]),
         *(f"{found[f'folder {cpus} ms']:.1f}" for cpus in sorted({1, usable_cpus()}))]
        for variant, found in figures.items()
    ]  # fmt: skip
    folders = [f"folder, {cpus} CPUs" for cpus in sorted({1, usable_cpus()})]
    same = ", ".join(variant for variant, found in figures.items() if found["same"])
    run = (
        f"Medians of {repeat} processes, in one run: {processor()}, {usable_cpus()} CPUs, "
        f"{platform.system()} {platform.machine()}, Python {platform.python_version()}, "
        f"onnxruntime {version('onnxruntime')}. Memory in MB of 2^20 bytes."
    )
    equal = (
        f"Bit-equal on 50 pictures: {same}. A process that imports numpy and onnxruntime alone "
        f"takes {bare:.2f} s."
    )
    lines = [run, "", *speed_report.table(["", *heads.values()], rows), "", equal, ""]
    lines += [f"Milliseconds a picture, {count} pictures; each part alone on one CPU:", ""]
    first = next(iter(figures.values()))
    lines += speed_report.table(["", *first["parts"], *folders], parts)
    heads_of_goals = ["goal", "variant", "wanted", "found", ""]
    return "\n".join([*lines, "", *speed_report.table(heads_of_goals, goals(figures, bare))])


@click.command(help=__doc__)
@click.option("--model", required=True, help="The model folder.")
@click.option("--variant", "variants", multiple=True, help="[default: all of the model]")
@click.option("--pictures", "count", type=click.IntRange(min=2), default=200, show_default=True)
@click.option("--repeat", type=click.IntRange(min=1), default=5, show_default=True)
@click.option("--docs", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def main(model: str, variants: tuple[str, ...], count: int, repeat: int, docs: Path | None) -> None:
    """Measure, print, and write what is asked for."""
    measured = list(variants or registry.find(model).manifest.variants)
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / "pictures").mkdir()
        paint_photographs(Path(scratch) / "pictures", count)
        paths = sorted(map(str, (Path(scratch) / "pictures").iterdir()))
        bench = Bench(str(Path(model).resolve()), Path(scratch), paths)
        for variant in measured:
            bench.warm(variant)
        bare = statistics.median(bench.bare() for _ in range(repeat))
        figures = {variant: measure(bench, variant, repeat) for variant in measured}
        if {"fp32", "q4"} <= figures.keys():
            fp32, q4 = in_turns(bench, ["fp32", "q4"], 3 * repeat)
            figures["fp32"]["times q4"] = fp32 / q4
    text = section(figures, bare, count, repeat)
    click.echo(text)
    if docs:
        before, rest = docs.read_text(encoding="utf-8").split(BEGIN)
        after = rest.split(END)[1]
        docs.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    command.run(main)
