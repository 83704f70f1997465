"""Find models by name or folder, and read their manifests."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from clip_gaze.errors import ModelError
from clip_gaze.model import manifest_file, pins
from clip_gaze.model.spec import DEFAULT
from clip_gaze.system.paths import for_shell, shipped
from clip_gaze.wording import meant

if TYPE_CHECKING:
    from clip_gaze.model.manifest import Manifest

MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True)
class Model:
    """A manifest, with what is pinned beside it, and the folder it was read from."""

    manifest: Manifest
    folder: Path

    @property
    def reference(self) -> str:
        """The model's name, or its folder quoted for a shell, to write in a command."""
        name = self.manifest.name
        return name if self.folder == shipped("models") / name else for_shell(str(self.folder))


def names() -> list[str]:
    """Return the names of the models that ship, whole or as a manifest, sorted."""
    return sorted(path.parent.name for path in shipped("models").glob(f"*/{MANIFEST}"))


def find(model: str | os.PathLike[str] | None = None) -> Model:
    """Return the model of that name, or in that folder.

    Args:
        model: a name from `names`, or a folder with a manifest.json; None: the default model.

    Raises:
        ModelError: there is no such model, or its manifest cannot be read.

    """
    wanted = DEFAULT if model is None else model
    if isinstance(wanted, str) and wanted in names():
        folder = shipped("models") / wanted
    else:
        folder = Path(wanted)
        # Path.is_dir raises where a name is too long for a file.
        if not os.path.isdir(folder):  # noqa: PTH112
            msg = (
                f"no model is called {str(wanted)!r}, and no folder either; "
                f"{meant(str(wanted), names())}"
                f"choose one of {', '.join(names())}, or a model folder"
            )
            raise ModelError(msg)
    return Model(pins.pinned(manifest_file.read(folder / MANIFEST)), folder)
