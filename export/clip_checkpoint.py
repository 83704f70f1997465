"""Load a CLIP checkpoint, and refuse one that the runtime would not answer as."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
import torch
from huggingface_hub import hf_hub_download
from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel, CLIPTokenizer

from clip_gaze.errors import ModelError
from clip_gaze.model.manifest import Source
from clip_gaze.system.resources import free_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from transformers import CLIPTextConfig

BICUBIC = 3
# Bytes at the peak: 1.7 GB were seen for ViT-B/32 (0.6 GB of weights), 3.8 GB for the shape of
# ViT-L/14 (1.7 GB); torch and its exporter are the rest.
BASE_BYTES, BYTES_PER_WEIGHT = 600_000_000, 2 * 4


def load(
    source: str, revision: str | None = None
) -> tuple[CLIPModel, CLIPTokenizer, CLIPImageProcessorPil, Source]:
    """Load a checkpoint.

    Args:
        source: its name on the Hub, or its folder.
        revision: of a checkpoint on the Hub; None: the newest one.

    Returns:
        Model, tokenizer, image processor, and the commit on the Hub that all were read from.

    Raises:
        ModelError: it cannot be loaded, or the runtime would answer otherwise than it.

    """
    try:
        if Path(source).exists():
            origin = Source(Path(source).name)
        else:
            config = Path(hf_hub_download(source, "config.json", revision=revision))
            origin = Source(source, config.parent.name)  # a snapshot has the commit's name
        commit = origin.revision
        kind = CLIPConfig.get_config_dict(source, revision=commit)[0].get("model_type")
        if kind == "clip":
            check_memory(source, CLIPConfig.from_pretrained(source, revision=commit))
            model, info = CLIPModel.from_pretrained(
                source, revision=commit, dtype=torch.float32,
                output_loading_info=True, ignore_mismatched_sizes=True,
            )  # fmt: skip
            processor = CLIPImageProcessorPil.from_pretrained(source, revision=commit)
            tokenizer = CLIPTokenizer.from_pretrained(source, revision=commit)
    except ModelError:
        raise
    except Exception as error:
        # There is no end to what transformers raises over files that are not as they should be.
        reason = str(error).partition(". ")[0] or type(error).__name__
        msg = f"{source}: transformers cannot load this checkpoint ({reason})"
        raise ModelError(msg) from error
    if kind != "clip":
        msg = f"{source}: is no checkpoint of a CLIP model (model_type in its config.json: {kind})"
        raise ModelError(msg)
    wrong = (
        wrong_weights(model, info)
        or wrong_preprocessing(processor, model.config.vision_config.image_size)
        or wrong_tokenizer(tokenizer, model.config.text_config)
    )
    if wrong:
        msg = f"{source}: {wrong}"
        raise ModelError(msg)
    return model.eval(), tokenizer, processor, origin


def check_memory(source: str, config: CLIPConfig) -> None:
    """Say how much memory a checkpoint takes; weights are neither fetched nor read for it.

    Raises:
        ModelError: there is less.

    """
    with torch.device("meta"):
        count = sum(weights.numel() for weights in CLIPModel(config).parameters())
    need, free = BASE_BYTES + BYTES_PER_WEIGHT * count, free_bytes()
    click.echo(f"{source}: {count:,} weights; needs about {need / 1e9:.1f} GB of memory", err=True)
    if free is not None and free < need:
        msg = f"{source}: needs about {need / 1e9:.1f} GB of memory, and {free / 1e9:.1f} are free"
        raise ModelError(msg)


def wrong_weights(model: CLIPModel, info: Mapping[str, Iterable]) -> str:
    """Return what is wrong with the weights of a checkpoint, or "".

    Args:
        model: with these weights.
        info: what transformers says of loading them.

    """
    every = {
        "lacks weights": info["missing_keys"],
        "has weights of another shape than its config.json says": [
            name for name, *_ in info["mismatched_keys"]
        ],
        "has weights that its model does not use": info["unexpected_keys"],
        "has weights that are not finite numbers": [
            name for name, weight in model.named_parameters() if not weight.isfinite().all()
        ],
    }
    return "; ".join(f"{what}: {shortened(names)}" for what, names in every.items() if names)


def shortened(names: Iterable[str]) -> str:
    """Return the first names of many in one line."""
    names = sorted(names)
    others = f" and {len(names) - 2} more" if len(names) > 2 else ""
    return ", ".join(names[:2]) + others


def wrong_preprocessing(processor: CLIPImageProcessorPil, size: int) -> str:
    """Return which preprocessing of a checkpoint the runtime does not do, or ""."""
    found = processor.to_dict()
    wanted = {
        "do_convert_rgb": True,
        "do_resize": True,
        "size": {"shortest_edge": size},
        "resample": BICUBIC,
        "do_center_crop": True,
        "crop_size": {"height": size, "width": size},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
    }
    for name, value in wanted.items():
        if found[name] != value:
            return f"{name} is {found[name]} in its preprocessing; only {value} can be exported"
    for name in ("image_mean", "image_std"):
        numbers = found[name] if isinstance(found[name], list | tuple) else ()
        if [type(each) in (int, float) for each in numbers] != [True] * 3:
            return f"{name} is {found[name]} in its preprocessing; it must be three numbers"
    return ""


def wrong_tokenizer(tokenizer: CLIPTokenizer, config: CLIPTextConfig) -> str:
    """Return why a tokenizer cannot be that of the text tower, or ""."""
    vocabulary = tokenizer.get_vocab()
    if len(vocabulary) <= len(tokenizer.all_special_tokens):
        return "has no tokenizer; put its tokenizer.json there"
    last = max(vocabulary.values())
    if last >= config.vocab_size:
        return f"its tokenizer has ids up to {last}, its text tower only {config.vocab_size} tokens"
    *_, end = tokenizer("a")["input_ids"]
    # 2 stands in old files, and means the largest id of a text.
    if config.eos_token_id != end and (config.eos_token_id, last) != (2, end):
        return (
            f"its tokenizer ends a text with id {end}, where its text tower looks for "
            f"eos_token_id {config.eos_token_id}"
        )
    return ""
