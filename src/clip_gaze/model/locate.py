"""Where the files of a variant lie, and what was learned of them beside their manifest.

A published model's manifest may leave open to which commit it is pinned, and the digest of a
file. The Hub is asked once; its answer is recorded in the cache folder and binds from then on.
"""

from __future__ import annotations

import contextlib
import json
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from clip_gaze.errors import ModelError
from clip_gaze.model import hub, verify
from clip_gaze.system.files import whole
from clip_gaze.system.paths import cache_folder

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from clip_gaze.model.manifest import Manifest, ModelFile, Source
    from clip_gaze.model.registry import Model


@dataclass(frozen=True, slots=True)
class Place:
    """A file with all that is known of it, and where it lies or would lie.

    Attributes:
        file: of the manifest, with the size and SHA-256 that were recorded where it has none.
        path: None where the revision, and so the folder, is not known yet.

    """

    file: ModelFile
    path: Path | None

    @property
    def here(self) -> bool:
        """Whether there is such a file, right or wrong."""
        return self.path is not None and self.path.is_file()

    @property
    def right(self) -> bool:
        """Whether it is here and has the digest that it must have; hashed where need be."""
        try:
            self.check("")
        except ModelError:
            return False
        return self.file.sha256 is not None

    @property
    def verified(self) -> bool | None:
        """Whether it was found right when it was last hashed; None if not since it changed."""
        known = verify.known(self.path) if self.path and self.file.sha256 else None
        return None if known is None else known == self.file.sha256

    def check(self, advice: str, *, stamped: bool = True) -> tuple[Path, str]:
        """Return path and SHA-256 of the file, after making sure that it is the right one.

        Raises:
            ModelError: it is missing or wrong; the message ends with `advice`.

        """
        if self.path is None:
            msg = f"{self.file.file}: it is not known yet where this file lies; {advice}"
            raise ModelError(msg)
        size, digest = self.file.bytes, self.file.sha256
        return self.path, verify.check(self.path, size, digest, stamped=stamped, advice=advice)


def locate(model: Model, variant: str | None = None) -> tuple[str, dict[str, Place]]:
    """Return a variant's name and its files by role, wherever they lie; nothing is checked.

    Raises:
        ModelError: the model has no such variant.

    """
    manifest = model.manifest
    name, _ = manifest.variant(variant)
    files = manifest.files(name)
    if not manifest.download:
        return name, {role: Place(file, model.folder / file.file) for role, file in files.items()}
    known = read_record(manifest)
    folder = known.revision and hub.snapshot(manifest.source.repository, known.revision)
    return name, {
        role: Place(known.complete(file), folder / file.file if folder else None)
        for role, file in files.items()
    }


def pinned(manifest: Manifest) -> Source:
    """Return a model's source with the commit that it is pinned to, as far as that is known."""
    known = read_record(manifest).revision if manifest.download else manifest.source.revision
    return replace(manifest.source, revision=known)


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of a repository beside the manifest.

    Attributes:
        revision: the commit that the model is pinned to; None until it was resolved.
        files: size and SHA-256 by file name, for files of which the manifest lacks them.

    """

    revision: str | None
    files: Mapping[str, tuple[int, str]] = field(default_factory=dict)

    def complete(self, file: ModelFile) -> ModelFile:
        """Return a manifest's file with what is recorded of it; what the manifest says stands."""
        size, digest = self.files.get(file.file, (None, None))
        return replace(
            file,
            bytes=size if file.bytes is None else file.bytes,
            sha256=digest if file.sha256 is None else file.sha256,
        )

    def learn(self, file: str, size: int, digest: str) -> Record:
        """Return the record with one more file."""
        return replace(self, files={**self.files, file: (size, digest)})


def record_path(manifest: Manifest) -> Path:
    """Return where the record of a model lies, or would lie."""
    name = re.sub(r"[^A-Za-z0-9.-]+", "--", manifest.source.repository)
    return cache_folder() / "pinned" / f"{name}.json"


def read_record(manifest: Manifest) -> Record:
    """Return what is recorded of a model; a record of another revision does not count."""
    pinned = manifest.source.revision if hub.is_commit(manifest.source.revision) else None
    try:
        data: Any = json.loads(record_path(manifest).read_text(encoding="utf-8"))
        record = Record(
            data["revision"],
            {name: (int(f["bytes"]), str(f["sha256"])) for name, f in data["files"].items()},
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return Record(pinned)
    if not hub.is_commit(record.revision) or pinned not in (None, record.revision):
        return Record(pinned)
    return record


def write_record(manifest: Manifest, record: Record) -> None:
    """Write a record whole or not at all; then the Hub is asked again next time."""
    data = {
        "repository": manifest.source.repository,
        "revision": record.revision,
        "files": {
            name: {"bytes": size, "sha256": digest} for name, (size, digest) in record.files.items()
        },
    }
    target = record_path(manifest)
    with contextlib.suppress(OSError):
        target.parent.mkdir(parents=True, exist_ok=True)
        with whole(target) as part:
            part.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
