"""A tower runs every kind of published graph, in the batches it accepts, in some threads."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from clip_gaze.clip import Clip
from clip_gaze.errors import ModelError
from clip_gaze.model import session
from clip_gaze.model.session import Tower

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DIM, EDGE, VOCABULARY = 5, 4, 50
RNG = np.random.default_rng(0)
PROJECTION = RNG.normal(size=(3, DIM)).astype(np.float32)
TABLE = RNG.normal(size=(VOCABULARY, DIM)).astype(np.float32)
PIXELS = RNG.normal(size=(7, 3, EDGE, EDGE)).astype(np.float32)
IDS = RNG.integers(0, VOCABULARY, (7, 6))
IMAGE_ROWS = PIXELS.mean(axis=(2, 3)) @ PROJECTION
TEXT_ROWS = TABLE[IDS].sum(axis=1)


def saved(folder: Path, nodes: list, inputs: list, outputs: list, **weights: np.ndarray) -> Path:
    """Write a graph of these parts."""
    graph = helper.make_graph(
        nodes, "tower", inputs, outputs,
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, folder / "tower.onnx")
    return folder / "tower.onnx"


def vision(
    folder: Path,
    *,
    batch: int | str = "batch",
    name: str = "pixel_values",
    output: str = "image_embeds",
    kind: int = TensorProto.FLOAT,
    normalised: bool = False,
    extra: bool = False,
    projection: np.ndarray = PROJECTION,
) -> Path:
    """Write a tower that takes the mean of each channel and projects it."""
    pixels = helper.make_tensor_value_info(name, kind, [batch, 3, EDGE, EDGE])
    nodes = [
        helper.make_node("Cast", [name], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["floats"], ["means"], axes=[2, 3], keepdims=0),
        helper.make_node("MatMul", ["means", "projection"], ["rows"]),
        helper.make_node("LpNormalization" if normalised else "Identity", ["rows"], [output]),
    ]
    outputs = [helper.make_tensor_value_info(output, TensorProto.FLOAT, [batch, DIM])]
    if extra:
        hidden = helper.make_tensor_value_info("floats", TensorProto.FLOAT, [batch, 3, EDGE, EDGE])
        outputs.insert(0, hidden)
    return saved(folder, nodes, [pixels], outputs, projection=projection)


def text(
    folder: Path,
    *,
    batch: int | str = "batch",
    name: str = "input_ids",
    output: str = "text_embeds",
    kind: int = TensorProto.INT64,
    mask: int | None = None,
    mask_first: bool = False,
    normalised: bool = False,
    extra: bool = False,
) -> Path:
    """Write a tower that adds up the vectors of the tokens that the mask lets through."""
    inputs = [helper.make_tensor_value_info(name, kind, [batch, "sequence"])]
    nodes = [helper.make_node("Gather", ["table", name], ["tokens"])]
    if mask is not None:
        shape = [batch, "sequence"]
        node = helper.make_tensor_value_info("attention_mask", mask, shape)
        inputs.insert(0 if mask_first else 1, node)
        nodes += [
            helper.make_node("Cast", ["attention_mask"], ["seen"], to=TensorProto.FLOAT),
            helper.make_node("Unsqueeze", ["seen", "last"], ["weights"]),
            helper.make_node("Mul", ["tokens", "weights"], ["kept"]),
        ]
    nodes += [
        helper.make_node("ReduceSum", [nodes[-1].output[0], "middle"], ["rows"], keepdims=0),
        helper.make_node("LpNormalization" if normalised else "Identity", ["rows"], [output]),
    ]
    outputs = [helper.make_tensor_value_info(output, TensorProto.FLOAT, [batch, DIM])]
    if extra:
        shape = [batch, "sequence", DIM]
        outputs.insert(0, helper.make_tensor_value_info("tokens", TensorProto.FLOAT, shape))
    axes = {"last": np.array([2])} if mask is not None else {}
    return saved(folder, nodes, inputs, outputs, table=TABLE, middle=np.array([1]), **axes)


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


VISION: dict[str, dict[str, Any]] = {
    "as exported here": {},
    "fixed batch of 1": {"batch": 1},
    "fixed batch of 2": {"batch": 2},
    "fixed batch of 16": {"batch": 16},
    "normalised": {"normalised": True},
    "extra outputs": {"extra": True},
    "other names": {"name": "image", "output": "embedding"},
    "other names and extra outputs": {"name": "image", "output": "embedding", "extra": True},
}
TEXT: dict[str, dict[str, Any]] = {
    "as exported here": {},
    "int32 ids": {"kind": TensorProto.INT32},
    "attention mask": {"mask": TensorProto.INT64},
    "attention mask before the ids": {"mask": TensorProto.INT64, "mask_first": True},
    "int32 ids and mask": {"kind": TensorProto.INT32, "mask": TensorProto.INT32},
    "float mask": {"mask": TensorProto.FLOAT},
    "fixed batch of 1": {"batch": 1},
    "fixed batch of 2": {"batch": 2},
    "fixed batch of 2 with mask": {"batch": 2, "mask": TensorProto.INT64},
    "normalised": {"normalised": True},
    "extra outputs": {"extra": True},
    "other names": {"name": "text", "output": "embedding", "kind": TensorProto.INT32},
    "other names and extra outputs": {"name": "text", "output": "embedding", "extra": True},
}


@pytest.mark.parametrize("kind", VISION)
@pytest.mark.parametrize("count", [1, 2, 7])
def test_every_kind_of_vision_tower_gives_the_right_rows(
    kind: str, count: int, tmp_path: Path
) -> None:
    found = Tower(vision(tmp_path, **VISION[kind])).images(PIXELS[:count])
    wanted = unit(IMAGE_ROWS) if kind == "normalised" else IMAGE_ROWS
    assert found.dtype == np.float32
    assert found.shape == (count, DIM)
    assert np.abs(found - wanted[:count]).max() <= 1e-6


@pytest.mark.parametrize("kind", TEXT)
@pytest.mark.parametrize("count", [1, 2, 7])
def test_every_kind_of_text_tower_gives_the_right_rows(
    kind: str, count: int, tmp_path: Path
) -> None:
    found = Tower(text(tmp_path, **TEXT[kind])).texts(IDS[:count])
    wanted = unit(TEXT_ROWS) if kind == "normalised" else TEXT_ROWS
    assert found.dtype == np.float32
    assert found.shape == (count, DIM)
    assert np.abs(found - wanted[:count]).max() <= 1e-5


def test_a_half_precision_input_is_fed_as_such(tmp_path: Path) -> None:
    found = Tower(vision(tmp_path, kind=TensorProto.FLOAT16)).images(PIXELS)
    assert np.abs(found - IMAGE_ROWS).max() <= 1e-2


@settings(deadline=None, max_examples=40)
@given(batch=st.sampled_from(["batch", 1, 2, 3, 5]), cuts=st.sets(st.integers(1, 6)))
def test_batches_change_nothing(
    batch: int | str, cuts: set[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    tower = Tower(text(tmp_path_factory.mktemp("tower"), batch=batch, mask=TensorProto.INT64))
    together = tower.texts(IDS)
    parts = [tower.texts(part) for part in np.split(IDS, sorted(cuts))]
    # ONNX Runtime itself adds up one row and many in another order: the last bit may differ.
    assert np.abs(np.concatenate(parts) - together).max() <= 1e-5


def refused(path: Path) -> str:
    """Return the error for a graph that cannot be loaded: one line that names the file."""
    with pytest.raises(ModelError) as caught:
        Tower(path)
    return one_line(path, caught.value)


def one_line(path: Path, error: ModelError) -> str:
    message = str(error)
    assert message.startswith(f"{path}: ")
    assert len(message.splitlines()) == 1
    return message


@pytest.mark.parametrize("content", [b"", b"no graph", b"\x08\x08" * 500, b"\0" * 64])
def test_a_file_that_is_no_graph_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "tower.onnx").write_bytes(content)
    refused(tmp_path / "tower.onnx")


def test_a_graph_cut_short_is_refused(tmp_path: Path) -> None:
    path = vision(tmp_path)
    path.write_bytes(path.read_bytes()[:-30])
    assert "cannot load this graph" in refused(path)


def test_a_missing_graph_or_a_folder_is_refused(tmp_path: Path) -> None:
    assert "cannot load this graph" in refused(tmp_path / "gone.onnx")
    assert "cannot load this graph" in refused(tmp_path)


def test_an_operator_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    path = vision(tmp_path)
    model = onnx.load(path)
    model.graph.node[0].op_type = "NoSuchOperator"
    onnx.save(model, path)
    assert "NoSuchOperator" in refused(path)


@pytest.mark.parametrize("inputs", ["none", "two", "double"])
def test_a_graph_with_other_inputs_than_a_towers_is_refused(inputs: str, tmp_path: Path) -> None:
    kinds = {"none": [], "two": [TensorProto.FLOAT] * 2, "double": [TensorProto.DOUBLE]}[inputs]
    nodes = [helper.make_node("Identity", ["table"], ["text_embeds"])]
    path = saved(
        tmp_path,
        nodes,
        [helper.make_tensor_value_info(f"in{n}", kind, [1, 3]) for n, kind in enumerate(kinds)],
        [helper.make_tensor_value_info("text_embeds", TensorProto.FLOAT, list(TABLE.shape))],
        table=TABLE,
    )
    assert "is not the graph of one CLIP tower" in refused(path)


def test_the_other_tower_is_refused_when_it_is_run(tmp_path: Path) -> None:
    path = vision(tmp_path)
    with pytest.raises(ModelError) as caught:
        Tower(path).texts(IDS)
    assert "cannot run this graph" in one_line(path, caught.value)


def test_a_graph_that_fails_on_the_way_is_refused(tmp_path: Path) -> None:
    path = text(tmp_path)
    with pytest.raises(ModelError) as caught:
        Tower(path).texts(IDS + VOCABULARY)
    message = one_line(path, caught.value)
    assert f"cannot run this graph on token ids up to {IDS.max() + VOCABULARY}" in message
    assert message.endswith("is tokenizer.json another model's?")


def test_only_the_error_is_written(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "tower.onnx").write_bytes(b"no graph")
    refused(tmp_path / "tower.onnx")
    with pytest.raises(ModelError):
        Tower(text(tmp_path)).texts(IDS + VOCABULARY)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38, 1e30])
def test_vectors_that_are_not_finite_are_refused(value: float, tmp_path: Path) -> None:
    """1e30 is finite, but the length of such a vector is not."""
    weights = PROJECTION.copy()
    weights[1, 2] = value
    path = vision(tmp_path, projection=weights)
    with pytest.raises(ModelError) as caught:
        Tower(path, instead="use another variant: fp32").images(PIXELS)
    assert one_line(path, caught.value).endswith("not finite; use another variant: fp32")


def test_a_clip_names_the_variants_to_use_instead(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = onnxruntime.InferenceSession.run

    def overflowing(*arguments: Any) -> list[np.ndarray]:
        return [np.full_like(rows, np.inf) for rows in real(*arguments)]

    monkeypatch.setattr(onnxruntime.InferenceSession, "run", overflowing)
    with (
        Clip(tiny_model, "q8") as clip,
        pytest.raises(ModelError, match=r"not finite; use another variant: fp32, q4"),
    ):
        clip.encode_texts(["on wood"])


@pytest.mark.parametrize(
    ("release", "numpy_2", "works"),
    [("1.18.1", True, False), ("1.18.1", False, True), ("1.19.0", True, True)],
)
def test_a_runtime_that_does_not_work_with_numpy_2_is_refused(
    release: str, numpy_2: bool, works: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnxruntime, "__version__", release)
    monkeypatch.setattr(np, "_core", None, raising=False)
    if not numpy_2:
        monkeypatch.delattr(np, "_core")
    if works:
        assert session.version() == release
    else:
        with pytest.raises(ModelError, match='pip install "numpy<2"'):
            session.version()


@pytest.mark.parametrize(("setting", "calls"), [("1", 1), ("0", 0), (None, 0)])
def test_the_telemetry_of_windows_is_switched_off_as_the_variable_says(
    setting: str | None, calls: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[None] = []
    monkeypatch.setattr(onnxruntime, "disable_telemetry_events", lambda: called.append(None))
    monkeypatch.delenv("ORT_DISABLE_TELEMETRY", raising=False)
    if setting is not None:
        monkeypatch.setenv("ORT_DISABLE_TELEMETRY", setting)
    Tower(vision(tmp_path))
    assert len(called) == calls


@pytest.mark.parametrize(
    ("operator", "shape"), [("Identity", ["batch", 3, 4, 4]), ("Flatten", [1, "numbers"])]
)
def test_a_graph_that_gives_no_vector_a_row_is_refused(
    operator: str, shape: list[int | str], tmp_path: Path
) -> None:
    options = {"axis": 0} if operator == "Flatten" else {}  # all rows into one
    path = saved(
        tmp_path,
        [helper.make_node(operator, ["pixel_values"], ["out"], **options)],
        [helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT, ["batch", 3, 4, 4])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, shape)],
    )
    with pytest.raises(ModelError) as caught:
        Tower(path).images(PIXELS)
    assert "not one vector a row" in one_line(path, caught.value)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
    """Return what sessions of ONNX Runtime are asked for during the test."""
    calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
    real = onnxruntime.InferenceSession

    def spied(*args: Any, **kwargs: Any) -> onnxruntime.InferenceSession:
        calls.append((args, kwargs))
        return real(*args, **kwargs)

    monkeypatch.setattr(onnxruntime, "InferenceSession", spied)
    return calls


def test_a_session_is_loaded_from_its_path_on_the_cpu_with_weights_outside_its_arena(
    asked: list[tuple[tuple[Any, ...], dict[str, Any]]], tmp_path: Path
) -> None:
    path = vision(tmp_path)
    Tower(path)
    [((where, options), named)] = asked
    assert where == str(path)
    assert named == {"providers": ["CPUExecutionProvider"]}
    assert options.get_session_config_entry("session.use_device_allocator_for_initializers") == "1"
    assert options.enable_mem_pattern is False
    assert options.inter_op_num_threads == 1
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"


@pytest.mark.parametrize(("threads", "wanted"), [(None, 6), (1, 1), (3, 3)])
def test_threads_are_those_asked_for_or_the_cpus_that_may_be_used(
    threads: int | None,
    wanted: int,
    asked: list[tuple[tuple[Any, ...], dict[str, Any]]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(session, "usable_cpus", lambda: 6)
    Tower(vision(tmp_path), threads)
    [((_, options), _)] = asked
    assert options.intra_op_num_threads == wanted


@pytest.mark.parametrize(("threads", "wanted"), [(None, 5), (1, 1)])
def test_every_session_of_a_clip_uses_its_threads(
    threads: int | None,
    wanted: int,
    asked: list[tuple[tuple[Any, ...], dict[str, Any]]],
    tiny_model: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(session, "usable_cpus", lambda: 5)
    with Clip(tiny_model, threads=threads) as clip:
        clip.gaze(Image.new("RGB", (9, 9)), ["on wood"])
    assert [options.intra_op_num_threads for (_, options), _ in asked] == [wanted, wanted]


def test_a_graph_is_loaded_while_the_allocator_gives_memory_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    real = onnxruntime.InferenceSession

    @contextmanager
    def spied() -> Iterator[None]:
        calls.append("set")
        yield
        calls.append("reset")

    def loading(*args: Any, **kwargs: Any) -> onnxruntime.InferenceSession:
        calls.append("load")
        return real(*args, **kwargs)

    monkeypatch.setattr(session, "giving_back", spied)
    monkeypatch.setattr(onnxruntime, "InferenceSession", loading)
    Tower(vision(tmp_path))
    assert calls == ["set", "load", "reset"]
