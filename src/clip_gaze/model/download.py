"""From a model and a variant to verified files on disk, fetched from the Hub where need be."""

from __future__ import annotations

import logging
import shutil
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from clip_gaze.errors import DownloadError, ModelError
from clip_gaze.model import fetch, hub, verify
from clip_gaze.model import manifest as manifests
from clip_gaze.model.locate import Place, locate, pinned, read_record, record_path, write_record
from clip_gaze.model.manifest import ModelFile, Variant
from clip_gaze.model.registry import MANIFEST
from clip_gaze.system.files import whole

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clip_gaze.model.manifest import Manifest
    from clip_gaze.model.registry import Model

logger = logging.getLogger(__name__)

_BRANCH = "main"


@dataclass(frozen=True, slots=True)
class Files:
    """The verified files of one variant, by the roles of `Manifest.files`."""

    variant: str
    paths: dict[str, Path]
    digests: dict[str, str]

    def digest(self, tower: str) -> str:
        """Return what tells a tower ("vision" or "text") from all others: its files' digests."""
        roles = (tower, f"{tower}_data")
        return "+".join(self.digests[role] for role in roles if role in self.digests)


def advice(model: Model) -> str:
    """Return what to do about a wrong file."""
    if not model.manifest.download:
        return "copy or export the model again"
    return f"`clip-gaze download {model.manifest.name}` fetches it again"


def ready(model: Model, variant: str | None = None, *, offline: bool = False) -> Files:
    """Return the files of a variant, after making sure that each is the right one.

    Where all files are here, nobody is asked for anything. What is missing or wrong is fetched
    from the Hub, if the manifest names a repository there.

    Args:
        model: from `clip_gaze.models.find`.
        variant: one of its variants; None: its default.
        offline: never touch the network, as HF_HUB_OFFLINE=1 does.

    Raises:
        ModelError: there is no such variant, or a file of a local folder is missing or wrong.
        DownloadError: files are missing or wrong, and cannot be fetched.

    """
    name, places = locate(model, variant)
    offline = offline or hub.is_offline()
    checked, absent = {}, {}
    for role, place in places.items():
        if model.manifest.download and not (place.here and place.file.sha256):
            absent[role] = place
            continue
        try:
            checked[role] = place.check(advice(model))
        except ModelError:
            if not model.manifest.download or offline:
                raise
            absent[role] = place
    if absent and offline:
        why = "--offline or HF_HUB_OFFLINE forbids to fetch it"
        raise _incomplete(model, name, why)
    if absent:
        try:
            with hub.quiet():
                fetched = _fetch(model.manifest, name, absent)
        except DownloadError as error:
            raise _incomplete(model, name, str(error)) from error
        checked |= {role: place.check(advice(model)) for role, place in fetched.items()}
    return Files(
        name,
        {role: checked[role][0] for role in places},
        {role: checked[role][1] for role in places},
    )


def copy(model: Model, variant: str | None, folder: Path) -> Files:
    """Make a folder of a variant, which `--model FOLDER` runs on any machine.

    A folder that has other variants of the same model keeps them, and its default.

    Raises:
        ModelError: as `ready`, or the folder has another model.
        DownloadError: as `ready`, or the folder cannot be written or has not enough room.

    """
    files = ready(model, variant)
    places = locate(model, files.variant)[1]
    source = pinned(model.manifest)
    older: dict[str, Variant] = {}
    default = files.variant
    if (folder / MANIFEST).exists():
        there = manifests.read(folder / MANIFEST)
        if (there.name, there.source) != (model.manifest.name, source):
            msg = f"{folder} has another model, {there.name}; choose an empty folder"
            raise ModelError(msg)
        older, default = dict(there.variants), there.default_variant
    entries = {
        role: ModelFile(
            # A stick needs no folders; no two files of a variant have the same name.
            PurePosixPath(place.file.file).name,
            files.paths[role].stat().st_size,
            files.digests[role],
            place.file.recipe,
        )
        for role, place in places.items()
    }
    towers = {role: entry for role, entry in entries.items() if role != "tokenizer"}
    made = replace(
        model.manifest,
        source=source,
        tokenizer=entries["tokenizer"],
        variants={**older, files.variant: Variant(**towers)},
        default_variant=default,
        download=False,
    )
    targets = {role: folder / entry.file for role, entry in entries.items()}
    new = [role for role in entries if not Place(entries[role], targets[role]).right]
    fetch.make_room(folder, sum(entries[role].bytes or 0 for role in new))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for role in new:
            with whole(targets[role]) as part:
                shutil.copyfile(files.paths[role], part)
            verify.check(targets[role], entries[role].bytes, entries[role].sha256, stamped=False)
        with whole(folder / MANIFEST) as part:
            part.write_text(manifests.to_json(made), encoding="utf-8")
    except OSError as error:
        where = error.filename2 or error.filename or folder
        msg = f"{where}: cannot be written ({error.strerror or error}); make room there"
        raise DownloadError(msg) from error
    return Files(files.variant, targets, files.digests)


def _fetch(manifest: Manifest, variant: str, places: Mapping[str, Place]) -> dict[str, Place]:
    """Fetch files that are missing, wrong or of unknown digest; return them with all known.

    What the manifest does not say of them is recorded.
    """
    repository = manifest.source.repository
    known = read_record(manifest)
    revision = known.revision or manifest.source.revision or _BRANCH
    offers = {}
    for role, place in places.items():
        offers[role] = hub.ask(repository, revision, place.file)
        revision = offers[role].commit
    if known.revision is None:
        known = replace(known, revision=revision)
        write_record(manifest, known)
        logger.warning(
            "%s: revision %s of %s is used from now on (%s)",
            manifest.name, revision, repository, record_path(manifest),
        )  # fmt: skip
    folder = hub.snapshot(repository, revision)
    sizes = {
        place.file.file: place.file.bytes or offers[role].bytes or 0
        for role, place in places.items()
        # One that is here and of unknown digest may well be right.
        if place.file.sha256 or not (folder / place.file.file).is_file()
    }
    had = sum(fetch.partial_size(repository, offer) for offer in offers.values())
    fetch.make_room(folder, sum(sizes.values()) - had)
    if sizes:
        logger.warning(
            "fetching %s (%s), %s%s, from %s/%s, revision %s: %s",
            manifest.name, variant, megabytes(sum(sizes.values())),
            f" of which {megabytes(had)} are here already" if had else "",
            hub.host(), repository, revision,
            ", ".join(f"{name} {megabytes(size)}" for name, size in sizes.items()),
        )  # fmt: skip
    for role, place in places.items():
        digest = fetch.fetch(repository, place.file, offers[role])
        if place.file.sha256 is None:
            size = (folder / place.file.file).stat().st_size
            known = known.learn(place.file.file, size, digest)
            write_record(manifest, known)
            logger.warning("%s: SHA-256 %s is held to from now on", place.file.file, digest)
    return {
        role: Place(known.complete(place.file), folder / place.file.file)
        for role, place in places.items()
    }


def megabytes(size: int) -> str:
    """Return a size in megabytes, for people."""
    return f"{size / 1e6:,.1f} MB"


def _incomplete(model: Model, variant: str, why: str) -> DownloadError:
    """Return the error for a model that is not complete here, with every way out of that."""
    name, source = model.manifest.name, pinned(model.manifest)
    places = locate(model, variant)[1].values()
    files = ", ".join(place.file.file for place in places if not place.right)
    copy_to = (
        f"copy them to {hub.snapshot(source.repository, source.revision)}, or "
        if source.revision
        else ""
    )
    return DownloadError(
        f"{name} ({variant}) is not complete here: {why}; missing or wrong: {files}; {copy_to}"
        f"run `clip-gaze download {name} --variant {variant} --to FOLDER` on another machine, "
        "bring FOLDER here and use --model FOLDER; or use --model demo"
    )
