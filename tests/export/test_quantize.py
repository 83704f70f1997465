"""Variants are made of fp32 alone, without torch, and enter a folder whole or not at all."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from clip_gaze import Clip
from clip_gaze.model import manifest, manifest_file, verify

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from clip_gaze.model.manifest import Manifest

SCRIPT = Path(__file__).parents[2] / "export" / "quantize.py"
# Runs the script where nothing of torch can be imported.
WITHOUT_TORCH = """
import runpy, sys
for name in ("torch", "transformers", "onnxscript", "onnx_ir"):
    sys.modules[name] = None
sys.argv = sys.argv[1:]
sys.path.insert(0, sys.argv[0].rpartition("quantize.py")[0])
runpy.run_path(sys.argv[0], run_name="__main__")
"""
# What stands for a full disk: no file may be larger.
WITH_FULL_DISK = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (10**6, 10**6))\n"


@pytest.fixture
def fp32_alone(tiny_model: Path, tmp_path: Path) -> Path:
    """Return a copy of the small model without its quantised variants."""
    folder = tmp_path / "model"
    folder.mkdir()
    for name in ("manifest.json", "tokenizer.json", "vision_model.onnx", "text_model.onnx"):
        shutil.copy(tiny_model / name, folder)
    change(folder, variants={"fp32": read(folder).variants["fp32"]})
    return folder


def read(folder: Path) -> Manifest:
    return manifest_file.read(folder / "manifest.json")


def change(folder: Path, **fields: object) -> None:
    text = manifest.to_json(dataclasses.replace(read(folder), **fields))
    (folder / "manifest.json").write_text(text, encoding="utf-8")


def run(*words: str | Path, before: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", before + WITHOUT_TORCH, str(SCRIPT), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def usable(folder: Path) -> list[str]:
    """Return the variants that the manifest names, after hashing all of their files."""
    found = read(folder)
    for variant in found.variants:
        for file in found.files(variant).values():
            verify.check(folder / file.file, file.bytes, file.sha256, stamped=False)
    return sorted(found.variants)


def test_variants_are_made_without_torch(
    fp32_alone: Path, tiny_model: Path, picture: Callable[..., object]
) -> None:
    done = run(fp32_alone)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert usable(fp32_alone) == ["fp32", "q4", "q8"]
    assert read(fp32_alone).variants == read(tiny_model).variants
    assert names(fp32_alone) == names(tiny_model)
    for variant in ("fp32", "q8", "q4"):
        with Clip(fp32_alone, variant) as ours, Clip(tiny_model, variant) as exported:
            assert np.array_equal(
                ours.encode_images([picture()]), exported.encode_images([picture()])
            )


def test_it_says_size_cosine_and_time(fp32_alone: Path) -> None:
    done = run(fp32_alone, "--variants", "q8")
    assert usable(fp32_alone) == ["fp32", "q8"]
    head, *rows = done.stdout.splitlines()
    assert head.split() == ["variant", "tower", "MB", "max", "|diff|", "cosine", "ms"]
    assert [row.split()[:2] for row in rows] == [["q8", "vision"], ["q8", "text"]]
    for row in rows:
        assert 0 < float(row.split()[3]) < 0.05
        assert float(row.split()[4].split("..")[0]) > 0.99


def test_a_second_run_changes_nothing(fp32_alone: Path) -> None:
    from quantize import add_variants

    first = add_variants(fp32_alone, ["q8", "q4"])
    change(fp32_alone, default_variant="q4")
    (fp32_alone / ".quantize-left").mkdir()  # as a killed run leaves it
    assert add_variants(fp32_alone, ["q4"]) == dataclasses.replace(first, default_variant="q4")
    assert usable(fp32_alone) == ["fp32", "q4", "q8"]
    assert not list(fp32_alone.glob(".*"))


def test_nothing_enters_unless_all_is_made(
    fp32_alone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import quantize

    before, files = read(fp32_alone), names(fp32_alone)
    made: list[Path] = []

    def breaks_off(source: Path, target: Path, _: object) -> None:
        if len(made) == 3:
            raise KeyboardInterrupt
        made.append(target)
        shutil.copy(source, target)

    monkeypatch.setattr(quantize, "quantise", breaks_off)
    with pytest.raises(KeyboardInterrupt):
        quantize.add_variants(fp32_alone, ["q8", "q4"])
    assert (read(fp32_alone), names(fp32_alone)) == (before, files)


@pytest.mark.parametrize("moved", range(5))
def test_the_folder_is_usable_wherever_the_exchange_breaks_off(
    fp32_alone: Path, monkeypatch: pytest.MonkeyPatch, moved: int
) -> None:
    import quantize

    quantize.add_variants(fp32_alone, ["q8", "q4"])
    change(fp32_alone, default_variant="q4")
    recipes = quantize.RECIPES["q4"].items()
    finer = {tower: dataclasses.replace(recipe, block_size=16) for tower, recipe in recipes}
    monkeypatch.setitem(quantize.RECIPES, "q4", finer)
    replaced: list[Path] = []
    replace = Path.replace

    def breaks_off(self: Path, target: Path) -> Path:
        if len(replaced) == moved:
            raise OSError(28, "No space left on device", str(target))
        replaced.append(target)
        return replace(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", breaks_off)
        # Two graphs, and the manifest before and after them.
        if moved == 4:
            quantize.add_variants(fp32_alone, ["q4"])
        else:
            with pytest.raises(OSError, match="No space"):
                quantize.add_variants(fp32_alone, ["q4"])
    assert usable(fp32_alone) == (["fp32", "q4", "q8"] if moved in (0, 4) else ["fp32", "q8"])
    assert read(fp32_alone).default_variant == ("q4" if moved in (0, 4) else "fp32")
    assert not list(fp32_alone.glob("*.part"))


def break_nothing(folder: Path) -> None:
    """Leave the folder as it is; the arguments are wrong."""


def break_fp32(folder: Path) -> None:
    with (folder / "text_model.onnx").open("r+b") as file:
        file.seek(1000)
        file.write(b"altered")


def enter_fp32(folder: Path) -> None:
    """Let the manifest say what the fp32 graphs are now."""
    from quantize import variant_of

    graphs = {tower: folder / f"{tower}_model.onnx" for tower in ("vision", "text")}
    change(folder, variants={"fp32": variant_of(graphs, dict.fromkeys(graphs, "float32"))})


def break_graph(folder: Path) -> None:
    (folder / "vision_model.onnx").write_bytes(b"\xff" * 100)
    enter_fp32(folder)


def no_numbers(folder: Path, dimensions: int = 1) -> None:
    """Make some weights of the vision tower infinite: vectors, or tensors of more dimensions."""
    import onnx
    from onnx import numpy_helper

    model = onnx.load(folder / "vision_model.onnx")
    for tensor in model.graph.initializer:
        if len(tensor.dims) == dimensions and tensor.data_type == onnx.TensorProto.FLOAT:
            infinite = np.full(tensor.dims, np.inf, np.float32)
            tensor.CopyFrom(numpy_helper.from_array(infinite, tensor.name))
    onnx.save(model, folder / "vision_model.onnx")
    enter_fp32(folder)


def weights_apart(folder: Path) -> Path:
    """Put the weights of a graph into a file beside it, and return that."""
    import onnx

    path = folder / "vision_model.onnx"
    data = folder / "vision_model.onnx_data"
    onnx.save(onnx.load(path), path, save_as_external_data=True, location=data.name)
    enter_fp32(folder)
    return data


def hard_link(folder: Path) -> None:
    os.link(weights_apart(folder), folder.parent / "elsewhere")


def symbolic_link(folder: Path) -> None:
    data = weights_apart(folder)
    data.rename(folder.parent / "elsewhere")
    data.symlink_to(folder.parent / "elsewhere")


@pytest.mark.parametrize(
    ("harm", "words", "message"),
    [
        (break_nothing, ["gone"], "does not exist"),
        (break_nothing, ["model", "--variants", "q2"], "choose from fp32, q8, q4"),
        (break_nothing, ["model", "--variants", "fp32"], "nothing to do"),
        (break_nothing, ["."], "is this a clip-gaze model folder"),
        (break_fp32, ["model"], "was altered"),
        (break_graph, ["model"], "is not an ONNX graph"),
        (no_numbers, ["model"], "vision_model.onnx: .* that are not finite"),
        (lambda folder: no_numbers(folder, 4), ["model"], "weight are not finite numbers"),
        (hard_link, ["model"], "vision_model.onnx_data, but it has multiple hard links"),
        (symbolic_link, ["model"], "where they are a link, copy the file"),
        (lambda folder: (folder / "text_model.onnx").unlink(), ["model"], "is missing"),
        (lambda folder: change(folder, download=True), ["model"], "clip-gaze download tiny"),
        (
            lambda folder: change(
                folder, variants={"x": read(folder).variants["fp32"]}, default_variant="x"
            ),
            ["model"],
            "has no variant 'fp32'",
        ),
    ],
)
def test_bad_input_is_one_line(
    fp32_alone: Path,
    monkeypatch: pytest.MonkeyPatch,
    harm: Callable[[Path], None],
    words: list[str],
    message: str,
) -> None:
    harm(fp32_alone)
    monkeypatch.chdir(fp32_alone.parent)
    done = run(*words)
    assert done.returncode == 2
    assert re.search(message, done.stderr)
    assert done.stderr.startswith("quantize.py: error: ")
    assert len(done.stderr.splitlines()) == 1
    assert not list(fp32_alone.glob(".*"))


def test_a_full_disk_is_one_line_and_changes_nothing(fp32_alone: Path) -> None:
    pytest.importorskip("resource", reason="this system sets no limit for files")
    before = names(fp32_alone)
    done = run(fp32_alone, before=WITH_FULL_DISK)
    assert done.returncode == 2
    assert done.stderr.startswith(f"quantize.py: error: {fp32_alone}: ")
    assert len(done.stderr.splitlines()) == 1
    assert names(fp32_alone) == before
    assert usable(fp32_alone) == ["fp32"]


def unpacked(weights: NDArray[np.float32], bits: int, size: int, *, symmetric: bool) -> NDArray:
    """Return packed weights as onnxruntime multiplies the unit matrix with them."""
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    from variants.recipes import pack

    rows, columns = weights.shape
    levels, scales, zeros = pack(weights, bits, size, symmetric=symmetric)
    parts = {"levels": levels, "scales": scales} | ({} if symmetric else {"zeros": zeros})
    node = helper.make_node(
        "MatMulNBits", ["x", *parts], ["y"], domain="com.microsoft",
        K=rows, N=columns, bits=bits, block_size=size, accuracy_level=0,
    )  # fmt: skip
    graph = helper.make_graph(
        [node],
        "one",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [rows, rows])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [rows, columns])],
        [numpy_helper.from_array(array, name) for name, array in parts.items()],
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, {"x": np.eye(rows, dtype=np.float32)})[0]


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize(("bits", "size"), [(4, 32), (4, 16), (8, 32), (8, 64)])
@pytest.mark.parametrize("shape", [(64, 6), (96, 5), (40, 3)])
def test_onnxruntime_reads_the_weights_that_were_packed(
    shape: tuple[int, int], bits: int, size: int, *, symmetric: bool
) -> None:
    weights = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    weights[:, 0] = 0
    weights[:, 1] = np.abs(weights[:, 1]) + 1  # zero is not between lowest and highest
    found = unpacked(weights, bits, size, symmetric=symmetric)
    assert np.abs(found[:, 0]).max() < 1e-6
    step = np.abs(weights).max() * 2 / (2**bits - 1)
    # In 4 bits, what is furthest from zero may be clipped to three quarters.
    assert np.abs(found - weights).max() <= (step if bits == 8 else np.abs(weights).max() / 4)
    assert np.corrcoef(found.ravel(), weights.ravel())[0, 1] > (0.9999 if bits == 8 else 0.98)


@pytest.mark.parametrize("symmetric", [False, True])
def test_four_bits_keep_more_than_with_onnxruntimes_own_quantiser(*, symmetric: bool) -> None:
    from onnxruntime.quantization import matmul_nbits_quantizer as theirs

    weights = np.random.default_rng(1).normal(size=(256, 64)).astype(np.float32)
    config = theirs.DefaultWeightOnlyQuantConfig(block_size=32, is_symmetric=symmetric, bits=4)
    packed, scales, zeros = theirs.DefaultWeightOnlyQuantizer(config).qbits_block_quant(weights)
    levels = np.stack([packed & 15, packed >> 4], axis=-1).reshape(64, 8, 32).astype(np.float32)
    zeros = zeros.reshape(64, 4)
    middle = np.stack([zeros & 15, zeros >> 4], axis=-1).reshape(64, 8, 1).astype(np.float32)
    other = ((levels - middle) * scales.reshape(64, 8, 1)).reshape(64, 256).T
    ours = unpacked(weights, 4, 32, symmetric=symmetric)
    assert np.square(ours - weights).sum() < 0.95 * np.square(other - weights).sum()


def test_graphs_hold_no_trace_of_the_machine_that_made_them(tiny_model: Path) -> None:
    for graph in tiny_model.glob("*.onnx"):
        content = graph.read_bytes()
        assert b"site-packages" not in content
        assert b"stack_trace" not in content


@pytest.mark.full
def test_a_full_size_model_is_small(full_model: Path) -> None:
    most = {"q8": (110e6, 75e6), "q4": (65e6, 50e6)}
    for variant, (vision, text) in most.items():
        files = read(full_model).variants[variant]
        assert 1e6 < files.bytes("vision") <= vision
        assert 1e6 < files.bytes("text") <= text
