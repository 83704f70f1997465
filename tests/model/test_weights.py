"""Large graphs keep their weights in a file beside them, which the runtime maps into memory."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest

import hub_server as hubs
from clip_gaze import Clip, ModelError
from clip_gaze.hub.locate import locate
from clip_gaze.model import manifest, manifest_file, onnx_file, registry
from quantize import add_variants, variant_of
from variants import graphs

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from PIL import Image

    MakePicture = Callable[..., Image.Image]

PHRASES = ["on wood", "by nobody"]


@pytest.fixture
def apart(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the small model, made anew with all weights beside their graphs."""
    monkeypatch.setattr(graphs, "LARGE_GRAPH", 0)
    folder = tmp_path / "apart"
    folder.mkdir()
    shutil.copy(tiny_model / "tokenizer.json", folder)
    paths = {tower: folder / f"{tower}_model.onnx" for tower in ("vision", "text")}
    for path in paths.values():
        graphs.save(onnx.load(tiny_model / path.name), path)
    text = (tiny_model / "manifest.json").read_text(encoding="utf-8")
    (folder / "manifest.json").write_text(text, encoding="utf-8")
    old = manifest_file.read(folder / "manifest.json")
    fp32 = variant_of(paths, {"vision": "float32", "text": "float32"})
    new = manifest.to_json(dataclasses.replace(old, variants={"fp32": fp32}))
    (folder / "manifest.json").write_text(new, encoding="utf-8")
    add_variants(folder, ["q8", "q4"])
    return folder


def vectors(model: str | Path, variant: str, image: Image.Image) -> np.ndarray:
    with Clip(model, variant, store=False) as clip:
        return np.concatenate([clip.encode_images([image]), clip.encode_texts(PHRASES)])


@pytest.mark.parametrize("variant", ["fp32", "q8", "q4"])
def test_results_are_those_of_whole_graphs(
    variant: str, apart: Path, tiny_model: Path, picture: MakePicture
) -> None:
    assert np.array_equal(
        vectors(apart, variant, picture()), vectors(tiny_model, variant, picture())
    )


def test_a_bundle_has_the_weights_too(
    apart: Path, tiny_model: Path, tmp_path: Path, picture: MakePicture
) -> None:
    lists = {"phrases": PHRASES}
    with Clip(apart, "q4") as clip:
        clip.bundle(tmp_path / "bundle", lists)
    files = {path.name for path in (tmp_path / "bundle").glob("*onnx*")}
    assert files == {"vision_model_q4.onnx", "vision_model_q4.onnx_data"}
    with Clip(tmp_path / "bundle") as clip, Clip(tiny_model, "q4") as whole:
        assert clip.gaze(picture(), lists, format_output=False) == whole.gaze(
            picture(), lists, format_output=False
        )


def test_the_graphs_are_small_and_the_weights_aligned_and_for_everybody(apart: Path) -> None:
    for path in apart.glob("*.onnx"):
        data = path.with_name(f"{path.name}_data")
        assert path.stat().st_size < 100_000
        assert path.stat().st_mode == data.stat().st_mode
        outside = [
            {entry.key: entry.value for entry in tensor.external_data}
            for tensor in onnx.load(path, load_external_data=False).graph.initializer
            if tensor.data_location == onnx.TensorProto.EXTERNAL
        ]
        assert {each["location"] for each in outside} == {data.name}
        assert all(int(each["offset"]) % graphs.ALIGNMENT == 0 for each in outside)
        last = max(outside, key=lambda each: int(each["offset"]))
        assert int(last["offset"]) + int(last["length"]) == data.stat().st_size


def test_a_small_graph_stays_whole_and_leaves_no_old_weights(
    apart: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = apart / "vision_model.onnx"
    model = onnx.load(path)
    monkeypatch.undo()
    graphs.save(model, path)
    assert not graphs.weights_path(path).exists()
    assert list(variant_of({"vision": path, "text": path}, {"vision": "", "text": ""}).files()) == [
        "vision",
        "text",
    ]


@pytest.mark.parametrize("harm", ["missing", "altered"])
def test_weights_that_are_missing_or_altered_are_named(harm: str, apart: Path) -> None:
    data = apart / "vision_model_q8.onnx_data"
    if harm == "missing":
        data.unlink()
    else:
        data.write_bytes(bytes(data.stat().st_size))
    with pytest.raises(ModelError, match=rf"vision_model_q8\.onnx_data: .*{harm}"):
        Clip(apart, "q8")
    Clip(apart, "q4").close()


@pytest.mark.parametrize("tower", ["vision", "text"])
def test_weights_that_the_manifest_does_not_list_are_refused(
    tower: str, apart: Path, picture: MakePicture
) -> None:
    """Nobody has verified them."""
    read = manifest_file.read(apart / "manifest.json")
    fp32 = dataclasses.replace(read.variants["fp32"], **{f"{tower}_data": None})
    new = dataclasses.replace(read, variants={"fp32": fp32})
    (apart / "manifest.json").write_text(manifest.to_json(new), encoding="utf-8")
    with pytest.raises(ModelError, match=rf"'{tower}_model\.onnx_data', which the manifest does"):
        vectors(apart, "fp32", picture())


def test_weights_are_found_wherever_a_graph_may_have_them(tmp_path: Path) -> None:
    def outside(name: str) -> onnx.TensorProto:
        tensor = onnx.numpy_helper.from_array(np.ones(4, np.float32), name)
        onnx.external_data_helper.set_external_data(tensor, f"./{name}.bin")
        return tensor

    helper, float32 = onnx.helper, onnx.TensorProto.FLOAT
    inner = helper.make_graph(
        [helper.make_node("Constant", [], ["c"], value=outside("constant"))], "inner", [],
        [helper.make_tensor_value_info("c", float32, [4])], [outside("inner")],
    )  # fmt: skip
    node = helper.make_node("If", ["yes"], ["y"], then_branch=inner, else_branch=inner)
    sparse = onnx.SparseTensorProto(values=outside("sparse"), indices=outside("indices"))
    function = helper.make_function(
        "own", "f", [], ["d"],
        [helper.make_node("Constant", [], ["d"], value=outside("function"))], [],
    )  # fmt: skip
    graph = helper.make_graph(
        [node], "outer", [helper.make_tensor_value_info("yes", onnx.TensorProto.BOOL, [])],
        [helper.make_tensor_value_info("y", float32, [4])], [outside("outer")],
        sparse_initializer=[sparse],
    )  # fmt: skip
    path = tmp_path / "graph.onnx"
    path.write_bytes(helper.make_model(graph, functions=[function]).SerializeToString())
    names = ["constant", "function", "indices", "inner", "outer", "sparse"]
    assert onnx_file.locations(path) == {f"{name}.bin" for name in names}


@pytest.mark.parametrize("content", [b"", b"\x3a"])
def test_what_is_no_graph_has_its_weights_nowhere(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "graph.onnx"
    path.write_bytes(content)
    assert onnx_file.locations(path) == set()


def test_vectors_are_kept_for_graph_and_weights_together(
    apart: Path, tmp_path: Path, picture: MakePicture
) -> None:
    """The graphs of two models of one shape are the same files; their vectors are not."""
    picture().save(tmp_path / "a.png")
    other = shutil.copytree(apart, tmp_path / "other")
    paths = {tower: other / f"{tower}_model.onnx" for tower in ("vision", "text")}
    for path in paths.values():
        data = path.with_name(f"{path.name}_data")
        values = np.fromfile(data, np.float32)
        (values * np.linspace(0.5, 1.5, values.size, dtype=np.float32)).tofile(data)
    fp32 = variant_of(paths, {"vision": "float32", "text": "float32"})
    new = dataclasses.replace(manifest_file.read(other / "manifest.json"), variants={"fp32": fp32})
    (other / "manifest.json").write_text(manifest.to_json(new), encoding="utf-8")
    found = []
    for model in (apart, other):
        with Clip(model, "fp32") as clip:  # both keep what they see in one store
            found.append((clip.encode_images([tmp_path / "a.png"]), clip.encode_texts(PHRASES)))
    for one, two in zip(*found, strict=True):
        assert np.abs(one - two).max() > 0.01


def test_weights_that_nothing_names_any_more_go(
    apart: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()  # graphs of this size stay whole again
    add_variants(apart, ["q8"])
    assert not (apart / "vision_model_q8.onnx_data").exists()
    assert (apart / "vision_model_q4.onnx_data").exists()
    for variant in ("fp32", "q8", "q4"):
        Clip(apart, variant).close()


def test_a_copy_for_another_machine_has_the_weights(
    apart: Path, tmp_path: Path, picture: MakePicture
) -> None:
    target = tmp_path / "stick"
    command = [sys.executable, "-m", "clip_gaze", "download", str(apart), "--variant", "q4"]
    subprocess.run([*command, "--to", str(target)], check=True, capture_output=True)
    assert len(list(target.iterdir())) == 6
    assert np.array_equal(vectors(target, "q4", picture()), vectors(apart, "q4", picture()))


def test_weights_are_fetched_from_the_hub(
    apart: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, picture: MakePicture
) -> None:
    import conftest

    hubs.publish(apart, tmp_path / "store", tmp_path / "shelf")
    with (
        hubs.Hub(tmp_path / "store") as server,
        conftest.reach(server, monkeypatch, tmp_path / "hf"),
    ):
        monkeypatch.setattr(registry, "shipped", lambda name: tmp_path / "shelf" / name)
        fetched = vectors(hubs.NAME, "q4", picture())
        files = locate(registry.find(hubs.NAME), "q4")
    assert all(file.right for file in files.values())
    assert len(files) == 5
    assert np.array_equal(fetched, vectors(apart, "q4", picture()))
