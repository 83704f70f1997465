"""A bundle answers its lists as the whole model does, and nothing else."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bundles import LISTS, TEMPLATES, same, write
from clip_gaze import Clip, ModelError, PhraseListError
from clip_gaze.model import bundle, registry
from clip_gaze.system.paths import shipped

if TYPE_CHECKING:
    from collections.abc import Callable

    from PIL import Image

    MakePicture = Callable[..., Image.Image]

VARIANTS = ("fp32", "q8", "q4")


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return a bundle of each variant of the demo model."""
    made = {name: tmp_path_factory.mktemp("bundles") / name for name in VARIANTS}
    for name, folder in made.items():
        with Clip("demo", name, store=False, templates=TEMPLATES) as clip:
            clip.bundle(folder, LISTS)
    return made


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("templates", [(), TEMPLATES, TEMPLATES[1:]])
def test_probabilities_are_those_of_the_whole_model(
    variant: str, templates: tuple[str, ...], bundles: dict[str, Path], picture: MakePicture
) -> None:
    pictures = [picture(40 + 9 * seed, 90 - 5 * seed, seed) for seed in range(12)]
    for corrected in (False, True):
        answers = []
        for model in ("demo", bundles[variant]):
            with Clip(model, variant, templates=templates) as clip:
                results = clip.gaze_many(pictures, LISTS, None, corrected=corrected)
                answers.append([result.lists for result in results])
        for whole, found in zip(*answers, strict=True):
            for name in LISTS:
                ranked = {score.phrase: score.probability for score in whole[name]}
                assert ranked == pytest.approx(
                    {score.phrase: score.probability for score in found[name]}, abs=1e-6
                )
                assert ranked.keys() == set(LISTS[name])


def test_heat_maps_and_comparisons_are_those_of_the_whole_model(
    bundles: dict[str, Path], picture: MakePicture
) -> None:
    answers = []
    for model in ("demo", bundles["fp32"]):
        with Clip(model) as clip:
            maps = clip.see(picture(), ["on wood", "oil paint medium"], runs=30, corrected=True)
            maps.append(clip.see(picture(), "on wood", "painting_materials", runs=30))
            answers.append((maps, clip.compare([picture(), picture(seed=1)], LISTS)))
    assert answers[0] == answers[1]


def test_lists_of_its_own_are_known_by_their_names(tmp_path: Path, picture: MakePicture) -> None:
    words = {"seas": ("a stormy sea", "a calm sea"), "surfaces": ("on wood", "on ice")}
    with Clip("demo") as clip:
        clip.bundle(tmp_path / "out", words)
        wanted = clip.see(picture(), "a calm sea", words["seas"], runs=30)
        ice = clip.see(picture(), "on wood", words["surfaces"], runs=30)
    with Clip(tmp_path / "out") as clip:
        assert clip.lists == words
        found = clip.see(picture(), "a calm sea", runs=30)
        assert found == dataclasses.replace(wanted, list="seas")
        for against in (None, "surfaces"):
            found = clip.see(picture(), "on wood", against, runs=30)
            assert found == dataclasses.replace(ice, list="surfaces")


def test_what_is_not_in_it_is_said_in_one_line(
    bundles: dict[str, Path], picture: MakePicture
) -> None:
    folder = bundles["q4"]
    has = (
        f"it has the phrases of surfaces ({len(LISTS['surfaces'])}), painting_materials "
        f"({len(LISTS['painting_materials'])}), alone and in 'a painting {{}}', "
        "'a picture, {}, in a museum'; ask the whole model for others"
    )
    with Clip(folder) as clip:
        for ask in (
            lambda: clip.gaze(picture(), ["on wood", "on mars"]),
            lambda: clip.encode_texts(["on mars"]),
            lambda: clip.see(picture(), "on mars", "surfaces"),
            lambda: clip.find(["on mars"], [picture()]),
            lambda: clip.compare([picture()] * 2, {"": ["on mars", "on wood"]}),
        ):
            with pytest.raises(PhraseListError) as caught:
                ask()
            assert str(caught.value) == f"{folder}: this bundle has no vector of 'on mars'; {has}"
        with pytest.raises(PhraseListError, match="no vector of 'a sketch on wood'"):
            clip.encode_texts(["on wood"], templates=["a sketch {}"])
        with pytest.raises(ModelError, match="a bundle has no text tower for lines; use the whole"):
            clip.prompt(picture(), {"": ["on wood", "on paper"]})
        assert clip.gaze(picture(), {}) == {}


def test_a_store_is_kept_where_it_is_asked_for(
    bundles: dict[str, Path], cache: Path, tmp_path: Path, picture: MakePicture
) -> None:
    picture().save(tmp_path / "picture.png")
    answers = []
    for store in (None, False, True, True):
        with Clip(bundles["fp32"], store=store) as clip:
            answers.append(clip.gaze(tmp_path / "picture.png", LISTS))
            with pytest.raises(PhraseListError):
                clip.encode_texts(["on mars"])
        assert bool(list(cache.glob("*.sqlite"))) == bool(store)
    assert answers == answers[:1] * 4


def test_it_keeps_what_the_model_says_of_itself(tmp_path: Path) -> None:
    folder = shutil.copytree(shipped("models") / "demo", tmp_path / "model")
    (folder / "LICENSE").write_text("Do as you like.\n", encoding="utf-8")
    old = registry.find(folder).manifest
    needs = dataclasses.replace(old.variants["q4"], requires="onnxruntime>=1.2,!=1.3")
    write(folder, dataclasses.replace(old, variants={**old.variants, "q4": needs}))
    with Clip(folder, "q4") as clip:
        clip.bundle(tmp_path / "out", LISTS)
    made = registry.find(tmp_path / "out").manifest
    assert made.is_bundle
    assert made.variants.keys() == {made.default_variant} == {"q4"}
    assert made.variants["q4"].requires == "onnxruntime>=1.2,!=1.3"
    assert made.variants["q4"].vision == old.variants["q4"].vision
    for field in ("name", "source", "licence", "image", "embedding_dim", "logit_scale", "note"):
        assert getattr(made, field) == getattr(old, field)
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert old.name in card
    assert f"licence of the model: {old.licence}" in card
    for name in ("README.md", "LICENSE"):
        assert (tmp_path / "out" / f"MODEL_{name}").read_bytes() == (folder / name).read_bytes()
    files = {path.name for path in (tmp_path / "out").iterdir()}
    assert not {name for name in files if "text" in name or "tokenizer" in name}


def test_a_bundle_can_be_made_of_a_bundle(bundles: dict[str, Path], tmp_path: Path) -> None:
    some = {"surfaces": LISTS["surfaces"][:3]}
    with Clip(bundles["q8"]) as clip:
        clip.bundle(tmp_path / "out", some)
        wanted = clip.encode_texts(some["surfaces"])
    with Clip(tmp_path / "out") as clip:
        assert np.array_equal(clip.encode_texts(some["surfaces"]), wanted)
        with pytest.raises(PhraseListError):
            clip.encode_texts(LISTS["surfaces"])


@pytest.mark.parametrize(
    ("lists", "said"),
    [
        ({}, "no phrase list is given; pass a dict of name -> phrases that has one"),
        ({"seas": ["a calm sea"], "a": []}, "the phrase list 'a' is empty; add a phrase to it"),
        ({"": ["x"]}, "a phrase list should be named by a text, not by ''"),
        ({" ": ["x"]}, "a phrase list should be named by a text, not by ' '"),
        ({1: ["x"]}, "a phrase list should be named by a text, not by 1"),
    ],
)
def test_lists_that_cannot_be_asked_for_are_refused(
    lists: dict[str, list[str]], said: str, tmp_path: Path
) -> None:
    with Clip("demo", store=False) as clip:
        for make in (clip.bundle, clip.save_phrases):
            with pytest.raises(PhraseListError) as caught:
                make(tmp_path / "new" / "out", lists)
            assert str(caught.value) == said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("there", ["a file", "a full folder"])
def test_what_is_there_is_not_overwritten(there: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    kept = out if there == "a file" else out / "kept.txt"
    kept.parent.mkdir(exist_ok=True)
    kept.write_text("mine", encoding="utf-8")
    with Clip("demo") as clip, pytest.raises(ModelError, match="name a new or an empty folder"):
        clip.bundle(out, LISTS)
    assert kept.read_text(encoding="utf-8") == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_an_empty_folder_and_one_whose_parents_are_missing_are_taken(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for out in (tmp_path / "empty", tmp_path / "a" / "b"):
        with Clip("demo", "q4") as clip:
            clip.bundle(out, LISTS)
        Clip(out).close()


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(bundle.shutil, "copyfile", full)
    with Clip("demo") as clip, pytest.raises(ModelError, match=r"cannot be written \(No space"):
        clip.bundle(tmp_path / "out", LISTS)
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_is_stopped_leaves_nothing_behind(tmp_path: Path) -> None:
    def stop(*_: int) -> None:
        raise KeyboardInterrupt

    with Clip("demo", store=False) as clip, pytest.raises(KeyboardInterrupt):
        clip.bundle(tmp_path / "out", LISTS, encoding=stop)
    assert list(tmp_path.iterdir()) == []


@given(data=st.data())
@settings(max_examples=25)
def test_a_bundle_that_was_altered_is_refused(
    data: st.DataObject, bundles: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Any bit of its graph and its vectors."""
    folder = shutil.copytree(bundles["q4"], tmp_path_factory.mktemp("altered") / "bundle")
    name = data.draw(st.sampled_from(["phrases.safetensors", "vision_model_q4.onnx"]))
    content = bytearray((folder / name).read_bytes())
    if data.draw(st.booleans()):
        content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    else:
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    (folder / name).write_bytes(content)
    with pytest.raises(ModelError) as caught:
        Clip(folder)
    assert str(caught.value).startswith(f"{folder / name}: this file of the model ")
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda data: data["variants"]["fp32"].pop("phrases"), "no field 'phrases'"),
        (
            lambda data: data["variants"]["fp32"].update(text=data["variants"]["fp32"]["vision"]),
            "there is a text tower, and no tokenizer for it",
        ),
        (lambda data: data.update(embedding_dim=64), r"not F32 \[3, 19, 64\]"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(
    change: Callable[[dict[str, dict[str, dict[str, object]]]], object],
    said: str,
    bundles: dict[str, Path],
    tmp_path: Path,
) -> None:
    folder = shutil.copytree(bundles["fp32"], tmp_path / "bundle")
    data = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    change(data)
    (folder / "manifest.json").write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(ModelError, match=said):
        Clip(folder)


def test_vectors_that_are_missing_are_named(bundles: dict[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(bundles["fp32"], tmp_path / "bundle")
    (folder / "phrases.safetensors").unlink()
    with pytest.raises(ModelError, match=r"phrases\.safetensors: this file of the model is missin"):
        Clip(folder)


def test_the_neutral_mean_of_other_preprocessing_is_not_used(
    bundles: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from clip_gaze.pictures import encoder

    with Clip(bundles["q4"]) as clip:
        wanted = clip.bias(LISTS["surfaces"])
    seen = []
    neutral = encoder.ImageEncoder.neutral
    monkeypatch.setattr(
        encoder.ImageEncoder, "neutral", lambda self: seen.append(1) or neutral(self)
    )
    with Clip(bundles["q4"]) as clip:
        clip.bias(LISTS["surfaces"])
    assert seen == []
    monkeypatch.setattr(encoder, "PREPROCESSING", "another one")
    with Clip(bundles["q4"]) as clip:
        assert clip.bias(LISTS["surfaces"]) == pytest.approx(wanted, abs=1e-4)
    assert seen == [1]


FRESH = """
import importlib.abc, json, os, sys

allowed = {"clip_gaze", "numpy", "onnxruntime", "PIL", *sys.stdlib_module_names}

class Hidden(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.split(".")[0] not in allowed:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Hidden())
for name in sys.modules.keys() - allowed:
    if name.split(".")[0] not in allowed and name != "__main__":
        del sys.modules[name]

import io
import numpy
from PIL import Image
from clip_gaze import Clip

path, out = sys.argv[1:]
with open(path, "rb") as file:
    content = file.read()
answers = []
with Clip(out) as clip, open(path, "rb") as file:
    lists = clip.lists
    for picture in (content, file, io.BytesIO(content), numpy.asarray(Image.open(path)), path):
        answers.append(clip.gaze(picture, lists, format_output=False))
    corrected = clip.gaze(content, lists, format_output=False, corrected=True)
    clip.see(content, lists["surfaces"][0], runs=20)
    clip.compare([content, content], lists)
print(json.dumps({"answers": answers, "corrected": corrected, "modules": sorted(sys.modules)}))
"""
NOT_NEEDED = {
    "click", "tqdm", "tokenizers", "huggingface_hub", "platformdirs", "sqlite3", "_sqlite3",
}  # fmt: skip


def test_it_needs_onnxruntime_numpy_and_pillow_alone(
    bundles: dict[str, Path], tmp_path: Path, picture: MakePicture
) -> None:
    """A fresh process in which every other package is hidden."""
    path = tmp_path / "picture.png"
    picture().save(path)
    found = answered([sys.executable, "-c", FRESH, str(path), str(bundles["q4"])])
    with Clip("demo", "q4") as clip:
        for corrected, got in ((False, found["answers"]), (True, [found["corrected"]])):
            wanted = clip.gaze(path, LISTS, format_output=False, corrected=corrected)
            assert all(same(each, wanted) for each in got)
    assert not NOT_NEEDED & set(found["modules"])


def answered(command: list[str]) -> dict[str, list[object]]:
    """Run a command, and return the JSON that it prints."""
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, list[object]] = json.loads(done.stdout)
    return found


def test_a_plain_process_loads_no_more(bundles: dict[str, Path]) -> None:
    """Where the other packages are installed, none of them is imported."""
    code = """
import json, sys
from clip_gaze import Clip
import numpy
with Clip(sys.argv[1]) as clip:
    clip.gaze(numpy.zeros((50, 40, 3), numpy.uint8), clip.lists)
print(json.dumps({"modules": sorted(sys.modules)}))
"""
    found = answered([sys.executable, "-c", code, str(bundles["q4"])])
    assert not NOT_NEEDED & set(found["modules"])
    assert "onnxruntime" in found["modules"]


@pytest.mark.full
def test_it_runs_where_nothing_else_is_installed(
    bundles: dict[str, Path], tmp_path: Path, picture: MakePicture
) -> None:
    """With four packages from the index, each without what it names beside itself."""
    picture().save(tmp_path / "picture.png")
    packages = ["numpy", "onnxruntime", "pillow", str(Path(__file__).parents[2])]
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target"]
    done = subprocess.run(
        [*pip, str(tmp_path / "fresh"), *packages], capture_output=True, text=True, check=False
    )
    if done.returncode and not os.environ.get("CI"):
        pytest.skip("pip reaches no index from here")
    assert done.returncode == 0, done.stderr
    code = f"import sys\nsys.path.insert(0, {str(tmp_path / 'fresh')!r})\n{FRESH}"
    words = [str(tmp_path / "picture.png"), str(bundles["q4"])]
    found = answered([sys.executable, "-I", "-S", "-c", code, *words])
    assert len(found["answers"]) == 5
    assert not NOT_NEEDED & set(found["modules"])
