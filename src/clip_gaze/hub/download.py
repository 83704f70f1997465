"""Return the verified files of a variant, fetched from the Hub where need be."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from clip_gaze.errors import DownloadError, ModelError
from clip_gaze.hub import address
from clip_gaze.hub.locate import locate
from clip_gaze.model import pins
from clip_gaze.model.verify import Files
from clip_gaze.wording import megabytes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clip_gaze.model.manifest import Manifest, ModelFile
    from clip_gaze.model.registry import Model

logger = logging.getLogger(__name__)

_BRANCH = "main"


def ready(model: Model, variant: str | None = None, *, offline: bool = False) -> Files:
    """Return the files of a variant, after making sure that each is the right one.

    Where all files are here, nobody is asked for anything. What is missing or wrong is fetched
    from the Hub, if the manifest names a repository there.

    Args:
        model: from `registry.find`.
        variant: one of its variants; None: its default.
        offline: never touch the network, as HF_HUB_OFFLINE=1 does.

    Raises:
        ModelError: there is no such variant, or a file of a local folder is missing or wrong.
        DownloadError: files are missing or wrong, and cannot be fetched.

    """
    name, _ = model.manifest.variant(variant)
    local = locate(model, name)
    offline = offline or address.is_offline()
    checked, absent = {}, {}
    for role, each in local.items():
        if model.manifest.download and not (each.here and each.file.sha256):
            absent[role] = each.file
            continue
        try:
            checked[role] = each.check()
        except ModelError:
            if not model.manifest.download or offline:
                raise
            absent[role] = each.file
    if absent:
        if offline:
            raise _incomplete(model, name, "--offline or HF_HUB_OFFLINE forbids to fetch it")
        try:
            complete = replace(model, manifest=_fetch(model.manifest, name, absent))
        except DownloadError as error:
            raise _incomplete(model, name, str(error)) from error
        local = locate(complete, name)
        checked |= {role: local[role].check() for role in absent}
    return Files(
        name,
        {role: checked[role][0] for role in local},
        {role: checked[role][1] for role in local},
    )


def _fetch(manifest: Manifest, variant: str, absent: Mapping[str, ModelFile]) -> Manifest:
    """Fetch files that are missing, wrong or of unknown digest.

    Returns:
        The manifest, with what was learned from the Hub; that is recorded too.

    """
    from clip_gaze.hub import client, fetch  # noqa: PLC0415 - most runs fetch nothing

    repository = manifest.source.repository
    revision = manifest.source.revision or _BRANCH
    # The Hub's word goes for a size whose digest is not known.
    absent = {
        role: file if file.sha256 else replace(file, bytes=None) for role, file in absent.items()
    }
    remote = {}
    for role, file in absent.items():
        remote[role] = client.ask(repository, revision, file)
        revision = remote[role].commit
    if revision != manifest.source.revision:
        manifest = replace(manifest, source=replace(manifest.source, revision=revision))
        pins.write(manifest)
        logger.warning(
            "%s: revision %s of %s is used from now on (%s)",
            manifest.name, revision, repository, pins.record(manifest),
        )  # fmt: skip
    folder = address.snapshot(repository, revision)
    sizes = {
        file.file: file.bytes or remote[role].bytes or 0
        for role, file in absent.items()
        # One that is here and of unknown digest may well be right.
        if file.sha256 or not (folder / file.file).is_file()
    }
    had = sum(fetch.partial_size(repository, each) for each in remote.values())
    fetch.make_room(folder, sum(sizes.values()) - had)
    if sizes:
        logger.warning(
            "fetching %s (%s), %s%s, from %s/%s, revision %s: %s",
            manifest.name, variant, megabytes(sum(sizes.values())),
            f" of which {megabytes(had)} are here already" if had else "",
            address.host(), repository, revision,
            ", ".join(f"{name} {megabytes(size)}" for name, size in sizes.items()),
        )  # fmt: skip
    for role, file in absent.items():
        digest = fetch.fetch(repository, file, remote[role])
        if file.sha256 is None:
            size = (folder / file.file).stat().st_size
            manifest = manifest.with_files({file.file: replace(file, bytes=size, sha256=digest)})
            pins.write(manifest)
            logger.warning("%s: SHA-256 %s is held to from now on", file.file, digest)
    return manifest


def _incomplete(model: Model, variant: str, why: str) -> DownloadError:
    """Return the error for an incomplete model, which names every way to complete it."""
    manifest = pins.pinned(model.manifest)  # a download that broke may have learned the commit
    local = locate(replace(model, manifest=manifest), variant).values()
    files = ", ".join(each.file.file for each in local if not each.right)
    repository, revision = manifest.source.repository, manifest.source.revision
    command = f"clip-gaze download {model.reference} --variant {variant}"
    choices = [
        "to try things out: --model demo",
        f"with a network: `{command}`",
        f"without one: `{command} --to FOLDER` on another machine, and --model FOLDER here",
    ]
    # A file that is copied must be known by its digest.
    if pins.is_commit(revision) and all(each.file.sha256 for each in local):
        choices.append(f"or copy the files to {address.snapshot(repository, revision)}")
    choices.append(f"missing or wrong: {files}")
    return DownloadError(f"{manifest.name} ({variant}) is not complete here: {why}", *choices)
