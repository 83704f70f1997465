"""Find the Hub's address, and its client's cache on this machine."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from clip_gaze.system.paths import expanded

if TYPE_CHECKING:
    from pathlib import Path


def host() -> str:
    """Return the address of the Hub that is asked: HF_ENDPOINT, or huggingface.co."""
    return (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


def is_offline() -> bool:
    """Return whether the environment forbids to ask the Hub."""
    value = os.environ.get("HF_HUB_OFFLINE") or os.environ.get("TRANSFORMERS_OFFLINE") or ""
    return value.upper() in {"1", "ON", "YES", "TRUE"}


def cache_folder() -> Path:
    """Return the Hub's cache as huggingface_hub finds it, without importing that.

    Raises:
        GazeError: as `paths.expanded`.

    """
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join("~", ".cache")  # noqa: PTH118 - unexpanded
    folder = (
        os.environ.get("HF_HUB_CACHE")
        or os.environ.get("HUGGINGFACE_HUB_CACHE")
        or os.path.join(os.environ.get("HF_HOME") or os.path.join(home, "huggingface"), "hub")  # noqa: PTH118
    )
    return expanded(os.path.expandvars(folder))


def snapshot(repository: str, revision: str) -> Path:
    """Return the folder where the files of a repository's revision lie, or would lie."""
    return folder(repository) / "snapshots" / revision


def folder(repository: str) -> Path:
    """Return the folder of a repository in the Hub's cache."""
    return cache_folder() / ("models--" + repository.replace("/", "--"))
