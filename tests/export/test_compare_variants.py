"""Variants are held against fp32, and the figures are those of a plain count."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from clip_gaze import Clip
from clip_gaze.texts import phrases
from demo.painter import paint

EXPORT = Path(__file__).parents[2] / "export"
PICTURES = 9  # one more than a batch


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with painted pictures and one that cannot be read."""
    folder = tmp_path_factory.mktemp("pictures")
    for seed in range(PICTURES):
        paint(20_000_000 + seed, 160).image.save(folder / f"{seed}.png")
    (folder / "broken.png").write_bytes(b"not a picture")
    return folder


def run(script: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(EXPORT / script), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def ranked(scores: list[tuple[str, float]]) -> list[str]:
    return [phrase for phrase, _ in sorted(scores, key=lambda each: -each[1])]


def test_the_figures_are_those_of_a_plain_count(pictures: Path, tmp_path: Path) -> None:
    answer = tmp_path / "answer.json"
    names = ["movements", "surfaces"]
    options = [word for name in names for word in ("--list", name)]
    done = run("compare_variants.py", "demo", pictures, *options, "--json", answer)
    assert done.returncode == 0, done.stderr
    assert "broken.png" in done.stderr
    found = json.loads(answer.read_text(encoding="utf-8"))
    assert (found["model"], found["pictures"]) == ("demo", PICTURES)
    paths = [pictures / f"{seed}.png" for seed in range(PICTURES)]
    said = {}
    vectors = {}
    for variant in found["variants"]:
        with Clip("demo", variant) as clip:
            vectors[variant] = clip.encode_images(paths)
            for name in names:
                said[variant, name] = [
                    clip.probabilities(path, phrases.load(name)) for path in paths
                ]
    for variant, row in found["variants"].items():
        cosine = [
            float(a @ b / np.sqrt((a @ a) * (b @ b)))
            for a, b in zip(
                vectors[variant].astype(float), vectors["fp32"].astype(float), strict=True
            )
        ]
        assert row["image_cosine"] == pytest.approx(sum(cosine) / PICTURES, abs=1e-6)
        assert row["image_cosine_least"] == pytest.approx(min(cosine), abs=1e-6)
        assert row["picture_ms"] > 0
        assert row["peak_bytes"] is None or 20e6 < row["peak_bytes"] < 1e9
        assert row["vector_change"] <= 1e-6
        for name in names:
            same = shared = 0
            difference = 0.0
            for ours, theirs in zip(said[variant, name], said["fp32", name], strict=True):
                first = ranked(theirs)[0]
                same += ranked(ours)[0] == first
                shared += len(set(ranked(ours)[:5]) & set(ranked(theirs)[:5]))
                difference += abs(dict(ours)[first] - dict(theirs)[first])
            stated = row["lists"][name]
            assert stated["top1"] == pytest.approx(same / PICTURES)
            assert stated["top5"] == pytest.approx(shared / (5 * PICTURES))
            assert stated["first_difference"] == pytest.approx(difference / PICTURES, abs=1e-6)
            assert stated["batch_change"] <= 1e-6
    for variant, row in found["variants"].items():
        assert any(
            line.split()[:2] == [variant, f"{row['bytes'] / 1e6:.1f}"]
            for line in done.stdout.splitlines()
        )


def test_a_made_up_case_is_counted_right() -> None:
    from variants.agreement import agreement

    wanted = np.array([[0.4, 0.3, 0.1, 0.1, 0.05, 0.05], [0.1, 0.5, 0.1, 0.1, 0.1, 0.1]])
    found = np.array([[0.3, 0.4, 0.1, 0.05, 0.05, 0.1], [0.1, 0.4, 0.2, 0.1, 0.1, 0.1]])
    batched = found + np.array([[0, 0, 0, 0, 0, 1e-5], [0, 0, 0, 0, 0, 0]])
    stated = agreement(wanted, found, batched)
    assert stated.top1 == 0.5
    # The first picture's five share all but the fifth place of equal ones; the second's are equal.
    assert stated.top5 == pytest.approx(0.9)
    assert stated.first_difference == pytest.approx(0.1)
    assert stated.batch_change == pytest.approx(1e-5)


def test_another_processor_is_held_against_this_one(pictures: Path, tmp_path: Path) -> None:
    from variants.agreement import elsewhere

    here = np.array([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2]])
    there = np.array([[0.5, 0.2, 0.3], [0.5, 0.3, 0.2]])
    stated = elsewhere(here, there)
    assert (stated.top1, stated.order) == (1.0, 0.5)
    assert stated.largest == pytest.approx(0.1)

    if shutil.which("env") is None:
        pytest.skip("this system has no env, which stands for an emulator here")
    answer = tmp_path / "answer.json"
    options = ["--list", "surfaces", "--json", answer, "--emulator", "env EMULATED=1"]
    done = run("compare_variants.py", "demo", pictures, *options)
    assert done.returncode == 0, done.stderr
    for row in json.loads(answer.read_text(encoding="utf-8"))["variants"].values():
        assert row["elsewhere"]["surfaces"] == {"top1": 1.0, "order": 1.0, "largest": 0.0}
    assert "on the other processor" in done.stdout


@pytest.mark.parametrize("script", ["compare_variants.py", "sweep_variants.py"])
def test_vectors_that_are_no_numbers_are_refused(
    script: str, tiny_model: Path, pictures: Path, tmp_path: Path
) -> None:
    broken = shutil.copytree(tiny_model, tmp_path / "broken")
    model = onnx.load(broken / "text_model.onnx")
    for tensor in model.graph.initializer:
        if len(tensor.dims) == 1 and tensor.data_type == onnx.TensorProto.FLOAT:
            nothing = np.full(tensor.dims, np.nan, np.float32)
            tensor.CopyFrom(onnx.numpy_helper.from_array(nothing, tensor.name))
    onnx.save(model, broken / "text_model.onnx")
    manifest = json.loads((broken / "manifest.json").read_text(encoding="utf-8"))
    content = (broken / "text_model.onnx").read_bytes()
    manifest["variants"]["fp32"]["text"] |= {
        "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest(),
    }  # fmt: skip
    (broken / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    done = run(script, broken, *([pictures, "--list", "surfaces"] if "compare" in script else []))
    assert done.returncode == 2
    assert re.search(r"text_model\.onnx: .* that are not finite", done.stderr)
    assert [line for line in done.stderr.splitlines() if not line.startswith("measuring")] == [
        done.stderr.splitlines()[-1]
    ]


def test_bad_input_is_one_line(pictures: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    broken = tmp_path / "broken"
    broken.mkdir()
    shutil.copy(pictures / "broken.png", broken)
    for words, message in (
        (["no-model", pictures, "--list", "movements"], "no model is called"),
        (["demo", empty, "--list", "movements"], "no picture in this folder"),
        (["demo", broken, "--list", "surfaces"], "none of 1 picture could be read"),
        (["demo", pictures, "--list", "movement"], "did you mean 'movements'"),
        (["demo", pictures], "Missing option '--list'"),
        (["demo", pictures, "--list", "surfaces", "--emulator", "no-emulator"], "cannot be run"),
        (["demo", pictures, "--list", "surfaces", "--emulator", ""], "cannot be run"),
        (["demo", pictures, "--list", "surfaces", "--emulator", '"x'], "is no command"),
        (["demo", pictures, "--list", "surfaces", "--json", "/nope/x.json"], "no folder /nope"),
        (["clip-vit-base-patch32", pictures, "--list", "surfaces"], "clip-gaze download --to"),
    ):
        done = run("compare_variants.py", *words)
        assert done.returncode == 2, done.stdout
        errors = [line for line in done.stderr.splitlines() if not line.startswith("measuring")]
        assert len(errors) == 1
        assert message in errors[0]
        # Only what is wrong with the pictures themselves is found by looking at them.
        assert broken in words or done.stderr.splitlines() == errors
