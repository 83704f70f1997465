"""Fixtures of the tests of datasets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from PIL import Image

COUNT = 20


@pytest.fixture
def scans(tmp_path: Path, picture: Callable[..., Image.Image]) -> Path:
    """Return a folder of pictures that differ, and of one that is none."""
    folder = tmp_path / "scans"
    (folder / "more").mkdir(parents=True)
    for seed in range(COUNT):
        picture(seed=seed).save(folder / ("more" if seed % 2 else "") / f"{seed:02}.png")
    (folder / "bad.png").write_text("no", encoding="utf-8")
    return folder
