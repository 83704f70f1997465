"""Rewrite a tower's ONNX graph so that its weights are quantised."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import helper, numpy_helper
from onnx.checker import ValidationError
from onnx.external_data_helper import set_external_data

from clip_gaze.errors import ModelError
from variants.recipes import FLOAT, MOST_LEVEL, STORED, Recipe, pack, table

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

# Smaller tables are not worth it: CLIP's other one, of positions, has 50 to 577 rows.
LARGE_TABLE = 1000
# Smaller graphs load in no time as they are, and stay one file.
LARGE_GRAPH = 16_000_000  # bytes of weights
ALIGNMENT = 64  # bytes, as wide as a processor's registers
LAYERS_PER_BLOCK = 6  # query, key, value, out, and two of the perceptron
# The oldest that has all that is used here; ONNX Runtime refuses files newer than itself.
IR_VERSION = 8
MIDDLE = np.uint8(128)  # the unsigned level of zero


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
            nodes += by_row(node, weights, graph, inputs)
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


def in_blocks(
    node: onnx.NodeProto,
    weights: Mapping[str, onnx.TensorProto],
    graph: onnx.GraphProto,
    bits: int,
    recipe: Recipe,
) -> list[onnx.NodeProto]:
    """Return the nodes that replace a linear layer: MatMulNBits, and Add if it has a bias."""
    matrix = matrix_of(node, weights)
    levels, scales, zeros = pack(matrix, bits, recipe.block_size, symmetric=recipe.symmetric)
    parts: dict[str, NDArray] = {"levels": levels, "scales": scales}
    if not recipe.symmetric:
        parts["zeros"] = zeros.reshape(len(zeros), -1)
    attributes = {"bits": bits, "block_size": recipe.block_size}
    if recipe.accuracy_level:
        attributes["accuracy_level"] = recipe.accuracy_level
    product = helper.make_node(
        "MatMulNBits",
        [node.input[0], *keep(graph, node.output[0], parts)],
        [f"{node.output[0]}_product"],
        domain="com.microsoft",
        K=matrix.shape[0],
        N=matrix.shape[1],
        **attributes,
    )
    return biased([product], node)


def by_row(
    node: onnx.NodeProto,
    weights: Mapping[str, onnx.TensorProto],
    graph: onnx.GraphProto,
    inputs: dict[str, tuple[str, str]],
) -> list[onnx.NodeProto]:
    """Return the nodes of a linear layer in int8, of operators that every runtime has.

    Each row of the input gets a scale of its own, so that no other row, and no other picture,
    changes what becomes of it.

    Args:
        node: the layer.
        weights: of the graph, by name.
        graph: gets the new weights.
        inputs: levels and scales of inputs that other layers share, by the name of the input;
            gets this one's.

    """
    output, source = node.output[0], node.input[0]
    nodes: list[onnx.NodeProto] = []
    if source not in inputs:
        inputs[source] = (f"{source}_levels", f"{source}_scales")
        nodes += levelled(source, *inputs[source], graph)
    levels, scales = table(matrix_of(node, weights).T, MOST_LEVEL)
    parts = {"levels": np.ascontiguousarray(levels.T), "scales": scales[:, 0]}
    held, factors = keep(graph, output, parts)
    name = f"{output}_integers"
    nodes += [
        helper.make_node(
            "MatMulInteger", [inputs[source][0], held, constant(graph, "middle", MIDDLE)], [name]
        ),
        helper.make_node("Cast", [name], [f"{output}_float"], to=onnx.TensorProto.FLOAT),
        helper.make_node("Mul", [f"{output}_float", inputs[source][1]], [f"{output}_scaled"]),
        helper.make_node("Mul", [f"{output}_scaled", factors], [f"{output}_product"]),
    ]
    return biased(nodes, node)


def levelled(source: str, levels: str, scales: str, graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """Return nodes that quantise an input to uint8 around `MIDDLE`, each row by its furthest."""
    last = constant(graph, "last", np.array([-1]))
    step = constant(graph, "step", np.float32(1 / 127))
    least = constant(graph, "least", np.float32(1e-12))
    middle = constant(graph, "middle_float", np.float32(MIDDLE))
    names = [f"{levels}_{part}" for part in ("size", "most", "step", "ratio", "whole", "shifted")]
    size, most, scaled, ratio, whole, shifted = names
    return [
        helper.make_node("Abs", [source], [size]),
        helper.make_node("ReduceMax", [size, last], [most], keepdims=1),
        helper.make_node("Mul", [most, step], [scaled]),
        helper.make_node("Max", [scaled, least], [scales]),
        helper.make_node("Div", [source, scales], [ratio]),
        helper.make_node("Round", [ratio], [whole]),
        helper.make_node("Add", [whole, middle], [shifted]),
        helper.make_node("Cast", [shifted], [levels], to=onnx.TensorProto.UINT8),
    ]


def stored(
    node: onnx.NodeProto, weights: Mapping[str, onnx.TensorProto], graph: onnx.GraphProto
) -> list[onnx.NodeProto]:
    """Return the nodes of a linear layer with 8-bit weights, which loading makes float32."""
    levels, scales = table(matrix_of(node, weights).T)
    output = node.output[0]
    parts = {"levels": np.ascontiguousarray(levels.T), "scales": scales.T}
    names = keep(graph, output, parts)
    kernel, product = f"{output}_kernel", f"{output}_product"
    matmul = helper.make_node("MatMul", [node.input[0], kernel], [product])
    return biased([*widened(names[0], names[1], kernel), matmul], node)


def matrix_of(node: onnx.NodeProto, weights: Mapping[str, onnx.TensorProto]) -> NDArray[np.float32]:
    """Return the weights of a linear layer, (inputs, outputs) float32."""
    matrix = numbers(weights[node.input[1]])
    turned = any(attribute.name == "transB" and attribute.i for attribute in node.attribute)
    return matrix.T if turned else matrix


def biased(nodes: list[onnx.NodeProto], layer: onnx.NodeProto) -> list[onnx.NodeProto]:
    """Return nodes that compute a layer's product, and add its bias if it has one."""
    if layer.op_type == "Gemm" and len(layer.input) == 3:
        add = helper.make_node("Add", [nodes[-1].output[0], layer.input[2]], [layer.output[0]])
        return [*nodes, add]
    nodes[-1].output[0] = layer.output[0]
    return nodes


def is_table(fixed: list[onnx.TensorProto], node: onnx.NodeProto) -> bool:
    """Tell whether a Gather looks up rows of a large table of weights."""
    return (
        bool(fixed)
        and fixed[0].name == node.input[0]
        and len(fixed[0].dims) == 2
        and fixed[0].dims[0] >= LARGE_TABLE
        and not any(attribute.i for attribute in node.attribute if attribute.name == "axis")
    )


def lookup(
    node: onnx.NodeProto, rows: onnx.TensorProto, graph: onnx.GraphProto
) -> list[onnx.NodeProto]:
    """Return the nodes that replace a lookup: only the rows looked up become float32."""
    levels, scales = table(numbers(rows))
    output, indices = node.output[0], node.input[1]
    names = keep(graph, output, {"levels": levels, "scales": scales})
    found = [f"{name}_found" for name in names]
    return [
        *(
            helper.make_node("Gather", [name, indices], [each])
            for name, each in zip(names, found, strict=True)
        ),
        *widened(found[0], found[1], output),
    ]


def convolution(
    node: onnx.NodeProto, kernel: onnx.TensorProto, graph: onnx.GraphProto
) -> list[onnx.NodeProto]:
    """Return the nodes of a convolution with 8-bit weights, which loading makes float32."""
    levels, scales = table(numbers(kernel))
    names = keep(graph, node.output[0], {"levels": levels, "scales": scales})
    changed = onnx.NodeProto()
    changed.CopyFrom(node)
    changed.input[1] = f"{node.output[0]}_kernel"
    return [*widened(names[0], names[1], changed.input[1]), changed]


def numbers(tensor: onnx.TensorProto) -> NDArray[np.float32]:
    """Return weights as an array.

    Raises:
        ModelError: they hold NaN or infinite numbers.

    """
    array = numpy_helper.to_array(tensor).astype(np.float32, copy=False)
    if not np.isfinite(array).all():
        msg = f"the weights {tensor.name} are not finite numbers; take another checkpoint"
        raise ModelError(msg)
    return array


def widened(levels: str, scales: str, output: str) -> list[onnx.NodeProto]:
    """Return nodes that multiply int8 levels with their scales."""
    return [
        helper.make_node("Cast", [levels], [f"{output}_float"], to=onnx.TensorProto.FLOAT),
        helper.make_node("Mul", [f"{output}_float", scales], [output]),
    ]


def constant(graph: onnx.GraphProto, name: str, value: np.generic | NDArray) -> str:
    """Add a number to the graph, unless it is there, and return its name."""
    name = f"by_row_{name}"
    if name not in [tensor.name for tensor in graph.initializer]:
        graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    return name


def keep(graph: onnx.GraphProto, name: str, parts: Mapping[str, NDArray]) -> list[str]:
    """Add arrays to the graph as initializers and return their names."""
    names = [f"{name}_{part}" for part in parts]
    graph.initializer.extend(map(numpy_helper.from_array, parts.values(), names))
    return names
