"""Make quantised variants of a model folder from its fp32 graphs; needs onnx, but no torch.

python export/quantize.py MODEL [--variants q8,q4]
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

import command
from clip_gaze.model import manifest as manifests
from clip_gaze.model import manifest_file
from clip_gaze.model.manifest import Manifest, ModelFile, Variant
from clip_gaze.model.verify import sha256
from clip_gaze.system.files import whole
from variants.checks import TOWERS, checked_graphs, compare, sample_inputs, table, vectors
from variants.graphs import quantise, weights_path
from variants.recipes import RECIPES, REFERENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

SCRATCH = ".quantize-"


def add_variants(
    folder: Path,
    names: list[str],
    try_out: Callable[[Path, dict[str, Variant]], None] | None = None,
) -> Manifest:
    """Quantise the fp32 graphs of a model folder and enter the variants into its manifest.

    All variants are made before the first one enters, and the manifest never names a file that
    is incomplete: whenever this is interrupted, the folder can be used.

    Args:
        folder: the model folder.
        names: of variants in `RECIPES`.
        try_out: called with the folder of the new files and their entries before they enter.

    Raises:
        ModelError: the folder has no sound fp32 graphs.

    """
    manifest = manifest_file.read(folder / "manifest.json")
    sources = checked_graphs(folder, manifest)
    with scratch(folder) as made:
        variants = {}
        for name in names:
            recipes = {tower: RECIPES[name][tower] for tower in TOWERS}
            targets = {tower: made / f"{tower}_model_{name}.onnx" for tower in TOWERS}
            for tower in TOWERS:
                quantise(sources[tower], targets[tower], recipes[tower])
            variants[name] = variant_of(targets, recipes)
        if try_out:
            try_out(made, variants)
        return enter(folder, made, manifest, variants)


def enter(folder: Path, made: Path, old: Manifest, variants: dict[str, Variant]) -> Manifest:
    """Move new files into a model folder and their entries into its manifest."""
    new = dataclasses.replace(old, variants={**old.variants, **variants})
    others = {name: each for name, each in old.variants.items() if name not in variants}
    if len(others) < len(old.variants):
        # While files are exchanged, the manifest does not speak of them.
        default = old.default_variant if old.default_variant in others else REFERENCE
        write(folder, dataclasses.replace(old, variants=others, default_variant=default))
    for variant in variants.values():
        for file in variant.files().values():
            (made / file.file).replace(folder / file.file)
    write(folder, new)
    remove(folder, listed(old) - listed(new))
    return new


def listed(manifest: Manifest) -> set[str]:
    """Return the files that a manifest names."""
    return {file.file for name in manifest.variants for file in manifest.files(name).values()}


def remove(folder: Path, names: set[str]) -> None:
    """Remove the files of these names that exist."""
    for name in names:
        (folder / name).unlink(missing_ok=True)


def write(folder: Path, manifest: Manifest) -> None:
    """Write a model folder's manifest atomically."""
    with whole(folder / "manifest.json") as part:
        part.write_text(manifests.to_json(manifest), encoding="utf-8")


@contextlib.contextmanager
def scratch(folder: Path) -> Iterator[Path]:
    """Yield an empty folder inside `folder`; remove it afterwards, and those of killed runs."""
    for left in folder.glob(f"{SCRATCH}*"):
        shutil.rmtree(left)
    # Windows removes no file that a graph which failed still has open; the next run does.
    with tempfile.TemporaryDirectory(
        dir=folder, prefix=SCRATCH, ignore_cleanup_errors=True
    ) as made:
        try:
            yield Path(made)
        except OSError as error:
            error.filename = error.filename or str(folder)  # a full disk does not say where it is
            raise


def variant_of(paths: Mapping[str, Path], recipes: Mapping[str, object]) -> Variant:
    """Return the manifest's entry for a variant, of both towers' graphs and weights."""
    files = {}
    for tower, path in paths.items():
        files[tower] = file_entry(path, str(recipes[tower]))
        if weights_path(path).exists():
            files[f"{tower}_data"] = file_entry(weights_path(path))
    return Variant(**files)


def file_entry(path: Path, recipe: str = "") -> ModelFile:
    """Return the manifest's entry for a file of a model folder."""
    return ModelFile(path.name, path.stat().st_size, sha256(path), recipe)


def chosen(context: click.Context, option: click.Parameter, value: str) -> list[str]:
    """Split a comma-separated list of variants, and refuse unknown ones (a click callback)."""
    names = list(dict.fromkeys(name.strip() for name in value.split(",") if name.strip()))
    if unknown := [name for name in names if name not in (REFERENCE, *RECIPES)]:
        msg = f"unknown: {', '.join(unknown)}; choose from {', '.join((REFERENCE, *RECIPES))}"
        raise click.BadParameter(msg, context, option)
    return [name for name in names if name != REFERENCE]


def tell(model: Path, made: Path, variants: dict[str, Variant]) -> None:
    """Print how far new variants are from fp32, on made-up pictures and phrases.

    Raises:
        ModelError: one of them does not run, or gives something else than numbers.

    """
    manifest = manifest_file.read(model / "manifest.json")
    batches = sample_inputs(manifest, model)
    sources = checked_graphs(model, manifest)
    reference = {tower: vectors(tower, sources[tower], batches[tower])[0] for tower in TOWERS}
    click.echo("\n".join(table(compare(made, variants, batches, reference))))


@click.command(help=__doc__)
@click.argument("model", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--variants", default="q8,q4", show_default=True, callback=chosen)
def main(model: Path, variants: list[str]) -> None:
    """Quantise, and print how far the variants are from fp32."""
    logging.disable(logging.WARNING)  # one of the made-up phrases is too long, and meant to be
    if not variants:
        msg = f"nothing to do; choose from {', '.join(RECIPES)}"
        raise click.UsageError(msg)
    add_variants(model, variants, lambda made, new: tell(model, made, new))


if __name__ == "__main__":
    command.run(main)
