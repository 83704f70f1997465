"""Ask which art phrases CLIP finds most likely for a picture; on the CPU, without torch.

>>> import clip_gaze
>>> clip_gaze.SURFACES[:2]
['on architectural structures', 'on canvas']
"""

from clip_gaze.gaze import gaze, probabilities
from clip_gaze.system.telemetry import switch_off as _switch_off

TYPE_CHECKING = False  # what is imported here takes its time before a command can be stopped
if TYPE_CHECKING:
    from typing import Any

    from clip_gaze.clip import Clip
    from clip_gaze.datasets.dataset import Dataset
    from clip_gaze.datasets.embed import embed
    from clip_gaze.datasets.work import embed_rows
    from clip_gaze.errors import (
        ClosedError,
        DownloadError,
        GazeError,
        ModelError,
        PhraseListError,
        PictureError,
    )
    from clip_gaze.model.spec import ModelSpec
    from clip_gaze.output.tables import to_frame
    from clip_gaze.results import (
        Comparison,
        CorrectedScore,
        Duplicates,
        HeatMap,
        PhraseScore,
        PictureResult,
        PromptLine,
        Search,
    )

    ARTISTS_BY_NAME: list[str]
    ARTISTS_BY_TRAINING_PREVALENCE: list[str]
    EXAMPLE_CATEGORIES: dict[str, list[str]]
    GENRES: list[str]
    MOVEMENTS: list[str]
    PAINTING_MATERIALS: list[str]
    PERIODS: list[str]
    PHOTOGRAPHY: list[str]
    PRINTING_TECHNIQUES: list[str]
    QUALITIES: list[str]
    SCULPTURE_MATERIALS: list[str]
    SCULTPURE_MATERIALS: list[str]
    SITES: list[str]
    SURFACES: list[str]
    TOOLS: list[str]

__all__ = [
    "ARTISTS_BY_NAME",
    "ARTISTS_BY_TRAINING_PREVALENCE",
    "EXAMPLE_CATEGORIES",
    "GENRES",
    "MOVEMENTS",
    "PAINTING_MATERIALS",
    "PERIODS",
    "PHOTOGRAPHY",
    "PRINTING_TECHNIQUES",
    "QUALITIES",
    "SCULPTURE_MATERIALS",
    "SCULTPURE_MATERIALS",
    "SITES",
    "SURFACES",
    "TOOLS",
    "Clip",
    "ClosedError",
    "Comparison",
    "CorrectedScore",
    "Dataset",
    "DownloadError",
    "Duplicates",
    "GazeError",
    "HeatMap",
    "ModelError",
    "ModelSpec",
    "PhraseListError",
    "PhraseScore",
    "PictureError",
    "PictureResult",
    "PromptLine",
    "Search",
    "embed",
    "embed_rows",
    "gaze",
    "probabilities",
    "to_frame",
]

# Here, since onnxruntime looks when it is imported, by us or by somebody else.
_switch_off()


_MODULES = {
    "Clip": "clip",
    "Dataset": "datasets.dataset",
    "embed": "datasets.embed",
    "embed_rows": "datasets.work",
    "ModelSpec": "model.spec",
    "to_frame": "output.tables",
    **dict.fromkeys(
        (
            "Comparison",
            "CorrectedScore",
            "Duplicates",
            "HeatMap",
            "PhraseScore",
            "PictureResult",
            "PromptLine",
            "Search",
        ),
        "results",
    ),
    **dict.fromkeys((name for name in __all__ if name.endswith("Error")), "errors"),
}


def __getattr__(name: str) -> "Any":
    """Import a name, or read a list, when it is first asked for; importing does neither."""
    from clip_gaze.late import names as _names  # noqa: PLC0415 - nobody needs it until here

    if name in _MODULES or name not in __all__:
        value: Any = _names(__name__, _MODULES)(name)
    else:
        from clip_gaze.texts.phrases import load as _load  # noqa: PLC0415 - as above

        if name == "EXAMPLE_CATEGORIES":
            value = {
                "artist": list(_load("artists_by_training_prevalence")[:200]),
                "movement": list(_load("movements")),
                "surface": list(_load("surfaces")),
            }
        else:  # one is spelled wrong in clip-gaze 0.3.0
            value = list(_load(name.lower().replace("scultpure", "sculpture")))
    return globals().setdefault(name, value)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
