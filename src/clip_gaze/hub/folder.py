"""Make a model folder, which runs on any machine without a network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from clip_gaze.errors import DownloadError, ModelError
from clip_gaze.hub import fetch
from clip_gaze.hub.download import ready
from clip_gaze.hub.locate import LocalFile
from clip_gaze.model import manifest as manifests
from clip_gaze.model import manifest_file, pins, verify
from clip_gaze.model.registry import MANIFEST
from clip_gaze.model.verify import Files
from clip_gaze.system.files import whole

if TYPE_CHECKING:
    from pathlib import Path

    from clip_gaze.model.manifest import Manifest, ModelFile
    from clip_gaze.model.registry import Model


def copy(model: Model, variant: str | None, folder: Path) -> Files:
    """Copy a variant to a folder of its own, or to one that has other variants of the same model.

    Raises:
        ModelError: as `ready`, or the folder has something else in it.
        DownloadError: as `ready`, or the folder cannot be written or has not enough room.

    """
    files = ready(model, variant)
    manifest = pins.pinned(model.manifest)
    listed = manifest.files(files.variant)
    names = {role: PurePosixPath(file.file).name for role, file in listed.items()}
    # A stick needs no folders, but for files of the same name.
    flat = len(set(names.values())) == len(names)
    entries = {
        role: files.entry(role, file, names[role] if flat else file.file)
        for role, file in listed.items()
    }
    graphs = {role: file for role, file in entries.items() if role != "tokenizer"}
    made = replace(
        manifest,
        tokenizer=entries.get("tokenizer"),
        variants={files.variant: manifest.variants[files.variant].with_files(graphs)},
        default_variant=files.variant,
        download=False,
    )
    targets = {role: folder / entry.file for role, entry in entries.items()}
    new = [role for role in entries if not LocalFile(entries[role], targets[role]).right]
    target = folder
    try:
        made = _joined(made, folder, {targets[role] for role in entries if role not in new})
        fetch.make_room(folder, sum(entries[role].bytes or 0 for role in new))
        for role in new:
            target = targets[role]
            verify.copy(files.paths[role], target, entries[role])
        target = folder / MANIFEST
        with whole(target) as part:
            part.write_text(manifests.to_json(made), encoding="utf-8")
    except OSError as error:
        msg = (
            f"{target}: cannot be written ({error.strerror or error}); make room there, or choose "
            "another folder"
        )
        raise DownloadError(msg) from error
    return Files(files.variant, targets, files.digests)


def _joined(made: Manifest, folder: Path, right: set[Path]) -> Manifest:
    """Return the manifest of a folder with one more variant; the folder keeps its default.

    `right` has the files of `made` that an earlier try has left there. Where something else would
    be overwritten, a ModelError is raised.
    """
    if not (folder / MANIFEST).exists():
        if folder.exists() and set(folder.iterdir()) - right:
            msg = f"{folder} is neither empty nor a model folder; choose a new or an empty one"
            raise ModelError(msg)
        return made
    there = manifest_file.read(folder / MANIFEST)
    if there.download or (there.name, there.source, _digest(there.tokenizer)) != (
        made.name, made.source, _digest(made.tokenizer),
    ):  # fmt: skip
        msg = f"{folder} has another model, {there.name}; choose a new or an empty folder"
        raise ModelError(msg)
    others = {name: each for name, each in there.variants.items() if name not in made.variants}
    taken = {file.file: file for each in others.values() for file in each.files().values()}
    for file in made.files().values():
        if taken.get(file.file, file).sha256 != file.sha256:
            msg = f"{folder}: {file.file} is of another variant there; choose another folder"
            raise ModelError(msg)
    variants = {**there.variants, **made.variants}
    return replace(made, variants=variants, default_variant=there.default_variant)


def _digest(file: ModelFile | None) -> str | None:
    return None if file is None else file.sha256
