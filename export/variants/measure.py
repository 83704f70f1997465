"""Measure two graphs in a fresh process: vectors, time and peak memory.

`measure` starts the process; run as a program, this module is that process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from clip_gaze.errors import GazeError, ModelError, PictureError
from clip_gaze.model import manifest_file
from clip_gaze.model.session import Tower
from clip_gaze.pictures.load import upright
from clip_gaze.pictures.preprocess import pixel_values
from clip_gaze.texts.tokenizer import Tokenizer
from clip_gaze.wording import counted
from variants.checks import unit
from variants.peak import peak_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from clip_gaze.model.manifest import Manifest

BATCH = 8


@dataclass(frozen=True, slots=True)
class Measured:
    """The vectors, times and memory of one pair of graphs.

    Attributes:
        images: (n, d) float32, L2-normalised; each picture ran alone.
        batched: the same of pictures that ran eight at a time.
        texts: (m, d) float32, L2-normalised, in the phrases' order.
        picture_ms: of the vision tower for a picture alone: the median.
        cpu_ms: the least time that the processors worked for it. On one thread, other programs
            hardly change it.
        phrase_ms: of the text tower.
        peak_bytes: of the process before anything ran eight at a time; None where the system
            does not say.
        skipped: what is wrong with the pictures that could not be read.

    """

    images: NDArray[np.float32]
    batched: NDArray[np.float32]
    texts: NDArray[np.float32]
    picture_ms: float
    cpu_ms: float
    phrase_ms: float
    peak_bytes: int | None
    skipped: list[str]


def measure(
    folder: Path,
    graphs: dict[str, Path],
    pictures: Sequence[Path],
    phrases: Sequence[str],
    scratch: Path,
    threads: int | None = None,
    emulator: Sequence[str] = (),
) -> Measured:
    """Run two graphs in a process of their own.

    Args:
        folder: of the model, for its preprocessing and tokenizer.
        graphs: by tower: "vision" and "text".
        pictures: files.
        phrases: each once.
        scratch: a folder for what the two processes say to each other.
        threads: of a run; None: all that the process may use.
        emulator: the command of another processor's emulator, which runs the process.

    Raises:
        ModelError: the other process failed.

    """
    job, answer = scratch / "job.json", scratch / "answer.npz"
    job.write_text(
        json.dumps(
            {
                "folder": str(folder),
                "graphs": {tower: str(path) for tower, path in graphs.items()},
                "pictures": [str(path) for path in pictures],
                "phrases": list(phrases),
                "answer": str(answer),
                "threads": threads,
            }
        ),
        encoding="utf-8",
    )
    # A folder `variants` where this was started from must not be taken for this one.
    paths = [str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    found = {"PYTHONPATH": os.pathsep.join(paths), "PYTHONSAFEPATH": "1"}
    try:
        done = subprocess.run(  # noqa: S603 - this file, with this Python
            [*emulator, sys.executable, "-m", __name__, str(job)],
            env=environment(emulator) | found,
            capture_output=True, text=True, encoding="utf-8", errors="replace", check=False,
        )  # fmt: skip
    except OSError as error:
        msg = f"{emulator[0] if emulator else sys.executable}: cannot be run ({error.strerror})"
        raise ModelError(msg) from error
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        msg = f"{graphs['vision']}: could not be measured: {last}"
        raise ModelError(msg)
    with np.load(answer) as arrays:
        return Measured(**{name: arrays[name] for name in arrays}, **json.loads(done.stdout))


def environment(emulator: Sequence[str]) -> dict[str, str]:
    """Return the environment of a process, without what describes the real processor.

    Under an emulator OpenBLAS, which numpy multiplies with, would believe OPENBLAS_CORETYPE, and
    use instructions that the emulated processor does not have.
    """
    return {
        name: value
        for name, value in os.environ.items()
        if not (emulator and name.startswith("OPENBLAS_"))
    }


def measure_here(
    folder: Path,
    graphs: dict[str, Path],
    pictures: Sequence[Path],
    phrases: Sequence[str],
    threads: int | None,
) -> Measured:
    """Run two graphs in this process: the text tower, then the vision tower, as `Clip` does."""
    manifest = manifest_file.read(folder / "manifest.json")
    texts, phrase_ms = run_texts(manifest, folder, graphs["text"], phrases, threads)
    tower = Tower(graphs["vision"], threads, manifest.embedding_dim)
    alone: list[NDArray[np.float32]] = []
    wall: list[float] = []
    cpu: list[float] = []
    skipped: list[str] = []
    for pixels in pixels_of(manifest, pictures, skipped):
        if not wall:
            tower.images(pixels[None])  # the first run prepares the graph
        started, worked = time.perf_counter(), time.process_time()
        alone.append(unit(tower.images(pixels[None]), graphs["vision"]))
        wall.append(1000 * (time.perf_counter() - started))
        cpu.append(1000 * (time.process_time() - worked))
    if not alone:
        msg = f"none of {counted(len(pictures), 'picture')} could be read: {skipped[0]}"
        raise PictureError(msg)
    peak = peak_bytes()
    batched = [
        unit(tower.images(np.stack(group)), graphs["vision"])
        for group in groups(pixels_of(manifest, pictures, []))
    ]
    return Measured(
        np.concatenate(alone), np.concatenate(batched), texts, float(np.median(wall)),
        min(cpu), phrase_ms, peak, skipped,
    )  # fmt: skip


def run_texts(
    manifest: Manifest, folder: Path, graph: Path, phrases: Sequence[str], threads: int | None
) -> tuple[NDArray[np.float32], float]:
    """Return the phrases' vectors in their order, and the milliseconds that one took."""
    tokenizer = Tokenizer(folder / manifest.tokenizer.file, manifest.text.context_length)
    batches = tokenizer.batches(phrases)
    tower = Tower(graph, threads)
    tower.texts(batches[0][1][:1])
    found: dict[str, NDArray[np.float32]] = {}
    started = time.perf_counter()
    for some, ids in batches:
        found |= zip(some, unit(tower.texts(ids), graph), strict=True)
    spent = 1000 * (time.perf_counter() - started) / len(phrases)
    return np.stack([found[phrase] for phrase in phrases]), spent


def pixels_of(
    manifest: Manifest, pictures: Iterable[Path], skipped: list[str]
) -> Iterator[NDArray[np.float32]]:
    """Yield the pixel values of each picture; add the errors of the others to `skipped`."""
    for path in pictures:
        try:
            yield pixel_values(upright(path), manifest.image)
        except PictureError as error:
            skipped.append(str(error))


def groups(rows: Iterable[NDArray[np.float32]]) -> Iterator[list[NDArray[np.float32]]]:
    """Yield rows eight at a time."""
    group: list[NDArray[np.float32]] = []
    for row in rows:
        group.append(row)
        if len(group) == BATCH:
            yield group
            group = []
    if group:
        yield group


def main(job: Path) -> None:
    """Run the job in a file; write arrays to a file, and print the rest as JSON."""
    task = json.loads(job.read_text(encoding="utf-8"))
    answer = task.pop("answer")
    task["folder"] = Path(task["folder"])
    task["graphs"] = {tower: Path(path) for tower, path in task["graphs"].items()}
    task["pictures"] = [Path(path) for path in task["pictures"]]
    try:
        found = asdict(measure_here(**task))
    except GazeError as error:
        sys.exit(str(error))
    arrays = {name: found.pop(name) for name in ("images", "batched", "texts")}
    np.savez(answer, **arrays)
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
