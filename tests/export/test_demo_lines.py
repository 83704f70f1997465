"""The demo model's text tower learns lines, and goes back into its graph."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from clip_gaze import SURFACES, Clip
from clip_gaze.system.paths import shipped

ROOT = Path(__file__).parents[2]
TEXTS = [*SURFACES, "on wood oil paint medium", "a seascape, cubism movement, on glass, ink medium"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a copy of the demo model."""
    shutil.copytree(shipped("models") / "demo", tmp_path / "demo")
    return tmp_path / "demo"


def taught(folder: Path, steps: int) -> np.ndarray:
    """Return the vectors of some texts after so many steps."""
    script = ROOT / "export" / "demo_model.py"
    words = [sys.executable, str(script), "lines", str(folder), "--steps", str(steps)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with Clip(folder, "fp32", offline=True, store=False) as clip:
        return clip.encode_texts(TEXTS)


def test_without_a_step_nothing_changes(folder: Path) -> None:
    with Clip(folder, "fp32", offline=True, store=False) as clip:
        before = clip.encode_texts(TEXTS)
    np.testing.assert_allclose(taught(folder, 0), before, atol=1e-6)


def test_a_few_steps_change_the_graph_and_its_entry(folder: Path) -> None:
    with Clip(folder, "fp32", offline=True, store=False) as clip:
        before = clip.encode_texts(TEXTS)
    after = taught(folder, 3)  # opens it: the manifest's digest is that of the new file
    assert not np.allclose(before, after, atol=1e-4)
    assert (before * after).sum(axis=1).min() > 0.5
