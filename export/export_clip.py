"""Export a Hugging Face CLIP checkpoint to a model folder, and check it against torch.

    python export/export_clip.py SOURCE OUT [--variants fp32,q8,q4] [--phrases movements ...]

SOURCE is a checkpoint that transformers' CLIPModel loads: a name on the Hub, or a folder.
"""

from __future__ import annotations

import json
import logging
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np
import torch
from torch import Tensor, nn
from transformers.utils.logging import disable_progress_bar

import command
from clip_checkpoint import load
from clip_gaze.errors import ModelError
from clip_gaze.model import manifest_file
from clip_gaze.model.manifest import ImageSettings, Manifest, TextSettings
from quantize import add_variants, chosen, file_entry, listed, remove, scratch, variant_of, write
from variants.checks import compare, sample_inputs, table, unit
from variants.graphs import save, strip
from variants.phrases import add_phrases, asked
from variants.recipes import REFERENCE

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from transformers import CLIPImageProcessorPil, CLIPModel, CLIPTokenizer

OPSET = 18
# How far a number of fp32's normalised vectors may be from torch's.
BOUND = 1e-5


class VisionTower(nn.Module):
    """The vision tower and its projection: pixel_values -> image_embeds."""

    def __init__(self, model: CLIPModel) -> None:
        super().__init__()
        self.tower, self.projection = model.vision_model, model.visual_projection

    def forward(self, pixel_values: Tensor) -> Tensor:
        """Return (batch, d), not normalised."""
        return self.projection(self.tower(pixel_values=pixel_values).pooler_output)


class TextTower(nn.Module):
    """The text tower and its projection: input_ids, without padding or mask -> text_embeds."""

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
        program = torch.onnx.export(
            tower,
            (example,),
            input_names=[names[0]],
            output_names=[names[1]],
            dynamic_shapes=(dynamic,),
            opset_version=OPSET,
            verbose=False,
        )
    # Not through a file of torch's: it would put the weights of a large graph beside it once more.
    model = program.model_proto
    strip(model)
    save(model, to)


def export_fp32(
    model: CLIPModel, tokenizer: CLIPTokenizer, processor: CLIPImageProcessorPil, out: Path
) -> dict[str, object]:
    """Write both graphs and the tokenizer; return the manifest's fields that describe them."""
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
    (out / "tokenizer.json").write_text(tokenizer_json(tokenizer), encoding="utf-8")
    return {
        "image": ImageSettings(size, tuple(processor.image_mean), tuple(processor.image_std)),
        "text": TextSettings(length),
        "embedding_dim": model.config.projection_dim,
        "logit_scale": model.logit_scale.detach().exp().item(),
        "tokenizer": file_entry(out / "tokenizer.json"),
        "variants": {REFERENCE: variant_of(graphs, dict.fromkeys(graphs, "float32"))},
    }


def tokenizer_json(tokenizer: CLIPTokenizer) -> str:
    """Return a tokenizer as the text of a file that every release of tokenizers reads.

    It neither pads nor cuts. A merge is one text, "a b": releases before 0.20 read no pairs. No
    token of CLIP has a space in it, since bytes are spelled with letters.
    """
    backend = tokenizer.backend_tokenizer
    backend.no_padding()
    backend.no_truncation()
    data = json.loads(backend.to_str())
    data["model"]["merges"] = [" ".join(merge) for merge in data["model"]["merges"]]
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


def of_torch(tower: nn.Module, batches: list[NDArray], source: str) -> NDArray[np.float32]:
    """Run a tower in torch; return the vectors of all batches, (n, d) float32, L2-normalised."""
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
@click.option("--revision", help="Commit, tag or branch of SOURCE on the Hub.  [default: newest]")
@click.option("--note", default="", help="A line that every result must carry.")
@click.option(
    "--phrases", "lists", multiple=True, metavar="NAME|FILE",
    help="Add vectors of a list's phrases, which then need no text tower; can be repeated.",
)  # fmt: skip
def main(
    *,
    source: str,
    out: Path,
    variants: list[str],
    name: str | None,
    licence: str,
    revision: str | None,
    note: str,
    lists: tuple[str, ...],
) -> int:
    """Export a checkpoint, quantise it, and check all against torch."""
    logging.disable(logging.WARNING)  # torch, onnx and the quantiser tell of every node
    disable_progress_bar()
    check_target(out)
    if revision and Path(source).exists():
        msg = f"{source}: is here, not on the Hub, and so has no revision; leave out --revision"
        raise click.BadParameter(msg)
    phrases = asked(lists)
    model, tokenizer, processor, origin = load(source, revision)
    out.mkdir(parents=True, exist_ok=True)
    with scratch(out) as made:
        manifest = Manifest(
            name=name or out.resolve().name,
            source=origin,
            licence=licence,
            default_variant=REFERENCE,
            note=note,
            **export_fp32(model, tokenizer, processor, made),
        )
        write(made, manifest)
        batches = sample_inputs(manifest, made)
        towers = {"vision": VisionTower(model), "text": TextTower(model)}
        reference = {tower: of_torch(towers[tower], batches[tower], source) for tower in towers}
        manifest = add_variants(made, variants)
        rows = compare(made, manifest.variants, batches, reference)
        if phrases:
            manifest = add_phrases(made, manifest, phrases)
            write(made, manifest)
        replace(out, made, manifest)
    click.echo("\n".join(table(rows)))
    sound = all(row.furthest <= BOUND for row in rows if row.variant == REFERENCE)
    verdict = "holds" if sound else "FAILS"
    click.echo(
        f"fp32 against torch: max |difference| of the normalised vectors <= {BOUND}: {verdict}"
    )
    return 0 if sound else 1


def check_target(out: Path) -> None:
    """Refuse a folder that holds other files than a model folder's.

    Raises:
        ModelError: it does; nothing there was changed.

    """
    if out.exists() and any(not path.name.startswith(".") for path in out.iterdir()):
        try:
            manifest_file.read(out / "manifest.json")
        except ModelError as error:
            msg = f"{out}: holds files that are no clip-gaze model; name a new or an empty folder"
            raise ModelError(msg) from error


def replace(out: Path, made: Path, new: Manifest) -> None:
    """Move the files of a new model into a folder, in place of those of an older one."""
    if (out / "manifest.json").exists():
        remove(out, listed(manifest_file.read(out / "manifest.json")) - listed(new))
    for file in sorted(listed(new)):
        (made / file).replace(out / file)
    (made / "manifest.json").replace(out / "manifest.json")


if __name__ == "__main__":
    command.run(main)
