"""Teach the demo model's text tower that a line is the sum of its phrases.

    python export/demo_model.py lines models/demo [--steps 700] [--rate 1.0] [--seed 0]
    python export/quantize.py models/demo --variants q8,q4

Training gave it captions of two or three phrases beside single ones. Here it learns from its own
vectors: each phrase of the shipped lists keeps the vector that it has, and a line of two to six of
them, with commas or without, gets the sum of theirs, at length 1. No picture takes part, and the
vision tower stays as it is. The weights in the fp32 graph are replaced, and its manifest says so.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import click
import numpy as np
import onnx
import torch
from onnx import numpy_helper
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional
from transformers import CLIPTextConfig, CLIPTextModelWithProjection

from clip_gaze import Clip
from clip_gaze.model.verify import sha256
from clip_gaze.texts import phrases
from demo.painter import SEED, TRAINED

BATCH = 192  # lines in a step
OTHERS = 200  # single phrases in a step, beside all that were trained
PEAK_RATE = 1e-3
WARM_UP = 50
SINGLE = 3.0  # how much more the single phrases weigh
HEADS = 3
# How lines are drawn: of the lists that `clip-gaze prompt` takes, of those and photography, of all.
POOLS = (phrases.FOR_PROMPTS, (*phrases.FOR_PROMPTS, "photography"), tuple(phrases.names()))
CHANCES = (0.5, 0.3, 0.2)
KNOWN = 0.7  # the share of phrases that were trained, in lists that have some


def places(graph: onnx.GraphProto) -> dict[str, tuple[str, bool]]:
    """Return where each weight of the text tower stands in its graph, and whether transposed."""
    initial = {each.name: each for each in graph.initializer}
    found = {
        f"text_model.{name.removeprefix('tower.')}": (name, False)
        for name in initial
        if name.startswith("tower.") and "position_ids" not in name
    }
    found["text_projection.weight"] = ("projection.weight", False)
    for node in graph.node:
        if node.op_type != "MatMul" or node.input[1] not in initial:
            continue
        # The exporter names the matrices of layers by numbers; each bias keeps its name.
        for add in graph.node:
            biases = [name for name in add.input if name in initial and name.endswith(".bias")]
            if add.op_type == "Add" and node.output[0] in add.input and biases:
                weight = biases[0].removeprefix("tower.").removesuffix("bias") + "weight"
                found[f"text_model.{weight}"] = (node.input[1], True)
    return found


def read(graph: onnx.GraphProto) -> CLIPTextModelWithProjection:
    """Return a text tower with the weights of its graph."""
    arrays = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    state = {
        key: torch.from_numpy(np.array(arrays[name].T if turned else arrays[name]))
        for key, (name, turned) in places(graph).items()
    }
    tokens, width = state["text_model.embeddings.token_embedding.weight"].shape
    layers = {key.split(".")[3] for key in state if ".layers." in key}
    model = CLIPTextModelWithProjection(
        CLIPTextConfig(
            vocab_size=tokens, hidden_size=width, num_attention_heads=HEADS,
            intermediate_size=len(state["text_model.encoder.layers.0.mlp.fc1.bias"]),
            num_hidden_layers=len(layers),
            max_position_embeddings=len(state["text_model.embeddings.position_embedding.weight"]),
            projection_dim=len(state["text_projection.weight"]),
            bos_token_id=tokens - 2, eos_token_id=tokens - 1, pad_token_id=tokens - 1,
        )
    )  # fmt: skip
    model.load_state_dict(state)
    return model


def write(model: CLIPTextModelWithProjection, graph: onnx.GraphProto) -> None:
    """Put the weights of a text tower back into its graph."""
    initial = {each.name: each for each in graph.initializer}
    state = model.state_dict()
    for key, (name, turned) in places(graph).items():
        array = state[key].detach().numpy()
        array = np.ascontiguousarray(array.T if turned else array)
        initial[name].CopyFrom(numpy_helper.from_array(array, name))


def line(rng: np.random.Generator) -> tuple[str, list[str]]:
    """Draw a line, and return it with its phrases."""
    pool = POOLS[int(rng.choice(len(POOLS), p=CHANCES))]
    parts = []
    for name in rng.permutation(pool)[: int(rng.integers(2, 7))]:
        known = name in TRAINED and rng.random() < KNOWN
        listed = TRAINED[name] if known else phrases.load(name)
        parts.append(listed[int(rng.integers(len(listed)))])
    return (" " if rng.random() < 0.5 else ", ").join(parts), parts


class Reader:
    """The text tower with its tokenizer."""

    def __init__(self, model: CLIPTextModelWithProjection, tokenizer: Path) -> None:
        self.model = model
        self._tokenizer = Tokenizer.from_file(str(tokenizer))

    def __call__(self, texts: list[str]) -> Tensor:
        """Return the L2-normalised vectors of texts."""
        config = self.model.config
        most = config.max_position_embeddings
        ids = [self._tokenizer.encode(text).ids[:most] for text in texts]
        longest = max(map(len, ids))
        # What stands behind the end token changes nothing.
        rows = [each + [config.eos_token_id] * (longest - len(each)) for each in ids]
        return functional.normalize(self.model(input_ids=torch.tensor(rows)).text_embeds, dim=-1)


def teach(reader: Reader, known: dict[str, Tensor], steps: int, rate: float, seed: int) -> None:
    """Train the tower in place, so that lines become sums of the `known` vectors of phrases."""
    rng = np.random.default_rng(seed)
    trained = [phrase for each in TRAINED.values() for phrase in each]
    every = list(known)
    optimizer = torch.optim.AdamW(reader.model.parameters(), lr=PEAK_RATE, weight_decay=0.0)

    def far(texts: list[str], targets: list[Tensor]) -> Tensor:
        return (1 - (reader(texts) * torch.stack(targets)).sum(dim=1)).mean()

    for step in range(steps):
        decay = 0.5 + 0.5 * math.cos(math.pi * step / steps)
        for group in optimizer.param_groups:
            group["lr"] = rate * PEAK_RATE * min(step / WARM_UP, decay)
        drawn = [line(rng) for _ in range(BATCH)]
        sums = [sum(known[part] for part in parts) for _, parts in drawn]
        lines = far([text for text, _ in drawn], [each / each.norm() for each in sums])
        some = [*trained, *(every[int(at)] for at in rng.integers(len(every), size=OTHERS))]
        single = far(some, [known[phrase] for phrase in some])
        optimizer.zero_grad()
        (lines + SINGLE * single).backward()
        torch.nn.utils.clip_grad_norm_(reader.model.parameters(), 1.0)
        optimizer.step()
        if step % 50 == 49:
            click.echo(f"step {step + 1}/{steps}  lines {lines:.4f}  single {single:.5f}")


@click.command(help=__doc__)
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--steps", default=700, show_default=True, type=click.IntRange(0))
@click.option("--rate", default=1.0, show_default=True, type=click.FloatRange(0, min_open=True))
@click.option("--seed", default=0, show_default=True, type=SEED)
def main(*, folder: Path, steps: int, rate: float, seed: int) -> None:
    """Teach, and write the graph and the manifest."""
    torch.manual_seed(seed)
    described = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    entry = described["variants"]["fp32"]["text"]
    place = folder / entry["file"]
    graph = onnx.load(place)
    reader = Reader(read(graph.graph), folder / described["tokenizer"]["file"])
    every = list(dict.fromkeys(each for name in phrases.names() for each in phrases.load(name)))
    with Clip(folder, "fp32", offline=True, store=False) as clip:
        vectors = torch.from_numpy(clip.encode_texts(every))
    teach(reader, dict(zip(every, vectors, strict=True)), steps, rate, seed)
    write(reader.model, graph.graph)
    onnx.save(graph, place)
    entry |= {"bytes": place.stat().st_size, "sha256": sha256(place)}
    text = json.dumps(described, indent=2, ensure_ascii=False) + "\n"
    (folder / "manifest.json").write_text(text, encoding="utf-8")
    click.echo(f"{place} written; make the other variants anew with quantize.py")
