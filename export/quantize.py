"""Make quantised variants of a model folder from its fp32 graphs; needs onnx, but no torch.

python export/quantize.py MODEL [--variants q8,q4]
"""

from __future__ import annotations

import dataclasses
import logging
import tempfile
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

from clip_gaze import manifest as manifests
from clip_gaze.manifest import Manifest, ModelFile, Variant
from clip_gaze.verify import sha256

REFERENCE = "fp32"


@dataclass(frozen=True, slots=True)
class Recipe:
    """How the weights of the linear layers are kept; the token table always has 8 bits.

    Attributes:
        bits: of each weight.
        block_size: how many weights share a scale and a zero point.
        accuracy_level: of MatMulNBits: 4 multiplies in int8, which is quick but differs between
            processors; 0 multiplies in float32, with the same result on all of them.

    """

    bits: int
    block_size: int
    accuracy_level: int

    def __str__(self) -> str:
        """Return the recipe as the manifest states it."""
        return (
            f"MatMulNBits {self.bits} bit, block {self.block_size}, "
            f"accuracy_level {self.accuracy_level}; token table 8 bit by row"
        )


RECIPES = {
    "q8": Recipe(bits=8, block_size=32, accuracy_level=4),
    "q4": Recipe(bits=4, block_size=32, accuracy_level=0),
}


def quantise(source: Path, target: Path, recipe: Recipe) -> None:
    """Write the graph in `source` to `target` with its weights quantised."""
    model = onnx.load(source)
    quantise_tables(model.graph)
    quantizer = MatMulNBitsQuantizer(
        model,
        bits=recipe.bits,
        block_size=recipe.block_size,
        is_symmetric=False,
        accuracy_level=recipe.accuracy_level,
        op_types_to_quantize=("MatMul",),
    )
    quantizer.process()
    onnx.save(quantizer.model.model, target)


def quantise_tables(graph: onnx.GraphProto) -> None:
    """Keep each large embedding table as int8 with one scale a row.

    Rows are looked up first and turned into float32 after, so that the whole table never is:
    Gather(table) becomes Cast(Gather(int8 table)) * Gather(scales).
    """
    weights = {tensor.name: tensor for tensor in graph.initializer}
    nodes = []
    for node in graph.node:
        table = weights.get(node.input[0]) if node.op_type == "Gather" else None
        if table is None or len(table.dims) != 2 or table.dims[0] < 1000:
            nodes.append(node)
            continue
        rows = numpy_helper.to_array(table)
        scales = np.maximum(np.abs(rows).max(axis=1, keepdims=True) / 127, np.float32(1e-12))
        levels = np.rint(rows / scales).astype(np.int8)
        names = {part: f"{table.name}_{part}" for part in ("levels", "scales")}
        graph.initializer.remove(table)
        graph.initializer.extend(
            numpy_helper.from_array(array, names[part])
            for part, array in {"levels": levels, "scales": scales.astype(np.float32)}.items()
        )
        output, indices = node.output[0], node.input[1]
        nodes += [
            helper.make_node("Gather", [names["levels"], indices], [f"{output}_levels"]),
            helper.make_node("Gather", [names["scales"], indices], [f"{output}_scales"]),
            helper.make_node(
                "Cast", [f"{output}_levels"], [f"{output}_float"], to=onnx.TensorProto.FLOAT
            ),
            helper.make_node("Mul", [f"{output}_float", f"{output}_scales"], [output]),
        ]
    del graph.node[:]
    graph.node.extend(nodes)


def add_variants(folder: Path, names: list[str]) -> Manifest:
    """Quantise the fp32 graphs of a model folder and enter the variants into its manifest."""
    manifest = manifests.read(folder / "manifest.json")
    variants = dict(manifest.variants)
    for name in names:
        towers = {}
        for tower in ("vision", "text"):
            source = folder / getattr(variants[REFERENCE], tower).file
            target = folder / f"{tower}_model_{name}.onnx"
            with tempfile.TemporaryDirectory(dir=folder) as scratch:
                quantise(source, Path(scratch) / target.name, RECIPES[name])
                (Path(scratch) / target.name).replace(target)
            towers[tower] = file_entry(target, str(RECIPES[name]))
        variants[name] = Variant(**towers)
    manifest = dataclasses.replace(manifest, variants=variants)
    (folder / "manifest.json").write_text(manifests.to_json(manifest), encoding="utf-8")
    return manifest


def file_entry(path: Path, recipe: str = "") -> ModelFile:
    """Return the manifest's entry for a file of a model folder."""
    return ModelFile(path.name, path.stat().st_size, sha256(path), recipe)


def chosen(context: click.Context, option: click.Parameter, value: str) -> list[str]:
    """Split a comma-separated list of variants, and refuse unknown ones (a click callback)."""
    names = [name.strip() for name in value.split(",") if name.strip()]
    if unknown := [name for name in names if name not in (REFERENCE, *RECIPES)]:
        msg = f"unknown: {', '.join(unknown)}; choose from {', '.join((REFERENCE, *RECIPES))}"
        raise click.BadParameter(msg, context, option)
    return [name for name in names if name != REFERENCE]


@click.command(help=__doc__)
@click.argument("model", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--variants", default="q8,q4", show_default=True, callback=chosen)
def main(model: Path, variants: list[str]) -> None:
    """Quantise and say the sizes."""
    logging.disable(logging.WARNING)  # the quantiser tells of every node
    manifest = add_variants(model, variants)
    for name in variants:
        towers = manifest.variants[name]
        click.echo(f"{name}: {(towers.vision.bytes + towers.text.bytes) / 1e6:,.1f} MB")


if __name__ == "__main__":
    main()
