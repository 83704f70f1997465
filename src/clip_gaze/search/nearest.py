"""Search embeddings: the direction of a query, its cosines, groups of near-equal ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from clip_gaze.analysis.similarity import normalise
from clip_gaze.errors import GazeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]
    # Returns the (k, d) embeddings at k positions.
    Take = Callable[[NDArray[np.intp]], Vectors]

# Embeddings in one block: 8 MB where each has 512 numbers.
_PER_BLOCK = 4096
_ROWS = 512  # of embeddings that are compared with all others at once


def direction(plus: Vectors, minus: Vectors) -> Vectors:
    """Return where a query points: the sum of what is wanted less what is not, at length 1.

    Args:
        plus: (n, d) float32, L2-normalised.
        minus: (m, d) float32, L2-normalised.

    Returns:
        (d,) float32, L2-normalised.

    Raises:
        GazeError: there are none, or they cancel each other out.

    >>> direction(np.eye(2, dtype=np.float32), np.zeros((0, 2), np.float32)).round(3).tolist()
    [0.7070000171661377, 0.7070000171661377]

    """
    if not len(plus) + len(minus):
        msg = "the query is empty; say what to look for"
        raise GazeError(msg)
    total = plus.sum(axis=0, dtype=np.float64) - minus.sum(axis=0, dtype=np.float64)
    if np.linalg.norm(total) < 1e-6:
        msg = "the query cancels itself out; take away something else than it asks for"
        raise GazeError(msg)
    (found,) = normalise(total[None].astype(np.float32))
    return np.asarray(found)


def cosines(take: Take, count: int, wanted: Vectors) -> NDArray[np.float32]:
    """Return the cosine of each embedding with a direction, exactly, block by block.

    Args:
        take: returns embeddings by their positions, L2-normalised.
        count: how many there are.
        wanted: (d,) float32, L2-normalised.

    Returns:
        (count,) float32.

    """
    found = np.empty(count, np.float32)
    for at in range(0, count, _PER_BLOCK):
        positions = np.arange(at, min(at + _PER_BLOCK, count))
        found[positions] = take(positions) @ wanted
    return found


def groups(
    take: Take,
    count: int,
    threshold: float,
    progress: Callable[[int, int], object] | None = None,
) -> list[NDArray[np.intp]]:
    """Return groups of embeddings whose cosine with another one of the group is high enough.

    Args:
        take: see `cosines`.
        count: how many there are; time grows with its square.
        threshold: the least cosine.
        progress: called with (done, count).

    Returns:
        Positions of at least two embeddings each, in order; a group's first is where it begins.

    """
    group = np.arange(count)
    for start in range(0, count, _ROWS):
        rows = np.arange(start, min(start + _ROWS, count))
        some = take(rows)
        for at in range(start, count, _PER_BLOCK):
            columns = np.arange(at, min(at + _PER_BLOCK, count))
            near = some @ take(columns).T >= threshold
            near &= columns > rows[:, None]
            for row in np.flatnonzero(near.any(axis=1)):
                joined = np.unique(group[np.append(columns[near[row]], rows[row])])
                if len(joined) > 1:
                    group[np.isin(group, joined)] = joined[0]
        if progress is not None:
            progress(int(rows[-1]) + 1, count)
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    return [part for part in np.split(order, starts[1:]) if len(part) > 1] if count else []
