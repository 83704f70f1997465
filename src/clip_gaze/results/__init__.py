"""Frozen values that `Clip` returns; JSON is made of them by `asdict`.

May import late. A module is loaded when one of its names is
first asked for, since most runs need few of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from clip_gaze.late import names, shown

if TYPE_CHECKING:
    from clip_gaze.results.comparisons import Change, Compared, Comparison
    from clip_gaze.results.maps import HeatMap, Question
    from clip_gaze.results.prompts import PromptLine, PromptPart
    from clip_gaze.results.scores import (
        Bias,
        CorrectedScore,
        FavouredPhrase,
        PhraseScore,
        PictureResult,
        Score,
    )
    from clip_gaze.results.searches import Alike, Duplicates, Hit, Search, Term, Unread

__all__ = [
    "Alike",
    "Bias",
    "Change",
    "Compared",
    "Comparison",
    "CorrectedScore",
    "Duplicates",
    "FavouredPhrase",
    "HeatMap",
    "Hit",
    "PhraseScore",
    "PictureResult",
    "PromptLine",
    "PromptPart",
    "Question",
    "Score",
    "Search",
    "Term",
    "Unread",
]

__getattr__ = names(
    __name__,
    {
        **dict.fromkeys(("Change", "Compared", "Comparison"), "comparisons"),
        **dict.fromkeys(("HeatMap", "Question"), "maps"),
        **dict.fromkeys(("PromptLine", "PromptPart"), "prompts"),
        **dict.fromkeys(("Alike", "Duplicates", "Hit", "Search", "Term", "Unread"), "searches"),
        **dict.fromkeys(
            ("Bias", "CorrectedScore", "FavouredPhrase", "PhraseScore", "PictureResult", "Score"),
            "scores",
        ),
    },
)
__dir__ = shown(__name__)
