"""Where things lie: the folders that ship with the package, and the user's cache folder."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def shipped(name: str) -> Path:
    """Return the folder `name` ("models" or "phrase_lists") that ships with the package.

    A wheel holds it beside the modules; an editable install finds it at the top of the checkout.
    """
    here = Path(__file__).resolve().parents[1]
    inside = here / name
    return inside if inside.is_dir() else here.parents[1] / name


def cache_folder() -> Path:
    """Return the folder for what can be computed again; CLIP_GAZE_CACHE overrides the platform's.

    The folder need not exist.
    """
    override = os.environ.get("CLIP_GAZE_CACHE")
    return (
        Path(override) if override else platformdirs.user_cache_path("clip-gaze", appauthor=False)
    )
