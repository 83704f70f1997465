"""Measure clip-gaze 0.3.0, this package and the bare graphs, each in fresh processes, in one run.

All have the same weights. MODEL is what `export/export_clip.py` made of CHECKPOINT; ORIGINAL is a
folder from which clip-gaze 0.3.0 can be imported. Figures of one run are to be compared with each
other alone.
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
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import export_path  # noqa: F401 - finds `checks` and `command`
import speed_chart
import speed_report
from tqdm import tqdm

import clip_gaze
import command
from clip_gaze.model import registry
from clip_gaze.store import FILE
from clip_gaze.system.resources import usable_cpus
from variants.checks import checked_graphs

if TYPE_CHECKING:
    from collections.abc import Callable

    from clip_gaze.model.registry import Model

Figures = dict[str, dict[str, dict[str, Any]]]

WORKER = Path(__file__).with_name("speed_subjects.py")
# Pictures that the original looks at in a folder; it takes as long for each of them.
ORIGINAL_PICTURES = 10
NEXT_PICTURES = 10
# What each kind of subject is measured at; "two" is a folder of two pictures, for its memory.
TASKS = {"ours": "abcde", "original": "abcde", "batch": "ab", "graph": "be"}
ALL = ",".join(speed_report.TASKS)
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
TARGET = click.Path(dir_okay=False, writable=True, path_type=Path)


class Bench:
    """What is measured, and with what."""

    def __init__(self, model: Model, checkpoint: Path, original: Path, scratch: Path) -> None:
        """Keep folders.

        Args:
            model: what is measured.
            checkpoint: the checkpoint that it was made of.
            original: where clip-gaze 0.3.0 can be imported from.
            scratch: an empty folder.
        """
        self._model, self._scratch = model, scratch
        folders = {"model": model.folder, "checkpoint": checkpoint, "original": original}
        self._folders = {name: str(folder.resolve()) for name, folder in folders.items()}
        self.paths: list[str] = []

    def paint(self, count: int) -> None:
        """Make the pictures."""
        folder = self._scratch / "pictures"
        folder.mkdir()
        self._process({"kind": "paint", "folder": str(folder), "count": count}, "none")
        self.paths = sorted(str(path) for path in folder.iterdir())

    def warm(self, subject: str) -> None:
        """Let the system read a subject's files, and this package encode its list."""
        kind, variant = kind_of(subject)
        if kind == "ours":
            self._process({"kind": kind, "task": "warm", "variant": variant}, f"warm-{variant}")
        elif kind == "original":
            ask = {"task": "warm", "kind": kind, "batch_size": None, "pictures": self.paths[:1]}
            self._process(ask, "none")

    def measure(self, subject: str, task: str, count: int, part: int) -> dict[str, float]:
        """Return seconds and peak memory of a task in a process of its own.

        Args:
            subject: a variant, "graph" and a variant, or one of the original.
            task: one of speed_report.TASKS, or "two".
            count: pictures in the folder.
            part: names that the original is given; its time is scaled.
        """
        kind, variant = kind_of(subject)
        original = kind in ("original", "batch")
        ask = {"kind": "original" if original else kind, "task": task, "variant": variant}
        many = {"b": NEXT_PICTURES + 1, "e": min(count, ORIGINAL_PICTURES) if original else count}
        ask["pictures"] = self.paths[: many.get(task, {"two": 2}.get(task, 1))]
        ask |= {"batch_size": 10 if kind == "batch" else None, "part": part}
        if kind == "graph":
            _, towers = self._model.manifest.variant(variant)
            ask["graph"] = str(self._model.folder / towers.vision.file)
            ask |= {"size": self._model.manifest.image.size, "threads": usable_cpus()}
        cache = f"{variant}-{task}"
        shutil.rmtree(self._scratch / cache, ignore_errors=True)
        if kind == "ours" and task != "a":
            warm = self._scratch / f"warm-{variant}"
            (self._scratch / cache).mkdir()
            # The weights are packed, the lists are known, and no picture is.
            (self._scratch / cache / "packed").symlink_to(warm / "packed")
            if task != "d":
                shutil.copy(warm / FILE, self._scratch / cache)
        answer = self._process(ask, cache)
        if task == "c":
            answer["seconds"] = answer["process"]
        if original and task == "d":
            answer["seconds"] *= len(clip_gaze.ARTISTS_BY_NAME) / part
        if task == "e":
            answer["seconds"] *= count / len(ask["pictures"])
        return answer

    def _process(self, ask: dict[str, Any], cache: str) -> dict[str, float]:
        """Run a worker and return what it measured, and how long its process took."""
        environment = os.environ | {
            "CLIP_GAZE_CACHE": str(self._scratch / cache),
            "HF_HUB_OFFLINE": "1",
        }
        if ask["kind"] == "original":
            environment["PYTHONPATH"] = self._folders["original"]
        ask = self._folders | {"pictures": []} | ask
        words = [sys.executable, str(WORKER), json.dumps(ask)]
        started = time.perf_counter()
        done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
        seconds = time.perf_counter() - started
        if done.returncode:
            last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
            msg = f"{WORKER.name}: {ask['kind']} could not be measured: {last}"
            raise click.ClickException(msg)
        answer: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
        return answer | {"process": seconds}


def kind_of(subject: str) -> tuple[str, str]:
    """Return what a subject is, a key of TASKS, and the variant that it has, if it has one."""
    if subject == speed_report.ORIGINAL:
        return "original", ""
    if subject == speed_report.BATCH:
        return "batch", ""
    if subject.startswith("graph "):
        return "graph", subject.removeprefix("graph ")
    return "ours", subject


def measure_all(
    bench: Bench, variants: list[str], tasks: list[str], count: int, part: int, repeat: int
) -> Figures:
    """Return for each task and subject the medians of `repeat` processes."""
    subjects = [speed_report.ORIGINAL, speed_report.BATCH]
    subjects += [*variants, *(f"graph {variant}" for variant in variants)]
    jobs = [(s, t) for s in subjects for t in tasks if t in TASKS[kind_of(s)[0]]]
    jobs += [(v, "two") for v in variants if "e" in tasks]
    for subject in subjects:
        bench.warm(subject)
    found: dict[tuple[str, str], list[dict[str, float]]] = {job: [] for job in jobs}
    # Subject by subject in each round: what disturbs the machine for a while disturbs them all.
    for subject, task in tqdm(jobs * repeat, file=sys.stderr):
        found[subject, task].append(bench.measure(subject, task, count, part))
    figures: Figures = {task: {} for task in [*tasks, *(["two"] if "e" in tasks else [])]}
    for (subject, task), answers in found.items():
        seconds = [answer["seconds"] for answer in answers]
        peaks = [answer["peak_mb"] for answer in answers if answer["peak_mb"] is not None]
        figures[task][subject] = {
            "seconds": statistics.median(seconds),
            "all_seconds": seconds,
            "peak_mb": statistics.median(peaks) if peaks else None,
        }
    return figures


def processor() -> str:
    """Return what the processor calls itself."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


def chosen(context: click.Context, option: click.Parameter, value: str) -> list[str]:
    """Split a comma-separated list of tasks, and refuse unknown ones (a click callback)."""
    tasks = list(dict.fromkeys(value.split(",")))
    if unknown := set(tasks) - set(speed_report.TASKS):
        msg = f"{', '.join(map(repr, sorted(unknown)))}: there are {ALL}"
        raise click.BadParameter(msg, context, option)
    return tasks


def holding(name: str) -> Callable[[click.Context, click.Parameter, Path], Path]:
    """Return a click callback that refuses a folder which does not hold this."""

    def check(context: click.Context, option: click.Parameter, folder: Path) -> Path:
        if not (folder / name).exists():
            msg = f"{folder}: has no {name}"
            raise click.BadParameter(msg, context, option)
        return folder

    return check


def with_markers(context: click.Context, option: click.Parameter, page: Path | None) -> Path | None:
    """Refuse a page that has no place for the figures (a click callback)."""
    try:
        if page:
            speed_report.replaced(page.read_text(encoding="utf-8"), "")
    except ValueError as error:
        msg = f"{page}: must have one {speed_report.BEGIN} and after it one {speed_report.END}"
        raise click.BadParameter(msg, context, option) from error
    return page


@click.command(help=__doc__)
@click.option(
    "--checkpoint",
    required=True,
    type=FOLDER,
    callback=holding("config.json"),
    help="A Hugging Face CLIP checkpoint, a folder.",
)
@click.option("--model", required=True, help="The model folder made of it.")
@click.option(
    "--original",
    required=True,
    type=FOLDER,
    callback=holding("clip_gaze-0.3.0.dist-info"),
    help="Where the wheel of clip-gaze 0.3.0 was unpacked.",
)
@click.option("--variant", "variants", multiple=True, help="[default: all of the model]")
@click.option(
    "--only", "tasks", default=ALL, show_default=True, callback=chosen, help="Some of these."
)
@click.option("--pictures", "count", type=click.IntRange(min=2), default=200, show_default=True)
@click.option(
    "--part",
    type=click.IntRange(1, 5000),
    default=1000,
    show_default=True,
    help="Names that the original is given in (d).",
)
@click.option("--repeat", type=click.IntRange(min=1), default=3, show_default=True)
@click.option("--json", "target", type=TARGET, callback=command.writable)
@click.option(
    "--docs",
    type=click.Path(exists=True, dir_okay=False, writable=True, path_type=Path),
    callback=with_markers,
)
@click.option("--svg", type=TARGET, callback=command.writable)
def main(
    checkpoint: Path,
    model: str,
    original: Path,
    *,
    variants: tuple[str, ...],
    tasks: list[str],
    count: int,
    part: int,
    repeat: int,
    **targets: Path | None,
) -> None:
    """Measure, print, and write what is asked for."""
    found = registry.find(model)
    measured = list(dict.fromkeys(variants or found.manifest.variants))
    for variant in measured:
        checked_graphs(found.folder, found.manifest, variant)
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench(found, checkpoint, original, Path(scratch))
        bench.paint(max(count, NEXT_PICTURES + 1))
        figures = measure_all(bench, measured, tasks, count, part, repeat)
    names = len(clip_gaze.ARTISTS_BY_NAME)
    result = {
        "machine": {
            "processor": processor(),
            "cpus": usable_cpus(),
            "system": f"{platform.system()} {platform.machine()}",
            "python": platform.python_version(),
            **{name: version(name) for name in ("onnxruntime", "torch", "transformers")},
        },
        "settings": {
            "pictures": count, "names": names, "part": part, "repeat": repeat,
            "original_pictures": min(count, ORIGINAL_PICTURES),
        },
        "figures": figures,
        "ratios": speed_report.ratios(figures),
        "goals": speed_report.goals(figures, names),
    }  # fmt: skip
    section = speed_report.section(result)
    click.echo(section)
    if target := targets["target"]:
        target.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    if docs := targets["docs"]:
        page = docs.read_text(encoding="utf-8")
        docs.write_text(speed_report.replaced(page, section), encoding="utf-8")
    if svg := targets["svg"]:
        svg.write_text(speed_chart.chart(figures, count, names), encoding="utf-8")


if __name__ == "__main__":
    command.run(main)
