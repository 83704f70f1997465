"""Train the demo model, a small CLIP, from scratch on painted pictures.

    python export/demo_model.py train OUT [--seed 0] [--pictures 36000] [--epochs 14]
    python export/demo_model.py train OUT --start CHECKPOINT [--seed 2] [--epochs 6] [--rate 0.4]

Writes a Hugging Face checkpoint (transformers' CLIPModel and its tokenizer) to OUT, ready for
`export_clip.py`; with --start, one that was trained before is trained on. Pictures are drawn once,
kept in memory at the model's size, and seen once an epoch. The commands
`evaluate` and `maps` draw pictures of seeds from ten million on, which training must not use.
"""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel, CLIPTokenizer

from clip_checkpoint import load
from clip_gaze.errors import ModelError
from clip_gaze.texts import phrases
from demo.losses import WEIGHTS, contrastive, head_starts, uneven
from demo.painter import SEED, TRAINED
from demo.samples import SIZE, augment, caption, draw_all, neutral
from demo.words import CONTEXT, lexicon, tokenise, train_tokenizer, trimmed

if TYPE_CHECKING:
    from transformers.modeling_outputs import BaseModelOutputWithPooling

BATCH = 128
PEAK_RATE = 1.5e-3
MUON_RATE = 3e-3
WARM_UP = 200
NO_MOVEMENT = -100  # what cross_entropy leaves out


def new_model(tokenizer: CLIPTokenizer) -> CLIPModel:
    """Return an untrained CLIPModel of about 1.2 million parameters."""
    special = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    config = CLIPConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": 96,
            "intermediate_size": 384,
            "num_hidden_layers": 2,
            "num_attention_heads": 3,
            "max_position_embeddings": CONTEXT,
            "pad_token_id": tokenizer.eos_token_id,
            **special,
        },
        vision_config={
            "hidden_size": 128,
            "intermediate_size": 512,
            "num_hidden_layers": 4,
            "num_attention_heads": 4,
            "image_size": SIZE,
            "patch_size": 12,
        },
        projection_dim=128,
    )
    model = CLIPModel(config)
    # transformers starts the position and patch embeddings near zero, which slows a small model.
    for embedding in (
        model.vision_model.embeddings.position_embedding,
        model.text_model.embeddings.position_embedding,
        model.text_model.embeddings.token_embedding,
    ):
        torch.nn.init.normal_(embedding.weight, std=0.02)
    torch.nn.init.xavier_uniform_(model.vision_model.embeddings.patch_embedding.weight.flatten(1))
    return model


def train(
    model: CLIPModel,
    tokenizer: CLIPTokenizer,
    pixels: Tensor,
    labels: list[dict[str, str]],
    epochs: int,
    rng: np.random.Generator,
    factor: float = 1.0,
) -> None:
    """Train `model` in place, with `factor` on the learning rates.

    Beside the contrastive loss on whole captions, each picture must find the right phrase of
    each list among all phrases of that list and a sample of all others, so that a trained
    phrase wins against untrained ones: by the logits less its head start, and again when what
    the phrases get from pictures that show nothing was taken away from them. And these pictures
    must speak for no phrase more than its head start says.

    The logits themselves then are those of a model that met the phrases as unevenly as the head
    starts say (logit adjustment: Menon et al., 2021, "Long-tail learning via logit adjustment").
    """
    words = lexicon(tokenizer)
    targets = {
        name: torch.tensor(
            [known.index(label[name]) if name in label else NO_MOVEMENT for label in labels]
        )
        for name, known in TRAINED.items()
    }
    processor = CLIPImageProcessorPil()
    mean = torch.tensor(processor.image_mean)[:, None, None]
    std = torch.tensor(processor.image_std)[:, None, None]
    optimizers = new_optimizers(model)
    steps = epochs * (len(pixels) // BATCH)
    started, step = time.monotonic(), 0
    for epoch in range(epochs):
        order = torch.from_numpy(rng.permutation(len(pixels)))
        for rows in order.split(BATCH)[: len(pixels) // BATCH]:
            rate = factor * min(step / WARM_UP, 0.5 + 0.5 * math.cos(math.pi * step / steps))
            for optimizer, peak in optimizers:
                for group in optimizer.param_groups:
                    group["lr"] = rate * peak
            batch = (augment(pixels[rows].float() / 255, rng) - mean) / std
            captions = tokenise(tokenizer, [caption(labels[int(row)], rng) for row in rows])
            nothing = (neutral(rng) - mean) / std
            seen = embed(model.get_image_features(torch.cat([batch, nothing])))
            images = seen[: len(batch)]
            single = embed(model.get_text_features(trimmed(words.sample(rng), tokenizer)))
            whole = embed(model.get_text_features(trimmed(captions, tokenizer)))
            scale = model.logit_scale.exp()
            losses = {"captions": contrastive(scale * images @ whole.T)}
            logits = scale * seen @ single.T
            plain, from_nothing = logits[: len(batch)], logits[len(batch) :]
            given = head_starts(words, logits.shape[1])
            both = torch.stack([plain - given, plain - from_nothing.mean(dim=0)], dim=2)
            for name, choice in words.choices(logits.shape[1]).items():
                right = targets[name][rows, None].expand(-1, 2)
                losses[name] = functional.cross_entropy(both[:, choice], right)
            losses["neutral"] = uneven(from_nothing - given, words)
            loss = sum(WEIGHTS.get(name, 1.0) * value for name, value in losses.items())
            model.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            for optimizer, _ in optimizers:
                optimizer.step()
            model.logit_scale.data.clamp_(0, math.log(100))
            step += 1
            if step % 100 == 0:
                parts = " ".join(f"{name} {value.item():.3f}" for name, value in losses.items())
                minutes = (time.monotonic() - started) / 60
                click.echo(f"{minutes:5.1f} min  epoch {epoch}  step {step}/{steps}  {parts}")


def new_optimizers(model: CLIPModel) -> list[tuple[torch.optim.Optimizer, float]]:
    """Return Muon for the matrices of the layers and AdamW for the rest, with peak rates."""
    matrices, tables, rest = [], [], []
    for name, parameter in model.named_parameters():
        inside = ".layers." in name and parameter.ndim == 2
        (matrices if inside else tables if parameter.ndim > 1 else rest).append(parameter)
    muon = torch.optim.Muon(matrices, weight_decay=0.05, adjust_lr_fn="match_rms_adamw")
    adam = torch.optim.AdamW(
        [{"params": tables, "weight_decay": 0.05}, {"params": rest, "weight_decay": 0.0}],
        betas=(0.9, 0.98),
    )
    return [(muon, MUON_RATE), (adam, PEAK_RATE)]


def embed(output: BaseModelOutputWithPooling) -> Tensor:
    """Return the L2-normalised vectors of a tower's output."""
    return functional.normalize(output.pooler_output, dim=-1)


@click.command(help=__doc__)
@click.argument("out", type=click.Path(file_okay=False, path_type=Path))
@click.option("--seed", default=0, show_default=True, type=SEED)
@click.option("--pictures", default=36_000, show_default=True, type=click.IntRange(BATCH))
@click.option("--first", default=0, show_default=True, type=SEED, help="Seed of the first picture.")
@click.option("--epochs", default=14, show_default=True, type=click.IntRange(1))
@click.option(
    "--rate", default=1.0, show_default=True, type=click.FloatRange(0, 10, min_open=True),
    help="Factor on the learning rates.",
)  # fmt: skip
@click.option("--start", help="Train this checkpoint on, in place of a new model.")
def main(
    *, out: Path, seed: int, pictures: int, first: int, epochs: int, rate: float, start: str | None
) -> None:
    """Paint, train and save."""
    torch.manual_seed(seed)
    if start:
        model, tokenizer, *_ = load(start)
        if model.config.vision_config.image_size != SIZE:
            msg = f"{start}: sees squares of another size than the demo model's {SIZE} pixels"
            raise ModelError(msg)
        model.train()
    else:
        tokenizer = train_tokenizer([p for name in phrases.names() for p in phrases.load(name)])
        model = new_model(tokenizer)
    click.echo(f"{model.num_parameters():,} parameters, {len(tokenizer):,} tokens")
    out.mkdir(parents=True, exist_ok=True)  # rather now than after an hour
    started = time.monotonic()
    pixels, labels = draw_all(first, pictures)
    click.echo(f"{pictures:,} pictures drawn in {(time.monotonic() - started) / 60:.1f} min")
    train(model, tokenizer, pixels, labels, epochs, np.random.default_rng(seed), rate)
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    size = {"size": {"shortest_edge": SIZE}, "crop_size": {"height": SIZE, "width": SIZE}}
    CLIPImageProcessorPil(**size).save_pretrained(out)
    click.echo(f"saved to {out}")
