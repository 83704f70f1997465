"""Heat maps for what a result says first of each list."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clip_gaze.analysis.heatmap import Question

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from clip_gaze.analysis.occlusion import Progress
    from clip_gaze.clip import Clip
    from clip_gaze.results import HeatMap, PictureResult


def of_first(
    clip: Clip,
    result: PictureResult,
    lists: Mapping[str, Sequence[str]],
    runs: int,
    progress: Progress | None = None,
) -> list[HeatMap]:
    """Return where a picture speaks for the phrase that comes first in each list.

    Args:
        clip: the model that the result is from.
        result: of a picture file that could be read.
        lists: all phrases of each list of the result.
        runs: how many versions of the picture may be looked at, at least 20.
        progress: called with (done, runs).

    Returns:
        A map for each list, in their order; none for a list of a single phrase, which has nothing
        to be weighed against.

    Raises:
        PictureError: the file can no longer be read.

    """
    asked = [
        Question(scores[0].phrase, name, tuple(dict.fromkeys(lists[name])))
        for name, scores in result.lists.items()
        if scores and len(set(lists[name])) > 1
    ]
    return clip.heat_maps(
        result.image, asked, runs=runs, corrected=result.corrected, progress=progress
    )
