"""Tell a dataset from other folders and URLs; kept apart, since each question about files asks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from clip_gaze.system.storage import Folder, is_url

if TYPE_CHECKING:
    import os

# A file of a schema alone, as other writers of datasets have it; readers pass over its name.
ABOUT = "_common_metadata"


def is_dataset(place: str | os.PathLike[str]) -> bool:
    """Return whether a folder or URL holds a dataset."""
    url = str(place)
    if not is_url(url):
        return Path(url, ABOUT).is_file()
    if Path(url).suffix:  # a picture's, a list's
        return False
    return ABOUT in Folder(url)
