"""Cover parts of a picture, and estimate what each place is worth to some score."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageFilter

from clip_gaze.analysis.defaults import FEWEST_RUNS, RUNS
from clip_gaze.errors import GazeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]
    Floats = NDArray[np.float64]
    # From (n, size, size, 3) to (n, q), the log-odds of q phrases.
    Score = Callable[[Pixels], Floats]
    Progress = Callable[[int, int], object]

CELLS = 16

# Edges of the windows, in edges of the square: everywhere, everywhere, where it is warm.
_COARSE, _MIDDLE, _FINE = 0.45, 0.3, 0.2
# Fine windows are chosen from a lattice of so many by so many, at least.
_CHOICE = 12
# The blur leaves colours and no shape; it is a part of the square's edge.
_BLUR = 0.2
# How far neighbouring places are alike, as a part of the square's edge.
_REACH = 0.15
# How much of a measured drop is put down to chance, beside what its window explains.
_CHANCE = 1.0
# Where several phrases share the fine windows, one that is nowhere warmer than this has no say.
_FAINT = 0.004
_PER_BATCH = 16


@dataclass(frozen=True, slots=True)
class Occlusion:
    """What covering a picture's parts does to q phrases.

    Attributes:
        log_odds: (q,) float64, of the uncovered picture.
        grids: (q, 16, 16) float64, what is lost of them when a cell is covered; all cells of a
            window together stand for what is lost when it is covered.
        runs: how many versions of the picture were looked at, the uncovered one among them.

    """

    log_odds: Floats
    grids: Floats
    runs: int


def occlude(
    pixels: Pixels, score: Score, *, runs: int = RUNS, progress: Progress | None = None
) -> Occlusion:
    """Cover windows of a picture, large ones first, and find out what each place is worth.

    Coarse windows cover all of it, then smaller ones do, then the smallest go where the others
    found most. From what was lost, the worth of a cell is the mean of a Gaussian process that is
    observed through windows: a drop is the sum over the cells of its window, plus chance, and
    neighbours are alike. Where nothing was lost it is 0.

    Args:
        pixels: (size, size, 3) uint8.
        score: returns the (n, q) log-odds of (n, size, size, 3) uint8.
        runs: how many versions of the picture may be looked at, at least 20.
        progress: called with (done, runs).

    Raises:
        GazeError: `runs` is less than 20.

    Source:
        Occlusion: Zeiler and Fergus (2014), "Visualizing and understanding convolutional
        networks", section 4.2. The estimate: Rasmussen and Williams (2006), "Gaussian processes
        for machine learning", equation 2.23, with sums of the function in place of its values.

    """
    if runs < FEWEST_RUNS:
        msg = f"{runs} runs are too few to tell places apart; allow at least {FEWEST_RUNS}"
        raise GazeError(msg)
    size = len(pixels)
    blurred = np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(_BLUR * size)))
    done = 0

    def lost(windows: list[_Window]) -> Floats:
        nonlocal done
        rows = []
        for at in range(0, len(windows), _PER_BATCH):
            batch = windows[at : at + _PER_BATCH]
            versions = np.stack([window.cover(pixels, blurred) for window in batch])
            rows.append(score(versions))
            done += len(batch)
            if progress is not None:
                progress(done, runs)
        return np.concatenate(rows)

    # An empty window covers nothing: the picture itself.
    (uncovered,) = lost([_Window(0, 0, 0)])
    windows = [
        *_lattice(size, _COARSE, math.isqrt(runs // 4)),
        *_lattice(size, _MIDDLE, math.isqrt(runs // 2)),
    ]
    drops = uncovered - lost(windows)
    choice = _lattice(size, _FINE, max(_CHOICE, math.isqrt(runs)))
    heat = _estimate(windows, drops, size)
    scale = np.maximum(heat.max(axis=1, keepdims=True), _FAINT)
    worth = (_coverage(choice, size) @ (heat / scale).T).max(axis=1)
    warmest = np.argsort(-worth, kind="stable")[: runs - 1 - len(windows)]
    fine = [choice[at] for at in sorted(warmest.tolist())]
    windows += fine
    drops = np.concatenate([drops, uncovered - lost(fine)])
    return Occlusion(uncovered, _estimate(windows, drops, size).reshape(-1, CELLS, CELLS), done)


@dataclass(frozen=True, slots=True)
class _Window:
    """A square part of the picture, in pixels."""

    left: int
    top: int
    edge: int

    def cover(self, pixels: Pixels, blurred: Pixels) -> Pixels:
        """Return a copy of the picture with the blurred one in this window."""
        covered: Pixels = pixels.copy()
        part = np.s_[self.top : self.top + self.edge, self.left : self.left + self.edge]
        covered[part] = blurred[part]
        return covered


def _lattice(size: int, edge: float, count: int) -> list[_Window]:
    """Return count x count windows, evenly spread, the outer ones at the picture's edges."""
    pixels = max(1, round(edge * size))
    starts = [round(start) for start in np.linspace(0, size - pixels, count).tolist()]
    return [_Window(left, top, pixels) for top in starts for left in starts]


def _coverage(windows: list[_Window], size: int) -> Floats:
    """Return how much of each cell each window covers, (windows, cells) from 0 to 1."""
    edges = np.linspace(0, size, CELLS + 1)

    def along(start: int, length: int) -> Floats:
        inside = np.clip(edges, start, start + length)
        return np.asarray(np.diff(inside) * (CELLS / size))

    return np.stack(
        [np.outer(along(w.top, w.edge), along(w.left, w.edge)).ravel() for w in windows]
    )


def _estimate(windows: list[_Window], drops: Floats, size: int) -> Floats:
    """Return the worth of each cell from (windows, q) drops, (q, cells)."""
    coverage = _coverage(windows, size)
    centres = (np.arange(CELLS) + 0.5) / CELLS
    alike = np.exp(-((centres[:, None] - centres[None]) ** 2) / (2 * _REACH**2))
    # Likeness in both directions is the product of the likeness in each.
    with_cells = coverage @ np.kron(alike, alike)
    between = with_cells @ coverage.T
    chance = _CHANCE * np.diag(between).mean() * np.eye(len(windows))
    return np.asarray((with_cells.T @ np.linalg.solve(between + chance, drops)).T)
