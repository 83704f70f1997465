"""The demo model's commands refuse what they cannot do before they begin."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

import demo_model
from clip_gaze.errors import GazeError

SCRIPT = Path(__file__).parents[2] / "export" / "demo_model.py"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("paint out --count 0", "0 is not in the range"),
        ("paint out --seed -1", "-1 is not in the range"),
        ("paint out --size 2", "2 is not in the range"),
        ("paint out --sheet nowhere/sheet.png", "no folder nowhere"),
        ("paint out --sheet sheet.txt", "is no name of a picture"),
        ("paint file", "is a file"),
        ("train out --pictures 100", "100 is not in the range"),
        ("train out --epochs 0", "0 is not in the range"),
        ("train out --first -5", "-5 is not in the range"),
        ("train out --rate -1", "-1.0 is not in the range"),
        ("train out --start nowhere", "nowhere: transformers cannot load"),
        ("evaluate --pictures 0", "0 is not in the range"),
        ("evaluate --seed -2000", "-2000 is not in the range"),
        ("evaluate --model nowhere", "no model is called 'nowhere'"),
        ("evaluate --variant q5", "has no variant 'q5'"),
        ("maps --pictures 0", "0 is not in the range"),
        ("maps --runs 1", "1 runs are too few"),
        ("draw", "No such command 'draw'"),
    ],
)
def test_bad_input_is_refused(
    words: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    with pytest.raises((click.ClickException, GazeError), match=message):
        demo_model.Commands().main(words.split(), standalone_mode=False)
    assert not Path("out").exists()


def test_only_a_whole_checkpoint_of_the_right_size_is_trained_on(
    tiny_checkpoint: Path, tmp_path: Path
) -> None:
    from safetensors.torch import load_file, save_file

    words = ["train", str(tmp_path / "out"), "--start"]
    with pytest.raises(GazeError, match="another size than the demo model's 96 pixels"):
        demo_model.Commands().main([*words, str(tiny_checkpoint)], standalone_mode=False)
    part = shutil.copytree(tiny_checkpoint, tmp_path / "part")
    weights = load_file(part / "model.safetensors")
    del weights["logit_scale"]
    save_file(weights, part / "model.safetensors", {"format": "pt"})
    with pytest.raises(GazeError, match="lacks weights: logit_scale"):
        demo_model.Commands().main([*words, str(part)], standalone_mode=False)


def test_a_failure_is_one_line() -> None:
    command = [sys.executable, str(SCRIPT), "evaluate", "--model", "nowhere"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("demo_model.py: error: no model is called 'nowhere'")
    assert len(done.stderr.splitlines()) == 1
