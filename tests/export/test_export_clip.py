"""Bad input of the export script is one line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "export" / "export_clip.py"


def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["/nope", "out"], "/nope: transformers cannot load this checkpoint"),
        (["/nope", "out", "--variants", "q5"], "unknown: q5; choose from fp32, q8, q4"),
        (["/nope", "file"], "is a file"),
        (["broken", "out"], "broken: transformers cannot load this checkpoint"),
        (["/nope"], "Missing argument 'OUT'"),
    ],
)
def test_bad_input_is_one_line(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    Path("broken").mkdir()
    Path("broken", "config.json").write_text("{", encoding="utf-8")
    done = run(*words)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.startswith("export_clip.py: error: ")
    assert len(done.stderr.splitlines()) == 1
    assert not Path("out").exists()


def test_weights_that_are_no_numbers_are_refused(tiny_checkpoint: Path, tmp_path: Path) -> None:
    import torch
    from transformers import CLIPImageProcessorPil, CLIPModel, CLIPTokenizer

    model = CLIPModel.from_pretrained(tiny_checkpoint)
    with torch.no_grad():
        model.visual_projection.weight[0, 0] = float("nan")
    for each in (
        model,
        CLIPImageProcessorPil.from_pretrained(tiny_checkpoint),
        CLIPTokenizer.from_pretrained(tiny_checkpoint),
    ):
        each.save_pretrained(tmp_path / "checkpoint")
    done = run(tmp_path / "checkpoint", tmp_path / "out")
    assert done.returncode == 2
    assert "checkpoint: gives vectors that are not finite numbers" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
