"""Made-up photographs, as large as a museum's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from pathlib import Path

SIZE = 2175, 1713
KINDS = 20


def paint_photographs(folder: Path, count: int) -> list[Path]:
    """Write `count` JPEGs of the size of a museum's reproduction, of a few kinds."""
    rng = np.random.default_rng(0)
    contents = []
    for kind in range(min(KINDS, count)):
        coarse = rng.integers(0, 256, (60 + 10 * kind, 80 + 10 * kind, 3), dtype=np.uint8)
        large = Image.fromarray(coarse).resize(SIZE, Image.Resampling.BICUBIC)
        grain = Image.effect_noise(SIZE, 20).convert("RGB")
        Image.blend(large, grain, 0.2).save(folder / "kind.jpg", quality=90)
        contents.append((folder / "kind.jpg").read_bytes())
    (folder / "kind.jpg").unlink()
    paths = [folder / f"{number:05}.jpg" for number in range(count)]
    for number, path in enumerate(paths):
        # Behind the end of a JPEG anything may stand: no two files have the same digest.
        path.write_bytes(contents[number % KINDS] + number.to_bytes(4, "big"))
    return paths
