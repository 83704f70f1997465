"""Rewrite a tower's ONNX graph so that its weights are quantised."""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx
from google.protobuf.message import DecodeError
from onnx import helper
from onnx.checker import ValidationError
from onnx.external_data_helper import set_external_data

from clip_gaze.errors import ModelError
from variants.layers import by_row, convolution, in_blocks, is_table, lookup, stored
from variants.recipes import FLOAT, STORED, Recipe

if TYPE_CHECKING:
    from pathlib import Path


# Smaller graphs load in no time as they are, and stay one file.
LARGE_GRAPH = 16_000_000  # bytes of weights
ALIGNMENT = 64  # bytes, as wide as a processor's registers
LAYERS_PER_BLOCK = 6  # query, key, value, out, and two of the perceptron
# The oldest that has all that is used here; ONNX Runtime refuses files newer than itself.
IR_VERSION = 8


def quantise(source: Path, target: Path, recipe: Recipe) -> None:
    """Write the graph in `source` to `target` with its weights quantised.

    Args:
        source: the graph in float32.
        target: gets the new one.
        recipe: how the weights are kept.

    Raises:
        ModelError: `source` is no graph, or has no linear layer, or weights that are no numbers.

    """
    model = loaded(source)
    if not layer_bits(model.graph, recipe):
        msg = f"{source}: has no linear layer whose weights could be quantised"
        raise ModelError(msg)
    rewrite(model, recipe)
    save(model, target)


def quantise_layer(model: onnx.ModelProto, target: Path, recipe: Recipe, output: str) -> None:
    """Write a copy of a graph to `target` in which one linear layer is quantised.

    Args:
        model: the graph in float32.
        target: gets the copy.
        recipe: how the weights are kept.
        output: the name of the layer's output.

    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    rewrite(copy, recipe, only=output)
    save(copy, target)


def rewrite(model: onnx.ModelProto, recipe: Recipe, only: str | None = None) -> None:
    """Quantise the weights of a graph in place.

    Args:
        model: the graph in float32.
        recipe: how the weights are kept.
        only: the output of the one linear layer that is quantised; None: all are, and the token
            table and the patches' convolution as the recipe says.

    """
    graph = model.graph
    weights = {tensor.name: tensor for tensor in graph.initializer}
    bits = layer_bits(graph, recipe)
    if only:
        bits = {only: bits[only]}
    nodes: list[onnx.NodeProto] = []
    inputs: dict[str, tuple[str, str]] = {}
    for node in graph.node:
        fixed = [weights[name] for name in node.input if name in weights]
        layer = bits.get(node.output[0], FLOAT)
        if layer == STORED and recipe.bits != STORED:
            nodes += stored(node, weights, graph)
        elif layer != FLOAT and not recipe.block_size:
            nodes += by_row(node, weights, model, inputs)
        elif layer != FLOAT:
            nodes += in_blocks(node, weights, graph, layer, recipe)
        elif only is None and node.op_type == "Gather" and is_table(fixed, node):
            nodes += lookup(node, fixed[0], graph)
        elif only is None and node.op_type == "Conv" and recipe.patches != FLOAT and fixed:
            nodes += convolution(node, weights[node.input[1]], graph)
        else:
            nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)
    used = {name for node in nodes for name in node.input}
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    if "com.microsoft" not in [each.domain for each in model.opset_import]:
        model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    strip(model)


def loaded(source: Path) -> onnx.ModelProto:
    """Read a graph with its weights.

    Raises:
        ModelError: it is no graph, or onnx refuses the file of its weights.

    """
    try:
        return onnx.load(source)
    except DecodeError:
        msg = f"{source}: is not an ONNX graph; export the model again"
        raise ModelError(msg) from None
    except ValidationError as error:
        reason = str(error).rstrip(".")
        msg = f"{source}: onnx refuses its weights; where they are a link, copy the file ({reason})"
        raise ModelError(msg) from error


def linear_layers(model: onnx.ModelProto, recipe: Recipe) -> dict[str, str]:
    """Return a name for each linear layer of a CLIP tower, by the name of its output.

    Each block has query, key, value, out, up and down, in this order; the projection comes last.
    """
    outputs = layer_bits(model.graph, recipe)
    roles = ("query", "key", "value", "out", "up", "down")
    blocks = range(1, len(outputs) // LAYERS_PER_BLOCK + 1)
    names = [f"block {block} {role}" for block in blocks for role in roles]
    return dict(zip(outputs, [*names, "projection"], strict=True))


def save(model: onnx.ModelProto, target: Path) -> None:
    """Write a graph, and the weights of a large one to a file beside it, named as on the Hub.

    The runtime maps these into memory where it reads them, and need not hold them twice while it
    loads: ViT-B/32's text tower in float32 then takes half the memory, and a third of the time.
    """
    data = weights_path(target)
    data.unlink(missing_ok=True)
    if sum(len(tensor.raw_data) for tensor in model.graph.initializer) < LARGE_GRAPH:
        onnx.save(model, target)
        return
    end = 0
    for tensor in model.graph.initializer:
        length = len(tensor.raw_data)
        if length >= ALIGNMENT:
            start = -(-end // ALIGNMENT) * ALIGNMENT
            set_external_data(tensor, data.name, start, length)
            end = start + length
    onnx.save(model, target)
    data.chmod(target.stat().st_mode)  # onnx leaves it to its owner alone


def weights_path(graph: Path) -> Path:
    """Return the path of a graph's external weights, whether or not it has any."""
    return graph.with_name(f"{graph.name}_data")


def strip(model: onnx.ModelProto) -> None:
    """Remove the notes that torch's exporter makes of its own code, and state the oldest format."""
    model.ir_version = IR_VERSION
    graph = model.graph
    del graph.value_info[:], graph.metadata_props[:], model.metadata_props[:]
    for each in (*graph.node, *graph.initializer, *graph.input, *graph.output):
        each.ClearField("doc_string")
        each.ClearField("metadata_props")


def layer_bits(graph: onnx.GraphProto, recipe: Recipe) -> dict[str, int]:
    """Return the bits of each linear layer's weights, by the name of its output."""
    weights = {tensor.name: tensor for tensor in graph.initializer}
    layers = [
        node
        for node in graph.node
        if node.op_type in ("MatMul", "Gemm")
        and len(getattr(weights.get(node.input[1]), "dims", ())) == 2
        and all(attribute.f == 1 for attribute in node.attribute if attribute.type == 1)
        and not any(attribute.i for attribute in node.attribute if attribute.name == "transA")
    ]
    inner = [node for node in layers if node.output[0] not in {each.name for each in graph.output}]
    ends = {node.output[0] for node in inner[:LAYERS_PER_BLOCK] + inner[-LAYERS_PER_BLOCK:]}
    bits = {}
    for node in layers:
        inputs, outputs = weights[node.input[1]].dims
        if node not in inner:
            bits[node.output[0]] = recipe.projection
        elif recipe.ends and node.output[0] in ends:
            bits[node.output[0]] = recipe.ends
        elif recipe.down and inputs > outputs:
            bits[node.output[0]] = recipe.down
        else:
            bits[node.output[0]] = recipe.bits
    return bits
