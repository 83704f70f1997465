"""Export a Hugging Face CLIP checkpoint to a model folder, and check it against torch.

    python export/export_clip.py SOURCE OUT [--variants fp32,q8,q4]

SOURCE is a checkpoint that transformers' CLIPModel loads: a name on the Hub, or a folder.
"""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np
import onnx
import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import CLIPImageProcessorPil, CLIPModel, CLIPTokenizer

import command
from clip_gaze.errors import ModelError
from clip_gaze.model import manifest as manifests
from clip_gaze.model.manifest import ImageSettings, Manifest, Source, TextSettings
from quantize import add_variants, chosen, file_entry, variant_of
from variants.checks import compare, sample_inputs, table, unit
from variants.graphs import save, strip
from variants.recipes import REFERENCE

if TYPE_CHECKING:
    from numpy.typing import NDArray

OPSET = 18
BICUBIC = 3
# How far a number of fp32's normalised vectors may be from torch's.
BOUND = 1e-5


class VisionTower(nn.Module):
    """pixel_values -> image_embeds."""

    def __init__(self, model: CLIPModel) -> None:
        super().__init__()
        self.tower, self.projection = model.vision_model, model.visual_projection

    def forward(self, pixel_values: Tensor) -> Tensor:
        """Return (batch, d), not normalised."""
        return self.projection(self.tower(pixel_values=pixel_values).pooler_output)


class TextTower(nn.Module):
    """input_ids -> text_embeds; ids without padding, so no mask is needed."""

    def __init__(self, model: CLIPModel) -> None:
        super().__init__()
        self.tower, self.projection = model.text_model, model.text_projection

    def forward(self, input_ids: Tensor) -> Tensor:
        """Return (batch, d), not normalised."""
        return self.projection(self.tower(input_ids=input_ids).pooler_output)


def export_graph(tower: nn.Module, example: Tensor, dynamic: dict, names: tuple, to: Path) -> None:
    """Write one tower as an ONNX graph."""
    with warnings.catch_warnings():
        # What torch's exporter says of its own deprecations concerns nobody who runs this.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            tower,
            (example,),
            to,
            input_names=[names[0]],
            output_names=[names[1]],
            dynamic_shapes=(dynamic,),
            opset_version=OPSET,
            external_data=False,
            verbose=False,
        )
    model = onnx.load(to)
    strip(model)
    save(model, to)


def export_fp32(
    model: CLIPModel, tokenizer: CLIPTokenizer, processor: CLIPImageProcessorPil, out: Path
) -> dict[str, object]:
    """Write both graphs and the tokenizer; return what the manifest says of them."""
    vision, text = model.config.vision_config, model.config.text_config
    # The explicit form of attention makes the smaller and quicker graph.
    model.set_attn_implementation("eager")
    batch, sequence = torch.export.Dim("batch"), torch.export.Dim("sequence")
    size, length = vision.image_size, text.max_position_embeddings
    graphs = {"vision": out / "vision_model.onnx", "text": out / "text_model.onnx"}
    export_graph(
        VisionTower(model),
        torch.zeros(2, 3, size, size),
        {0: batch},
        ("pixel_values", "image_embeds"),
        graphs["vision"],
    )
    export_graph(
        TextTower(model),
        torch.zeros(2, min(9, length), dtype=torch.int64),
        {0: batch, 1: sequence},
        ("input_ids", "text_embeds"),
        graphs["text"],
    )
    backend = tokenizer.backend_tokenizer
    backend.no_padding()
    backend.no_truncation()
    backend.save(str(out / "tokenizer.json"), pretty=False)
    return {
        "image": ImageSettings(size, tuple(processor.image_mean), tuple(processor.image_std)),
        "text": TextSettings(length, tokenizer.pad_token_id),
        "embedding_dim": model.config.projection_dim,
        "logit_scale": model.logit_scale.detach().exp().item(),
        "tokenizer": file_entry(out / "tokenizer.json"),
        "variants": {REFERENCE: variant_of(graphs, dict.fromkeys(graphs, "float32"))},
    }


def load(source: str) -> tuple[CLIPModel, CLIPTokenizer, CLIPImageProcessorPil]:
    """Load a checkpoint, and refuse preprocessing that the runtime does not do."""
    try:
        model = CLIPModel.from_pretrained(source, dtype=torch.float32).eval()
        processor = CLIPImageProcessorPil.from_pretrained(source)
        tokenizer = CLIPTokenizer.from_pretrained(source)
    except (OSError, RuntimeError, ValueError, SafetensorError) as error:
        msg = f"{source}: transformers cannot load this checkpoint ({error})"
        raise ModelError(msg) from error
    size = model.config.vision_config.image_size
    if (
        processor.resample != BICUBIC
        or processor.size["shortest_edge"] != size
        or (processor.crop_size["height"], processor.crop_size["width"]) != (size, size)
    ):
        msg = f"{source}: its preprocessing is not CLIP's (bicubic to {size}, centre square)"
        raise ModelError(msg)
    return model, tokenizer, processor


def of_torch(tower: nn.Module, batches: list[NDArray], source: str) -> NDArray[np.float32]:
    """Return what torch makes of all batches, (n, d) float32, L2-normalised."""
    with torch.no_grad():
        rows = [tower(torch.from_numpy(batch)).numpy() for batch in batches]
    return unit(np.concatenate(rows), source)


@click.command(help=__doc__)
@click.argument("source")
@click.argument("out", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--variants", default="fp32,q8,q4", show_default=True, callback=chosen,
    help="fp32 is always written.",
)  # fmt: skip
@click.option("--name", help="Name of the model.  [default: OUT's last part]")
@click.option("--licence", default="see the source", show_default=True)
@click.option("--revision", help="Revision of SOURCE, for the record.")
@click.option("--note", default="", help="A line that every result must carry.")
def main(
    source: str,
    out: Path,
    variants: list[str],
    name: str | None,
    licence: str,
    revision: str | None,
    note: str,
) -> int:
    """Export, quantise, check."""
    logging.disable(logging.WARNING)  # torch, onnx and the quantiser tell of every node
    model, tokenizer, processor = load(source)
    out.mkdir(parents=True, exist_ok=True)
    manifest = Manifest(
        name=name or out.resolve().name,
        source=Source(Path(source).name if Path(source).exists() else source, revision),
        licence=licence,
        default_variant=REFERENCE,
        note=note,
        **export_fp32(model, tokenizer, processor, out),
    )
    (out / "manifest.json").write_text(manifests.to_json(manifest), encoding="utf-8")
    batches = sample_inputs(manifest, out)
    towers = {"vision": VisionTower(model), "text": TextTower(model)}
    reference = {tower: of_torch(towers[tower], batches[tower], source) for tower in towers}
    manifest = add_variants(out, variants)
    rows = compare(out, manifest.variants, batches, reference)
    click.echo("\n".join(table(rows)))
    sound = all(row.furthest <= BOUND for row in rows if row.variant == REFERENCE)
    verdict = "holds" if sound else "FAILS"
    click.echo(
        f"fp32 against torch: max |difference| of the normalised vectors <= {BOUND}: {verdict}"
    )
    return 0 if sound else 1


if __name__ == "__main__":
    command.run(main)
