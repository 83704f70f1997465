"""A graph that is cut gives what it gave whole."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from clip_gaze.model import onnx_file

FLOAT, BOOL = TensorProto.FLOAT, TensorProto.BOOL
WIDTH = 8
NUMBERS = np.linspace(-1, 1, 3 * WIDTH, dtype=np.float32).reshape(3, WIDTH)


def model(nodes: list[onnx.NodeProto], outputs: tuple[str, ...] = ("out",)) -> bytes:
    """Return a model of nodes that may use four square weights, and more than a graph."""
    weights = [
        onnx.numpy_helper.from_array(np.eye(WIDTH, k=k, dtype=np.float32) + k, f"w{k}")
        for k in range(4)
    ]
    graph = helper.make_graph(
        nodes, "tower",
        [helper.make_tensor_value_info("in", FLOAT, ["batch", WIDTH])],
        [helper.make_tensor_value_info(name, FLOAT, ["batch", WIDTH]) for name in outputs],
        weights, doc_string="a note",
        value_info=[helper.make_tensor_value_info("a", FLOAT, ["batch", WIDTH])],
    )  # fmt: skip
    made = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="tests"
    )
    helper.set_model_props(made, {"key": "value"})
    return made.SerializeToString()


def layer(number: int, taken: str, given: str) -> onnx.NodeProto:
    return helper.make_node("MatMul", [taken, f"w{number}"], [given])


CHAIN = [layer(0, "in", "a"), layer(1, "a", "b"), layer(2, "b", "c"), layer(3, "c", "out")]
# The second half takes the input again, and values of other types than float32.
RICH = [
    helper.make_node("Constant", [], ["half"], value_float=0.5),
    helper.make_node("Shape", ["in"], ["shape"]),
    helper.make_node("Greater", ["in", "half"], ["mask"]),
    layer(0, "in", "a"), layer(1, "a", "b"), layer(2, "b", "c"),
    helper.make_node("Where", ["mask", "c", "in"], ["d"]),
    layer(3, "d", "e"),
    helper.make_node("Reshape", ["e", "shape"], ["out"]),
]  # fmt: skip


def work(initializer: bytes) -> int:
    """Return that all weights count the same."""
    assert onnx.TensorProto.FromString(initializer).name.startswith("w")
    return 1


def types(first: bytes) -> dict[str, str]:
    """Return what ONNX Runtime says of a half."""
    return {node.name: node.type for node in loaded(first).get_outputs()}


def loaded(content: bytes) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])


def run(content: bytes, feeds: dict[str, Any]) -> dict[str, Any]:
    """Return what a model gives, of the values that it needs."""
    session = loaded(content)
    taken = {node.name: feeds[node.name] for node in session.get_inputs()}
    names = [node.name for node in session.get_outputs()]
    return dict(zip(names, session.run(names, taken), strict=True))


@pytest.mark.parametrize("most", [2, 4])
@pytest.mark.parametrize("nodes", [CHAIN, RICH])
def test_parts_give_what_the_whole_gives(nodes: list[onnx.NodeProto], most: int) -> None:
    whole = model(nodes)
    parts = onnx_file.parts(whole, most, work, types)
    assert len(parts) == most
    values = {"in": NUMBERS}
    for part in parts:
        values |= run(part, values)
    assert np.array_equal(values["out"], run(whole, {"in": NUMBERS})["out"])
    original = onnx.ModelProto.FromString(whole)
    for part in map(onnx.ModelProto.FromString, parts):  # what lies around is kept
        assert (part.producer_name, part.ir_version) == ("tests", 8)
        assert part.opset_import == original.opset_import
        assert part.metadata_props == original.metadata_props
        assert (part.graph.name, part.graph.doc_string) == ("tower", "a note")


def names(values: Any) -> list[str]:
    return [each.name for each in values]


def test_a_part_has_what_it_needs_and_no_more() -> None:
    parts = onnx_file.parts(model(RICH), 2, work, types)
    first, second = (onnx.ModelProto.FromString(part).graph for part in parts)
    assert names(first.input) == ["in"]
    assert names(first.output) == ["b", "mask", "shape"]
    assert sorted(names(second.input)) == ["b", "in", "mask", "shape"]
    assert names(second.output) == ["out"]
    assert names(first.initializer) == ["w0", "w1"]
    assert names(second.initializer) == ["w2", "w3"]


def test_a_cut_lies_where_fewest_values_cross() -> None:
    """Exactly in the middle two would."""
    nodes = [
        layer(0, "in", "a"),
        helper.make_node("Abs", ["a"], ["b"]),
        layer(1, "a", "c"),
        helper.make_node("Add", ["b", "c"], ["d"]),
        helper.make_node("Neg", ["d"], ["e"]),
        helper.make_node("Add", ["d", "e"], ["f"]),
        layer(2, "f", "g"),
        layer(3, "g", "out"),
    ]
    first, _ = onnx_file.parts(model(nodes), 2, work, types)
    assert names(onnx.ModelProto.FromString(first).graph.output) == ["d"]


def branch(name: str) -> onnx.GraphProto:
    given = helper.make_tensor_value_info(name, FLOAT, ["batch", WIDTH])
    return helper.make_graph([helper.make_node("Abs", ["a"], [name])], name, [], [given])


NESTED = [
    helper.make_node("Constant", [], ["yes"], value=helper.make_tensor("yes", BOOL, [], [True])),
    layer(0, "in", "a"), layer(1, "a", "b"), layer(2, "b", "c"),
    helper.make_node("If", ["yes"], ["d"], then_branch=branch("t"), else_branch=branch("e")),
    layer(3, "c", "out"),
]  # fmt: skip
UNEVEN = [layer(0, "in", "a"), helper.make_node("Concat", ["w1", "w2", "w3"], ["b"], axis=0)]
UNEVEN += [helper.make_node("MatMul", ["a", "b"], ["out"])]


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        pytest.param(model(NESTED), "tensor(float)", id="a graph inside a node"),
        pytest.param(model(CHAIN, ("a", "out")), "tensor(float)", id="an output of the first half"),
        pytest.param(model(UNEVEN), "tensor(float)", id="no place near the middle"),
        pytest.param(model(CHAIN), "seq(tensor(float))", id="a sequence"),
        pytest.param(b"", "tensor(float)", id="no graph"),
    ],
)
def test_a_graph_that_cannot_be_cut_stays_whole(content: bytes, kind: str) -> None:
    parts = onnx_file.parts(content, 2, work, lambda _: dict.fromkeys("abcd", kind))
    assert parts == [content]
