"""A checkpoint is exported as it is, or refused in one line."""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np
import pytest

import clip_checkpoint
import export_clip
import hub_server
from clip_gaze import SURFACES, Clip, ModelError, PhraseListError
from clip_gaze.model import manifest_file
from clip_gaze.model.manifest import Source, TextSettings
from quantize import add_variants, listed
from variants import graphs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from PIL import Image
    from torch import Tensor

    from hub_server import Hub

    Weights = dict[str, Tensor]

SCRIPT = Path(__file__).parents[2] / "export" / "export_clip.py"
TABLE = "text_model.embeddings.token_embedding.weight"


@pytest.fixture(autouse=True)
def logged() -> Iterator[None]:
    """Switch logging on again, which the script switches off."""
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture
def checkpoint(tiny_checkpoint: Path, tmp_path: Path) -> Path:
    """Return a copy of the small checkpoint, to harm it."""
    return shutil.copytree(tiny_checkpoint, tmp_path / "checkpoint")


def export(*words: str | Path) -> int:
    """Run the script in this process."""
    found: int = export_clip.main([*map(str, words)], standalone_mode=False)
    return found


def change(file: Path, *keys: str, value: object) -> None:
    """Set a field of a JSON file."""
    content = json.loads(file.read_text(encoding="utf-8"))
    *parents, last = keys
    inner = content
    for key in parents:
        inner = inner[key]
    inner[last] = value
    file.write_text(json.dumps(content), encoding="utf-8")


def rewrite(checkpoint: Path, harm: Callable[[Weights], Weights]) -> None:
    """Write other weights."""
    from safetensors.torch import load_file, save_file

    file = checkpoint / "model.safetensors"
    save_file(harm(load_file(file)), file, {"format": "pt"})


def test_a_failure_is_one_line(tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), "/nope", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("export_clip.py: error: /nope: transformers cannot load")
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["/nope", "out", "--variants", "q5"], "unknown: q5; choose from fp32, q8, q4"),
        (["/nope", "file"], "is a file"),
        (["/nope"], "Missing argument 'OUT'"),
    ],
)
def test_bad_options_are_refused(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    with pytest.raises(click.UsageError) as said:
        export(*words)
    assert message in said.value.format_message()


def without(part: str) -> Callable[[Weights], Weights]:
    return lambda weights: {name: each for name, each in weights.items() if part not in name}


def with_a_layer_more(weights: Weights) -> Weights:
    extra = {name.replace("layers.1.", "layers.2."): each.clone() for name, each in weights.items()}
    return extra | weights


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (without("text_projection"), "lacks weights: text_projection.weight"),
        (without("logit_scale"), "lacks weights: logit_scale"),
        (
            without("vision_model.encoder.layers.1."),
            r"lacks weights: vision_model\.encoder\.layers\.1\.layer_norm1\.bias, .* and 14 more",
        ),
        (
            lambda weights: {f"model.{name}": each for name, each in weights.items()},
            r"lacks weights: logit_scale, .* does not use: model\.logit_scale, ",
        ),
        (
            with_a_layer_more,
            r"does not use: text_model\.encoder\.layers\.2\..* and 30 more",
        ),
        (
            lambda weights: weights | {TABLE: weights[TABLE] * float("nan")},
            f"has weights that are not finite numbers: {TABLE}",
        ),
        (
            lambda weights: weights | {TABLE: weights[TABLE][:49000].clone()},
            rf"another shape than its config\.json says: {TABLE}",
        ),
    ],
)
def test_weights_that_are_not_those_of_the_model_are_named(
    harm: Callable[[Weights], Weights], message: str, checkpoint: Path
) -> None:
    rewrite(checkpoint, harm)
    with pytest.raises(ModelError, match=f"checkpoint: .*{message}"):
        export(checkpoint, checkpoint.with_name("out"))
    assert not checkpoint.with_name("out").exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("do_convert_rgb", False),
        ("do_resize", False),
        ("size", {"shortest_edge": 40}),
        ("size", {"height": 48, "width": 48}),
        ("resample", 2),
        ("do_center_crop", False),
        ("crop_size", {"height": 40, "width": 40}),
        ("do_rescale", False),
        ("rescale_factor", 0.5),
        ("do_normalize", False),
        ("image_mean", None),
        ("image_mean", 0.5),
        ("image_std", [1, 1]),
        ("image_std", ["a", "b", "c"]),
    ],
)
def test_preprocessing_that_the_runtime_does_not_do_is_named(
    name: str, value: object, checkpoint: Path
) -> None:
    change(checkpoint / "preprocessor_config.json", name, value=value)
    with pytest.raises(ModelError) as raised:
        export(checkpoint, checkpoint.with_name("out"))
    shown = tuple(value) if isinstance(value, list) else value
    assert f"checkpoint: {name} is {shown} in its preprocessing; " in str(raised.value)


def no_tokenizer(checkpoint: Path) -> None:
    for file in checkpoint.glob("*token*"):
        file.unlink()


def fewer_tokens(checkpoint: Path) -> None:
    rewrite(checkpoint, lambda weights: weights | {TABLE: weights[TABLE][:49000].clone()})
    change(checkpoint / "config.json", "text_config", "vocab_size", value=49000)


def cut(checkpoint: Path) -> None:
    with (checkpoint / "model.safetensors").open("r+b") as file:
        file.truncate(1_000_000)


def other_kind(checkpoint: Path) -> None:
    from transformers import SiglipConfig

    SiglipConfig().save_pretrained(checkpoint)


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (no_tokenizer, "has no tokenizer"),
        (fewer_tokens, "tokenizer has ids up to 49407, its text tower only 49000 tokens"),
        (
            lambda path: change(path / "config.json", "text_config", "eos_token_id", value=7),
            "ends a text with id 49407, where its text tower looks for eos_token_id 7",
        ),
        (other_kind, r"no checkpoint of a CLIP model .*: siglip\)"),
        (lambda path: (path / "config.json").unlink(), r"no checkpoint of a CLIP model .*: None\)"),
        (
            lambda path: (path / "config.json").write_text("{"),
            "transformers cannot load this checkpoint",
        ),
        (cut, r"cannot load this checkpoint \(.*incomplete metadata"),
        (lambda path: (path / "preprocessor_config.json").unlink(), "Can't load image processor"),
        (lambda path: (path / "tokenizer.json").write_text("[]"), "cannot load this checkpoint"),
    ],
)
def test_odd_checkpoints_are_refused(
    harm: Callable[[Path], object], message: str, checkpoint: Path
) -> None:
    harm(checkpoint)
    with pytest.raises(ModelError, match=f"checkpoint: .*{message}"):
        export(checkpoint, checkpoint.with_name("out"))
    assert not checkpoint.with_name("out").exists()


def test_the_end_token_of_old_configurations_is_the_largest_id(checkpoint: Path) -> None:
    change(checkpoint / "config.json", "text_config", "eos_token_id", value=2)
    clip_checkpoint.load(str(checkpoint))


def test_a_folder_that_holds_something_else_is_left_alone(checkpoint: Path) -> None:
    before = {path.name: path.read_bytes() for path in checkpoint.iterdir()}
    with pytest.raises(ModelError, match="holds files that are no clip-gaze model"):
        export(checkpoint, checkpoint)
    assert {path.name: path.read_bytes() for path in checkpoint.iterdir()} == before


def test_a_folder_holds_the_files_of_its_manifest_and_what_was_put_there(
    tiny_checkpoint: Path, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However large the towers are, and whatever variants there were before."""
    from torch.onnx._internal.exporter import _onnx_program

    # From here on torch takes weights out of a graph, and we do.
    monkeypatch.setattr(_onnx_program, "_LARGE_MODEL_THRESHOLD", 0)
    monkeypatch.setattr(graphs, "LARGE_GRAPH", 0)
    out = shutil.copytree(tiny_model, tmp_path / "out")
    (out / "README.md").touch()
    assert export(tiny_checkpoint, out, "--variants", "q4") == 0
    written = manifest_file.read(out / "manifest.json")
    assert written.text == TextSettings(context_length=77)
    named = listed(written)
    assert len(named) == 9
    assert {path.name for path in out.iterdir()} == {*named, "manifest.json", "README.md"}


def reading(hub: Hub, checkpoint: Path, out: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the script with a checkpoint that the Hub has."""
    hub.folder, hub.small = checkpoint, tuple(file.name for file in checkpoint.glob("*.json"))
    command = [sys.executable, str(SCRIPT), hub.repository, str(out), "--variants", "fp32", *words]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)


@pytest.mark.parametrize("words", [["--revision", hub_server.COMMIT], []])
def test_the_commit_that_is_read_of_the_hub_is_recorded(
    words: list[str], hub: Hub, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    done = reading(hub, tiny_checkpoint, tmp_path / "out", *words)
    assert done.returncode == 0, done.stderr
    found = manifest_file.read(tmp_path / "out" / "manifest.json").source
    assert found == Source(hub.repository, hub.commit)
    asked = {each.path.split("/")[4] for each in hub.requests if "/resolve/" in each.path}
    assert asked == {hub.commit, *([] if words else ["main"])}


def test_a_revision_that_there_is_not_is_refused(
    hub: Hub, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    done = reading(hub, tiny_checkpoint, tmp_path / "out", "--revision", "v2")
    assert done.returncode == 2
    assert done.stderr.startswith(f"export_clip.py: error: {hub.repository}: transformers cannot")
    assert "v2" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_a_folder_has_no_revision(tiny_checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(click.UsageError, match="is here, not on the Hub, and so has no revision"):
        export(tiny_checkpoint, tmp_path / "out", "--revision", "main")


def test_a_checkpoint_as_those_of_openclip_is_exported(
    checkpoint: Path, tmp_path: Path, picture: Callable[..., Image.Image]
) -> None:
    """ViT-H/14 and ViT-bigG/14: GELU, 2 for the end token, padding of its own, halves in shards."""
    import torch
    from transformers import CLIPImageProcessorPil, CLIPModel, CLIPTokenizer

    for tower in ("text_config", "vision_config"):
        change(checkpoint / "config.json", tower, "hidden_act", value="gelu")
    for name, token in (("bos_token_id", 0), ("eos_token_id", 2), ("pad_token_id", 1)):
        change(checkpoint / "config.json", "text_config", name, value=token)
    halves = CLIPModel.from_pretrained(checkpoint, dtype=torch.float16)
    (checkpoint / "model.safetensors").unlink()
    halves.save_pretrained(checkpoint, max_shard_size="4MB")
    assert len(list(checkpoint.glob("model-*.safetensors"))) > 1
    assert export(checkpoint, tmp_path / "out", "--variants", "fp32") == 0

    model = CLIPModel.from_pretrained(checkpoint, dtype=torch.float32).eval()
    assert model.config.text_config.hidden_act == "gelu"
    tokens = CLIPTokenizer.from_pretrained(checkpoint)(
        list(SURFACES), padding="max_length", max_length=77, return_tensors="pt"
    )
    pixels = CLIPImageProcessorPil.from_pretrained(checkpoint)(picture(), return_tensors="pt")
    with torch.no_grad():
        # Padding is no part of it: the end token comes before.
        expected = torch.softmax(model(**tokens, **pixels).logits_per_image, dim=1)[0]
    with Clip(tmp_path / "out", offline=True, store=False) as clip:
        found = clip.probabilities(picture(), SURFACES)
    np.testing.assert_allclose([p for _, p in found], expected.numpy(), atol=1e-5)


def test_memory_that_is_not_there_is_said_before_weights_are_read(
    tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    shutil.copytree(tiny_checkpoint, tmp_path / "checkpoint")
    (tmp_path / "checkpoint" / "model.safetensors").unlink()
    monkeypatch.setattr(clip_checkpoint, "free_bytes", lambda: 500_000_000)
    with pytest.raises(ModelError, match=r"needs about 0\.6 GB of memory, and 0\.5 are free$"):
        export(tmp_path / "checkpoint", tmp_path / "out")
    assert "weights; needs about 0.6 GB of memory" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_vectors_of_phrases_are_written_for_each_variant(
    tiny_checkpoint: Path, tiny_model: Path, tmp_path: Path
) -> None:
    own = tmp_path / "seas.txt"
    own.write_text("a stormy sea\na calm sea\n", encoding="utf-8")
    out = tmp_path / "out"
    lists = ["--phrases", "surfaces", "--phrases", own]
    assert export(tiny_checkpoint, out, "--variants", "q4", "--name", "tiny", *lists) == 0
    assert {path.name for path in out.glob("phrases*")} == {
        "phrases.safetensors", "phrases_q4.safetensors",
    }  # fmt: skip
    for variant in ("fp32", "q4"):
        with Clip(out, variant) as clip, Clip(tiny_model, variant, store=False) as whole:
            assert clip.lists.keys() == {"surfaces", "seas"}
            for listed in clip.lists.values():
                assert np.array_equal(clip.encode_texts(listed), whole.encode_texts(listed))
    # What takes a graph's place takes its vectors away, too.
    add_variants(out, ["q4"])
    assert manifest_file.read(out / "manifest.json").variants["q4"].phrases is None
    assert [path.name for path in out.glob("phrases*")] == ["phrases.safetensors"]


def test_an_unknown_list_is_refused_before_the_work(tiny_checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(PhraseListError, match="no phrase list is called 'nothing'"):
        export(tiny_checkpoint, tmp_path / "out", "--phrases", "nothing")
    assert not (tmp_path / "out").exists()
