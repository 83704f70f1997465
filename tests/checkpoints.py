"""Checkpoints with random weights, made by transformers' own classes, to export and compare."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import CLIPTokenizer

# OpenAI's id of the start token; that of the end token is the next.
START = 49406
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

    The tokenizer is that of the demo model, with start and end token where OpenAI's have them;
    that of the full size has as many tokens as OpenAI's, since they take memory.
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
    clip_tokenizer(whole=shape == "vit-b-32").save_pretrained(folder)
    size = config.vision_config.image_size
    CLIPImageProcessorPil(
        size={"shortest_edge": size}, crop_size={"height": size, "width": size}
    ).save_pretrained(folder)
    return folder


def clip_tokenizer(*, whole: bool = False) -> CLIPTokenizer:
    """Return the demo model's tokenizer with OpenAI's ids for start and end.

    Args:
        whole: with a token for each id before these two, made of shorter ones.
    """
    from transformers import CLIPTokenizer

    source = Path(__file__).parents[1] / "models" / "demo" / "tokenizer.json"
    model = json.loads(source.read_text(encoding="utf-8"))["model"]
    vocab = {token: at for token, at in model["vocab"].items() if not token.startswith("<|")}
    merges = [tuple(merge.split(" ")) for merge in model["merges"]]
    short = [token for token in vocab if not token.endswith("</w>")]
    for left, right in itertools.product(short if whole else (), repeat=2):
        if len(vocab) == START:
            break
        if left + right not in vocab:
            vocab[left + right] = len(vocab)
            merges.append((left, right))
    vocab |= {"<|startoftext|>": START, "<|endoftext|>": START + 1}
    return CLIPTokenizer(vocab=vocab, merges=merges, model_max_length=77)
