"""Ask which art phrases CLIP finds most likely for a picture; on the CPU, without torch.

>>> import clip_gaze
>>> clip_gaze.SURFACES[:2]
['on architectural structures', 'on canvas']
"""

from typing import TYPE_CHECKING, Any

from clip_gaze.errors import (
    ClosedError,
    DownloadError,
    GazeError,
    ModelError,
    PhraseListError,
    PictureError,
)
from clip_gaze.gaze import gaze, probabilities
from clip_gaze.model.spec import ModelSpec
from clip_gaze.output.tables import to_frame
from clip_gaze.results import Comparison, CorrectedScore, HeatMap, PhraseScore, PictureResult
from clip_gaze.system.telemetry import switch_off as _switch_off
from clip_gaze.texts.phrases import load as _load

if TYPE_CHECKING:
    from clip_gaze.clip import Clip

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
    "DownloadError",
    "GazeError",
    "HeatMap",
    "ModelError",
    "ModelSpec",
    "PhraseListError",
    "PhraseScore",
    "PictureError",
    "PictureResult",
    "gaze",
    "probabilities",
    "to_frame",
]

# Here, since onnxruntime looks when it is imported, by us or by somebody else.
_switch_off()


def __getattr__(name: str) -> Any:
    """Read a list, or load the runtime, when it is first asked for; importing does neither."""
    if name == "Clip":
        from clip_gaze.clip import Clip  # noqa: PLC0415 - loads onnxruntime

        value: Any = Clip
    elif name == "EXAMPLE_CATEGORIES":
        value = {
            "artist": list(_load("artists_by_training_prevalence")[:200]),
            "movement": list(_load("movements")),
            "surface": list(_load("surfaces")),
        }
    elif name == "SCULTPURE_MATERIALS":  # so spelled in clip-gaze 0.3.0
        value = list(_load("sculpture_materials"))
    elif name.isupper() and name in __all__:
        value = list(_load(name.lower()))
    else:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    globals()[name] = value
    return value
