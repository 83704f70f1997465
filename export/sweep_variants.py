"""Try recipes on the fp32 graphs of a model folder; print size, time and accuracy of each.

    python export/sweep_variants.py MODEL [--pictures 8] [--only TEXT] [--layers]

Every recipe runs in a process of its own, on painted pictures and shipped phrases. The cosine is
that of centred vectors: the mean of the fp32 vectors is taken away first, for all vectors of
a model have much in common that decides nothing. The time is that of one core for one picture,
so that other programs hardly change it.

With --layers each linear layer is tried alone, in 4 bits with all others in float32: the ones that
cost most are sensitive.
"""

from __future__ import annotations

import dataclasses
import functools
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np

import command
from clip_gaze.analysis.similarity import normalise
from clip_gaze.model import manifest_file
from clip_gaze.texts import phrases
from demo.painter import paint
from variants.checks import TOWERS, checked_graphs
from variants.graphs import linear_layers, loaded, quantise, quantise_layer, weights_path
from variants.measure import Measured, measure
from variants.recipes import FLOAT, Q4, Q8, Recipe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

# Sensitive layers with more bits than the others; see `Recipe`.
CHANGES: dict[str, dict[str, int]] = {
    "projection float32": {"projection": FLOAT},
    "patches float32": {"patches": FLOAT},
    "ends float32": {"ends": FLOAT},
    "ends 8 bit": {"ends": 8},
    "down 8 bit": {"down": 8},
    "projection 4 bit": {"projection": 4},
}
# What q8 was before: it needs onnxruntime 1.22.
IN_BLOCKS = dataclasses.replace(Q8, block_size=32, accuracy_level=4)
FIRST_SEED = 20_000_000
PAINTED_SIZE = 256
PHRASES_PER_LIST = 4
HEAD = f"{'MB':>6} {'MB':>6} {'ms':>7} {'cosine':>8} {'cosine':>8} {'batch':>8}"


def recipes() -> Iterator[tuple[str, Recipe]]:
    """Yield the recipes to try, each with a name that says how it differs."""
    yield "8 bit, by row", Q8
    for name, plain, other_level in (("4 bit", Q4, 4), ("8 bit", IN_BLOCKS, 0)):
        yield f"{name}, block 32", plain
        yield f"{name}, block 32, symmetric", dataclasses.replace(plain, symmetric=True)
        for size in (64, 128, 16):
            yield f"{name}, block {size}", dataclasses.replace(plain, block_size=size)
        yield (
            f"{name}, block 64, symmetric",
            dataclasses.replace(plain, block_size=64, symmetric=True),
        )
        # The level changes the arithmetic alone.
        yield (
            f"{name}, block 32, accuracy_level {other_level}",
            dataclasses.replace(plain, accuracy_level=other_level),
        )
        for change, values in CHANGES.items():
            if plain.bits not in values.values():
                yield f"{name}, block 32, {change}", dataclasses.replace(plain, **values)


def centred(found: NDArray[np.float32], wanted: NDArray[np.float32]) -> float:
    """Return the mean cosine after taking away the mean of the wanted vectors."""
    middle = wanted.mean(axis=0, keepdims=True)
    return float((normalise(found - middle) * normalise(wanted - middle)).sum(axis=1).mean())


def row(name: str, paths: dict[str, Path], found: Measured, wanted: Measured) -> str:
    """Return one line of the table."""
    sizes = [
        sum(path.stat().st_size for path in (graph, weights_path(graph)) if path.exists()) / 1e6
        for graph in (paths[tower] for tower in TOWERS)
    ]
    drift = float(np.abs(found.images - found.batched).max())
    return (
        f"{name:38} {sizes[0]:6.1f} {sizes[1]:6.1f} {found.cpu_ms:7.1f} "
        f"{centred(found.images, wanted.images):8.5f} "
        f"{centred(found.texts, wanted.texts):8.5f} {drift:8.0e}"
    )


def layers(
    sources: dict[str, Path], scratch: Path, run: Callable[[dict[str, Path]], Measured]
) -> Iterator[str]:
    """Yield a line for each linear layer: the accuracy that is lost if it alone has 4 bits."""
    wanted = run(sources)
    recipe = dataclasses.replace(Q4, projection=4)
    alone = scratch / "alone.onnx"
    for tower, of in (("vision", "images"), ("text", "texts")):
        model = loaded(sources[tower])
        for output, name in linear_layers(model, recipe).items():
            quantise_layer(model, alone, recipe, output)
            found = run({**sources, tower: alone})
            cost = 1 - centred(getattr(found, of), getattr(wanted, of))
            yield f"{tower:7} {name:20} {cost:8.5f}"


def chosen(context: click.Context, option: click.Parameter, part: str) -> list[tuple[str, Recipe]]:
    """Return the recipes whose names contain `part`; refuse if none does (a click callback)."""
    found = [(name, recipe) for name, recipe in recipes() if part in name]
    if not found:
        first, _ = next(recipes())
        msg = f"no recipe's name has {part!r}; the first one's is {first!r}"
        raise click.BadParameter(msg, context, option)
    return found


@click.command(help=__doc__)
@click.argument("model", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--pictures", default=8, show_default=True, type=click.IntRange(2))
@click.option(
    "--only", "tried", default="", callback=chosen,
    help="Try the recipes alone whose name has this.",
)  # fmt: skip
@click.option("--layers", "by_layer", is_flag=True, help="Try each layer alone instead.")
def main(model: Path, pictures: int, tried: list[tuple[str, Recipe]], *, by_layer: bool) -> None:
    """Quantise by each recipe, measure, and print a line."""
    manifest = manifest_file.read(model / "manifest.json")
    sources = checked_graphs(model, manifest)
    some = [phrase for name in phrases.names() for phrase in phrases.load(name)[:PHRASES_PER_LIST]]
    texts = list(dict.fromkeys(some))
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        paths = []
        for seed in range(FIRST_SEED, FIRST_SEED + pictures):
            paths.append(scratch / f"{seed}.png")
            paint(seed, PAINTED_SIZE).image.save(paths[-1])
        run = functools.partial(
            measure, model, pictures=paths, phrases=texts, scratch=scratch, threads=1
        )
        if by_layer:
            click.echo(f"{'tower':7} {'layer':20} 1-cosine")
            for line in layers(sources, scratch, run):
                click.echo(line)
            return
        click.echo(f"{'recipe':38} {HEAD}")
        click.echo(f"{'':38} vision   text  vision   vision     text   drift")
        wanted = run(sources)
        click.echo(row("fp32", sources, wanted, wanted))
        made = {tower: scratch / f"{tower}.onnx" for tower in TOWERS}
        for label, recipe in tried:
            for tower in TOWERS:
                quantise(sources[tower], made[tower], recipe)
            found = run(made)
            click.echo(row(label, made, found, wanted))


if __name__ == "__main__":
    command.run(main)
