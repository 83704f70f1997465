"""The functions of clip-gaze 0.3.0 behave as they did there."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

import clip_gaze
from clip_gaze import gaze as _function
from clip_gaze.texts.phrases import load

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    MakePicture = Callable[..., Image.Image]

# What a user of clip-gaze 0.3.0 runs, in a process of its own: the package has our name. Only
# the checkpoint's name is replaced, since the real weights cannot be fetched.
ORIGINAL = """
import json, pathlib, sys, types
checkpoint, folder = sys.argv[1:3]
import transformers
for kind in (transformers.CLIPModel, transformers.CLIPProcessor):
    load = kind.from_pretrained
    kind.from_pretrained = classmethod(lambda cls, name, load=load: load(checkpoint))
import clip_gaze
from PIL import Image
names = {name: getattr(clip_gaze, name) for name in sys.argv[3:]}
answers = {}
for path in sorted(pathlib.Path(folder).iterdir()):
    with Image.open(path) as image:
        image.load()
        if path.stem.startswith("rotated"):
            from PIL import ImageOps
            image = ImageOps.exif_transpose(image)
        answers[path.name] = {
            name: [clip_gaze.probabilities(image, prompts, device="cpu"),
                   clip_gaze.gaze(image, prompts, device="cpu", only_show_best=7)
                   if len(prompts) < 500 else None]
            for name, prompts in names.items()}
print(json.dumps(answers))
"""


def original_answers(package: Path, checkpoint: Path, pictures: Path, *names: str) -> dict:
    command = [sys.executable, "-c", ORIGINAL, str(checkpoint), str(pictures), *names]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(package), "PATH": "", "HF_HUB_OFFLINE": "1"},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def odd_pictures(folder: Path) -> Path:
    """Write pictures of odd sizes and modes to `folder`."""
    folder.mkdir()
    rng = np.random.default_rng(0)

    def noise(width: int, height: int, channels: int = 3) -> Image.Image:
        shape = (height, width, channels) if channels > 1 else (height, width)
        return Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8))

    noise(1, 1).save(folder / "1x1.png")
    noise(1, 4000).save(folder / "1x4000.png")
    noise(331, 77).save(folder / "plain.png")
    palette = noise(90, 120).quantize(64)
    palette.save(folder / "palette.png", transparency=3)
    noise(64, 48, 4).save(folder / "alpha.png")
    noise(83, 51).convert("CMYK").save(folder / "cmyk.jpg")
    exif = Image.Exif()
    exif[0x0112] = 6
    noise(120, 60).save(folder / "rotated.jpg", exif=exif)
    frames = [noise(40, 50).quantize(16) for _ in range(3)]
    frames[0].save(folder / "animated.gif", save_all=True, append_images=frames[1:])
    return folder


def differences(ours: list[tuple[str, float]], theirs: list[list]) -> float:
    assert [phrase for phrase, _ in ours] == [phrase for phrase, _ in theirs]
    return max(abs(a - b) for (_, a), (_, b) in zip(ours, theirs, strict=True))


def test_small_model_equals_the_original(
    original: Path, tiny_checkpoint: Path, tiny_model: Path, tmp_path: Path
) -> None:
    pictures = odd_pictures(tmp_path / "pictures")
    names = ("MOVEMENTS", "SURFACES")
    answers = original_answers(original, tiny_checkpoint, pictures, *names)
    for path in pictures.iterdir():
        for name in names:
            prompts = getattr(clip_gaze, name)
            theirs, best = answers[path.name][name]
            ours = clip_gaze.probabilities(path, prompts, model=tiny_model)
            assert differences(ours, theirs) <= 1e-5, path.name
            assert clip_gaze.gaze(path, prompts, 7, model=tiny_model) == best, path.name


@pytest.mark.full
def test_full_size_model_equals_the_original(
    original: Path, full_checkpoint: Path, full_model: Path, tmp_path: Path
) -> None:
    pictures = odd_pictures(tmp_path / "pictures")
    name = "ARTISTS_BY_TRAINING_PREVALENCE"
    answers = original_answers(original, full_checkpoint, pictures, name)
    furthest = {}
    for path in pictures.iterdir():
        ours = clip_gaze.probabilities(path, clip_gaze.__getattr__(name), model=full_model)
        furthest[path.name] = differences(ours, answers[path.name][name][0])
    assert len(furthest) == 8
    assert max(furthest.values()) <= 1e-5, furthest


def test_a_list_gives_a_list_best_first(tiny_model: Path, picture: MakePicture) -> None:
    prompts = list(load("surfaces"))
    pairs = clip_gaze.gaze(picture(), prompts, None, format_output=False, model=tiny_model)
    assert sorted(phrase for phrase, _ in pairs) == sorted(prompts)
    assert [value for _, value in pairs] == sorted((v for _, v in pairs), reverse=True)
    assert sum(value for _, value in pairs) == pytest.approx(1, abs=1e-12)


def test_a_dict_gives_a_dict_with_a_softmax_for_each_list(
    tiny_model: Path, picture: MakePicture
) -> None:
    prompts = {"surface": list(load("surfaces")), "tool": list(load("tools"))}
    answer = clip_gaze.gaze(picture(), prompts, 0, format_output=False, model=tiny_model)
    assert isinstance(answer, dict)
    assert list(answer) == ["surface", "tool"]
    for pairs in answer.values():
        assert sum(value for _, value in pairs) == pytest.approx(1, abs=1e-12)


def test_five_are_shown_with_whole_per_cents(tiny_model: Path, picture: MakePicture) -> None:
    shown = clip_gaze.gaze(picture(), list(load("surfaces")), model=tiny_model)
    assert len(shown) == 5
    assert all(line.endswith("%)") for line in shown)


def test_batch_size_changes_nothing(tiny_model: Path, picture: MakePicture) -> None:
    prompts = list(load("surfaces"))
    one = clip_gaze.probabilities(picture(), prompts, batch_size=3, model=tiny_model)
    assert one == clip_gaze.probabilities(picture(), prompts, model=tiny_model)


def test_a_phrase_that_stands_twice_is_scored_twice(tiny_model: Path, picture: MakePicture) -> None:
    (one, other) = clip_gaze.probabilities(picture(), ["on wood", "on wood"], model=tiny_model)
    assert one == other == ("on wood", 0.5)


CUDA = """
import sys, warnings
import clip_gaze
from PIL import Image
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    for ask in (clip_gaze.probabilities, clip_gaze.gaze):
        print(ask(Image.new("RGB", (9, 9)), ["on wood"], device="cuda", model=sys.argv[1]))
for each in caught:
    print(each.filename, each.message)
"""


def test_cuda_warns_once_and_runs_on_the_cpu(tiny_model: Path) -> None:
    command = [sys.executable, "-c", CUDA, str(tiny_model)]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=True)
    one, other, warned = done.stdout.splitlines()
    assert one == "[('on wood', 1.0)]"
    assert other == "['on wood (100%)']"
    assert warned == "<string> clip-gaze runs on the CPU alone; device is ignored"


def test_the_name_gaze_is_the_function_whatever_was_imported() -> None:
    import clip_gaze.gaze  # the module of the same name

    assert clip_gaze.gaze is _function
    assert callable(clip_gaze.gaze)
