"""Checkpoints with random weights, made by transformers' own classes, to export and compare."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import CLIPTokenizer

SHAPES = {
    "tiny": {
        "projection_dim": 64,
        "text_config": {
            "vocab_size": 49408, "hidden_size": 64, "intermediate_size": 128,
            "num_hidden_layers": 2, "num_attention_heads": 2,
        },
        "vision_config": {
            "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
            "num_attention_heads": 2, "image_size": 48, "patch_size": 16,
        },
    },
    # transformers' defaults are the shape of ViT-B/32.
    "vit-b-32": {"projection_dim": 512, "text_config": {}, "vision_config": {}},
}  # fmt: skip


def make(folder: Path, shape: str, seed: int = 0) -> Path:
    """Write a CLIP checkpoint with random weights to `folder` and return it.

    The tokenizer is that of the demo model, with start and end token where OpenAI's have them.
    Weights are drawn wider than transformers does, so that vectors of unlike inputs differ.
    """
    import torch
    from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel

    torch.manual_seed(seed)
    config = CLIPConfig(**SHAPES[shape])
    model = CLIPModel(config)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim > 1:
                weight.normal_(0, 0.5 if "embedding" in name else weight[0].numel() ** -0.5)
    model.save_pretrained(folder)
    clip_tokenizer().save_pretrained(folder)
    size = config.vision_config.image_size
    CLIPImageProcessorPil(
        size={"shortest_edge": size}, crop_size={"height": size, "width": size}
    ).save_pretrained(folder)
    return folder


def clip_tokenizer() -> CLIPTokenizer:
    """Return the demo model's tokenizer with OpenAI's ids for start and end."""
    from transformers import CLIPTokenizer

    source = Path(__file__).parents[1] / "models" / "demo" / "tokenizer.json"
    model = json.loads(source.read_text(encoding="utf-8"))["model"]
    vocab = dict(model["vocab"], **{"<|startoftext|>": 49406, "<|endoftext|>": 49407})
    return CLIPTokenizer(
        vocab=vocab, merges=[tuple(merge) for merge in model["merges"]], model_max_length=77
    )
