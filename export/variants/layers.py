"""Make the nodes that replace a layer of an ONNX graph, with quantised weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import helper, numpy_helper

from clip_gaze.errors import ModelError
from variants.recipes import MOST_LEVEL, Recipe, pack, table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

# Smaller tables are not worth it: CLIP's other one, of positions, has 50 to 577 rows.
LARGE_TABLE = 1000
MIDDLE = np.uint8(128)  # the unsigned level of zero


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
    model: onnx.ModelProto,
    inputs: dict[str, tuple[str, str]],
) -> list[onnx.NodeProto]:
    """Return the nodes of a linear layer in int8, of operators that every runtime has.

    Each row of the input gets a scale of its own, so that no other row, and no other picture,
    changes what becomes of it.

    Args:
        node: the layer.
        weights: of the graph, by name.
        model: gets the new weights.
        inputs: levels and scales of inputs that other layers share, by the name of the input;
            gets this one's.

    """
    output, source, graph = node.output[0], node.input[0], model.graph
    nodes: list[onnx.NodeProto] = []
    if source not in inputs:
        inputs[source] = (f"{source}_levels", f"{source}_scales")
        nodes += levelled(source, *inputs[source], model)
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


def levelled(source: str, levels: str, scales: str, model: onnx.ModelProto) -> list[onnx.NodeProto]:
    """Return nodes that quantise an input to uint8 around `MIDDLE`, each row by its furthest."""
    graph = model.graph
    # An attribute became an input in version 18 of the operators.
    if next(each.version for each in model.opset_import if not each.domain) < 18:
        axes, last = {"axes": [-1]}, []
    else:
        axes, last = {}, [constant(graph, "last", np.array([-1]))]
    step = constant(graph, "step", np.float32(1 / 127))
    least = constant(graph, "least", np.float32(1e-12))
    middle = constant(graph, "middle_float", np.float32(MIDDLE))
    names = [f"{levels}_{part}" for part in ("size", "most", "step", "ratio", "whole", "shifted")]
    size, most, scaled, ratio, whole, shifted = names
    return [
        helper.make_node("Abs", [source], [size]),
        helper.make_node("ReduceMax", [size, *last], [most], keepdims=1, **axes),
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
