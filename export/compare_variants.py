"""Compare every variant of a model with fp32 on a folder of pictures.

    python export/compare_variants.py MODEL PICTURES --list movements [--list ...] [--json FILE]

Each variant is measured in a fresh process. With --emulator "qemu-x86_64 -cpu Nehalem" each runs
once more, on an old processor, and its answers there are compared with those here.
Exit 1: a result depends on its batch.
"""

from __future__ import annotations

import json
import shlex
import shutil
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np

import command
from clip_gaze.analysis import similarity
from clip_gaze.errors import ModelError
from clip_gaze.model import registry
from clip_gaze.pictures import collect
from clip_gaze.system.files import whole
from clip_gaze.texts import phrases
from variants.agreement import agreement, elsewhere
from variants.checks import TOWERS, checked_graphs
from variants.measure import Measured, measure
from variants.recipes import REFERENCE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from clip_gaze.model.manifest import Manifest
    from variants.agreement import Agreement, Elsewhere

# What a result may change by when its picture runs among others.
BATCH_BOUND = 1e-6


@dataclass(frozen=True, slots=True)
class Row:
    """What one variant costs, and how it differs from fp32.

    Attributes:
        bytes: of both towers.
        picture_ms: of the vision tower for one picture, the median.
        phrase_ms: of the text tower for one phrase.
        peak_bytes: of a process that encodes the phrases and then the pictures, one at a time;
            None where the system does not say.
        image_cosine: to the vectors of fp32, the mean; `image_cosine_least` the least.
        text_cosine: likewise.
        vector_change: the largest change of a number of a picture's vector between a picture alone
            and among eight.
        lists: by the list's name.
        elsewhere: likewise, on another processor; None where there was no other.

    """

    bytes: int
    picture_ms: float
    phrase_ms: float
    peak_bytes: int | None
    image_cosine: float
    image_cosine_least: float
    text_cosine: float
    text_cosine_least: float
    vector_change: float
    lists: dict[str, Agreement]
    elsewhere: dict[str, Elsewhere] | None


def probabilities(
    images: NDArray[np.float32], texts: NDArray[np.float32], logit_scale: float
) -> NDArray[np.float64]:
    """Return the probabilities that `Clip` gives, (pictures, phrases) float64."""
    return np.stack(
        [
            similarity.softmax(similarity.logits(each[None], texts, logit_scale))[0]
            for each in images
        ]
    )


def compare(
    manifest: Manifest,
    measured: Mapping[str, Measured],
    lists: Mapping[str, Sequence[str]],
    emulated: Mapping[str, Measured] | None = None,
) -> dict[str, Row]:
    """Compare the vectors and answers of each variant with those of fp32.

    Args:
        manifest: of the model.
        measured: by variant; its texts are the phrases of all lists, each once.
        lists: by name.
        emulated: as `measured`, on another processor.

    """
    at = {phrase: i for i, phrase in enumerate(each_once(lists))}
    columns = {name: [at[phrase] for phrase in some] for name, some in lists.items()}

    def said(
        images: NDArray[np.float32], texts: NDArray[np.float32], name: str
    ) -> NDArray[np.float64]:
        return probabilities(images, texts[columns[name]], manifest.logit_scale)

    reference = measured[REFERENCE]
    rows = {}
    for variant, each in measured.items():
        files = manifest.variants[variant]
        image_cosine = (each.images * reference.images).sum(axis=1)
        text_cosine = (each.texts * reference.texts).sum(axis=1)
        other = emulated[variant] if emulated else None
        rows[variant] = Row(
            bytes=sum(map(files.bytes, TOWERS)),
            picture_ms=each.picture_ms,
            phrase_ms=each.phrase_ms,
            peak_bytes=each.peak_bytes,
            image_cosine=float(image_cosine.mean()),
            image_cosine_least=float(image_cosine.min()),
            text_cosine=float(text_cosine.mean()),
            text_cosine_least=float(text_cosine.min()),
            vector_change=float(np.abs(each.images - each.batched).max()),
            lists={
                name: agreement(
                    said(reference.images, reference.texts, name),
                    said(each.images, each.texts, name),
                    said(each.batched, each.texts, name),
                )
                for name in lists
            },
            elsewhere={
                name: elsewhere(
                    said(each.images, each.texts, name), said(other.images, other.texts, name)
                )
                for name in lists
            }
            if other
            else None,
        )
    return rows


def each_once(lists: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the phrases of all lists, each once."""
    return list(dict.fromkeys(phrase for some in lists.values() for phrase in some))


def table(rows: Mapping[str, Row]) -> list[str]:
    """Return the lines of the printed tables."""
    head = ("variant", "MB", "ms", "peak MB", "pictures", "least", "phrases", "least", "batch")
    lines = [
        "cosine to fp32 of pictures and phrases, mean and least; batch: change of a vector",
        f"{head[0]:12} {head[1]:>7} {head[2]:>7} {head[3]:>8} "
        + " ".join(f"{name:>8}" for name in head[4:]),
    ]
    for variant, row in rows.items():
        peak = "?" if row.peak_bytes is None else f"{row.peak_bytes / 1e6:.0f}"
        lines.append(
            f"{variant:12} {row.bytes / 1e6:7.1f} {row.picture_ms:7.1f} {peak:>8} "
            f"{row.image_cosine:8.5f} {row.image_cosine_least:8.5f} "
            f"{row.text_cosine:8.5f} {row.text_cosine_least:8.5f} {row.vector_change:8.0e}"
        )
    lines += [
        "",
        f"{'variant':12} {'list':30} {'top 1':>7} {'top 5':>7} {'|diff|':>8} {'batch':>8}",
    ]
    lines += [
        f"{variant:12} {name:30} {each.top1:7.1%} {each.top5:7.1%} "
        f"{each.first_difference:8.5f} {each.batch_change:8.0e}"
        for variant, row in rows.items()
        for name, each in row.lists.items()
    ]
    there = [
        f"{variant:12} {name:30} {each.top1:7.1%} {each.order:7.1%} {each.largest:8.0e}"
        for variant, row in rows.items()
        for name, each in (row.elsewhere or {}).items()
    ]
    if there:
        lines += ["", "on the other processor, against this one"]
        lines += [f"{'variant':12} {'list':30} {'top 1':>7} {'order':>7} {'|diff|':>8}", *there]
    return lines


def runnable(context: click.Context, option: click.Parameter, line: str | None) -> list[str]:
    """Split a command into words, and refuse one that cannot be run (a click callback)."""
    if line is None:
        return []
    try:
        words = shlex.split(line)
    except ValueError as error:
        msg = f"{line}: is no command ({error})"
        raise click.BadParameter(msg, context, option) from error
    if not words or shutil.which(words[0]) is None:
        msg = f"{line!r}: cannot be run; there is no such program"
        raise click.BadParameter(msg, context, option)
    return words


@click.command(help=__doc__)
@click.argument("model")
@click.argument("pictures", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--list", "names", multiple=True, required=True, help="A list that ships.")
@click.option(
    "--emulator", metavar="COMMAND", callback=runnable, help="Run all once more under this."
)
@click.option(
    "--json", "output", type=click.Path(dir_okay=False, writable=True, path_type=Path),
    callback=command.writable,
)  # fmt: skip
def main(
    model: str, pictures: Path, names: tuple[str, ...], emulator: list[str], output: Path | None
) -> int:
    """Measure every variant, compare them, and print the tables."""
    found = registry.find(model)
    folder, manifest = found.folder, found.manifest
    if manifest.download:
        msg = f"{model}: give a folder with the graphs, as clip-gaze download --to makes one"
        raise ModelError(msg)
    manifest.variant(REFERENCE)
    lists = {name: phrases.load(name) for name in dict.fromkeys(names)}
    paths = [path for path, _ in collect.pictures([pictures])]
    every = {name: checked_graphs(folder, manifest, name) for name in manifest.variants}
    measured, emulated = {}, {}
    with tempfile.TemporaryDirectory() as scratch:
        texts, place = each_once(lists), Path(scratch)
        for name, some in every.items():
            click.echo(f"measuring {name}", err=True)
            measured[name] = measure(folder, some, paths, texts, place)
            if emulator:
                click.echo(f"measuring {name} under {emulator[0]}", err=True)
                emulated[name] = measure(folder, some, paths, texts, place, emulator=emulator)
    for line in measured[REFERENCE].skipped:
        click.echo(f"passed over: {line}", err=True)
    rows = compare(manifest, measured, lists, emulated)
    click.echo("\n".join(table(rows)))
    looked = len(measured[REFERENCE].images)
    click.echo(f"{looked} pictures, {', '.join(lists)}")
    if output:
        answer = {
            "model": manifest.name,
            "pictures": looked,
            "variants": {name: asdict(row) for name, row in rows.items()},
        }
        with whole(output) as part:
            part.write_text(json.dumps(answer, indent=1) + "\n", encoding="utf-8")
    changes = [each.batch_change for row in rows.values() for each in row.lists.values()]
    sound = max(changes) <= BATCH_BOUND
    verdict = "holds" if sound else "FAILS"
    click.echo(f"change of a probability in a batch <= {BATCH_BOUND}: {verdict}")
    return 0 if sound else 1


if __name__ == "__main__":
    command.run(main)
