"""Graphs as those on the Hub can be quantised and run."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from clip_gaze import SURFACES, Clip
from clip_gaze.model import manifest, manifest_file
from quantize import variant_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from PIL import Image

SCRIPT = Path(__file__).parents[2] / "export" / "quantize.py"
OPSET = 14
TOWERS = ("vision", "text")
OTHER = "last_hidden_state"


@pytest.fixture
def as_on_the_hub(tiny_checkpoint: Path, tiny_model: Path, tmp_path: Path) -> Path:
    """Return the small model with other graphs, made as those on the Hub were.

    They come from TorchScript, have a second output, and the text tower reads a mask.
    """
    import torch
    from transformers import CLIPModel

    model = CLIPModel.from_pretrained(tiny_checkpoint, attn_implementation="eager").eval()

    class Tower(torch.nn.Module):
        def __init__(self, tower: torch.nn.Module, projection: torch.nn.Module) -> None:
            super().__init__()
            self.tower, self.projection = tower, projection

        def forward(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            found = self.tower(*inputs)
            return self.projection(found.pooler_output), found.last_hidden_state

    vision = Tower(model.vision_model, model.visual_projection)
    text = Tower(model.text_model, model.text_projection)

    shutil.copy(tiny_model / "tokenizer.json", tmp_path)
    graphs = {tower: tmp_path / f"{tower}_model.onnx" for tower in TOWERS}
    ids = torch.tensor([[49406, 320, 49407]] * 2)
    batch, words = {0: "batch"}, {0: "batch", 1: "sequence"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # this exporter is old, and says so
        for tower, module, inputs, axes in (
            ("vision", vision, {"pixel_values": torch.zeros(2, 3, 48, 48)}, batch),
            ("text", text, {"input_ids": ids, "attention_mask": torch.ones_like(ids)}, words),
        ):
            embeds = {"vision": "image_embeds", "text": "text_embeds"}[tower]
            torch.onnx.export(
                module, tuple(inputs.values()), str(graphs[tower]), dynamo=False,
                input_names=list(inputs), output_names=[embeds, OTHER], opset_version=OPSET,
                dynamic_axes={**dict.fromkeys((*inputs, OTHER), axes), embeds: batch},
            )  # fmt: skip
    fp32 = {"fp32": variant_of(graphs, dict.fromkeys(TOWERS, "float32"))}
    old = manifest_file.read(tiny_model / "manifest.json")
    new = manifest.to_json(dataclasses.replace(old, variants=fp32))
    (tmp_path / "manifest.json").write_text(new, encoding="utf-8")
    return tmp_path


def test_a_graph_as_the_hub_has_it_can_be_quantised(as_on_the_hub: Path) -> None:
    import onnx

    command = [sys.executable, str(SCRIPT), str(as_on_the_hub), "--variants", "q8"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    _, *rows = [line.split() for line in done.stdout.splitlines()]
    assert [row[:2] for row in rows] == [["q8", tower] for tower in TOWERS]
    for row in rows:
        assert float(row[4].split("..")[0]) > 0.99
    variants = manifest_file.read(as_on_the_hub / "manifest.json").variants
    for tower in TOWERS:
        assert variants["q8"].bytes(tower) < 0.5 * variants["fp32"].bytes(tower)
    graph = onnx.load(as_on_the_hub / "text_model_q8.onnx").graph
    assert [each.name for each in graph.input] == ["input_ids", "attention_mask"]
    assert [each.name for each in graph.output] == ["text_embeds", OTHER]


def test_graphs_of_half_precision_answer_as_those_they_were_made_of(
    as_on_the_hub: Path, picture: Callable[..., Image.Image]
) -> None:
    """Published fp16 graphs keep float32 at both ends, as onnxruntime's own converter does."""
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    old = manifest_file.read(as_on_the_hub / "manifest.json")
    halves = {}
    for tower in TOWERS:
        halves[tower] = as_on_the_hub / f"{tower}_model_fp16.onnx"
        graph = onnx.load(as_on_the_hub / f"{tower}_model.onnx")
        onnx.save(convert_float_to_float16(graph, keep_io_types=True), halves[tower])
    fp16 = variant_of(halves, dict.fromkeys(TOWERS, "float16"))
    assert fp16.bytes("vision") < 0.6 * old.variants["fp32"].bytes("vision")
    both = dataclasses.replace(old, variants={**old.variants, "fp16": fp16})
    (as_on_the_hub / "manifest.json").write_text(manifest.to_json(both), encoding="utf-8")
    pictures = [picture(seed=seed) for seed in range(8)]
    answers = {}
    for variant in ("fp32", "fp16"):
        with Clip(as_on_the_hub, variant, store=False) as clip:
            answers[variant] = clip.encode_images(pictures), clip.encode_texts(SURFACES)
    for exact, half in zip(answers["fp32"], answers["fp16"], strict=True):
        assert (exact * half).sum(axis=1).min() > 0.9999
        assert not np.array_equal(exact, half)
