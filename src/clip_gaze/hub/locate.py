"""Find where the files of a variant lie, and check them."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from clip_gaze.errors import ModelError
from clip_gaze.hub import address
from clip_gaze.model import pins, verify

if TYPE_CHECKING:
    from clip_gaze.model.manifest import ModelFile
    from clip_gaze.model.registry import Model


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file of a model, and where it lies or would lie on this machine.

    Attributes:
        file: what the manifest says of it.
        path: None where the commit, and so the folder, is not known yet.
        advice: what to do if it is missing or wrong.

    """

    file: ModelFile
    path: Path | None
    advice: str = ""

    @property
    def here(self) -> bool:
        """Whether there is such a file, right or wrong."""
        return self.path is not None and os.path.isfile(self.path)  # noqa: PTH113 - never raises

    @property
    def right(self) -> bool:
        """Whether it is here and has the digest that it must have; hashed where need be."""
        try:
            self.check()
        except ModelError:
            return False
        return self.file.sha256 is not None

    @property
    def verified(self) -> bool | None:
        """Whether it was found right when it was last hashed; None if not since it changed."""
        known = verify.known(self.path) if self.path and self.file.sha256 else None
        return None if known is None else known == self.file.sha256

    def check(self, *, stamped: bool = True) -> tuple[Path, str]:
        """Return path and SHA-256 of the file, after making sure that it is the right one.

        Args:
            stamped: whether it need not be hashed if it has not changed since it last was.

        Raises:
            ModelError: it is missing or wrong.

        """
        if self.path is None or not self.here:
            msg = f"{self.path or self.file.file}: this file of the model is missing; {self.advice}"
            raise ModelError(msg)
        size, digest = self.file.bytes, self.file.sha256
        return self.path, verify.check(self.path, size, digest, stamped=stamped, advice=self.advice)


def locate(model: Model, variant: str | None = None) -> dict[str, LocalFile]:
    """Return the files of a variant by role, wherever they lie; nothing is checked.

    Raises:
        ModelError: the model has no such variant.
        GazeError: nobody knows where the Hub's cache lies, see `paths.expanded`.

    """
    manifest, source = model.manifest, model.manifest.source
    folder: Path | None = model.folder
    advice = "copy or export the model again"
    if manifest.download:
        folder = (
            address.snapshot(source.repository, source.revision)
            if pins.is_commit(source.revision)
            else None
        )
        name, _ = manifest.variant(variant)
        option = "" if name == manifest.default_variant else f" --variant {name}"
        advice = f"`clip-gaze download {model.reference}{option}` fetches it again"
    return {
        role: LocalFile(*_known(file, folder / file.file if folder else None), advice)
        for role, file in manifest.files(variant).items()
    }


def _known(file: ModelFile, path: Path | None) -> tuple[ModelFile, Path | None]:
    """Return a file and its path, with the digest that the Hub reported for it, where it is known.

    The Hub's client keeps a file under that digest, and links to it from the snapshot.
    """
    if path is None or file.sha256 is not None:
        return file, path
    try:
        name = Path(os.readlink(path)).name  # noqa: PTH115 - may be no link
    except OSError:
        return file, path
    if re.fullmatch("[0-9a-f]{64}", name):
        file = replace(file, bytes=None, sha256=name)  # without a digest, a size was a hint
    return file, path
