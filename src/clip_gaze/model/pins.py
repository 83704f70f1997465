"""Record to which commit a published model is pinned, and the digests of its files.

A published model's manifest may leave both open. The Hub is asked once; its answer is recorded in
the cache folder and binds from then on.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from clip_gaze.model import manifest_file
from clip_gaze.system import notes
from clip_gaze.system.paths import cache_folder

if TYPE_CHECKING:
    from pathlib import Path
    from typing import TypeGuard

    from clip_gaze.model.manifest import Manifest

_COMMIT = re.compile(r"[0-9a-f]{40}")


def is_commit(revision: Any) -> TypeGuard[str]:
    """Return whether a revision is a whole commit hash, so that its files never change."""
    return isinstance(revision, str) and _COMMIT.fullmatch(revision) is not None


def record(manifest: Manifest) -> Path:
    """Return where the record of a model lies, or would lie."""
    name = re.sub(r"[^A-Za-z0-9.-]+", "--", manifest.source.repository)
    return cache_folder() / "pinned" / f"{name}.json"


def pinned(manifest: Manifest) -> Manifest:
    """Return a manifest with the commit, sizes and digests that it leaves open, where recorded.

    What the manifest says stands. A record of another commit than its own does not count, nor does
    a damaged one.
    """
    if not manifest.download:
        return manifest
    try:
        data: Any = json.loads(manifest_file.read_text(record(manifest)))
        revision = data["revision"]
        known = {
            name: manifest_file.model_file({"file": name, **entry})
            for name, entry in data["files"].items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return manifest
    stated = manifest.source.revision
    if not is_commit(revision) or (is_commit(stated) and stated != revision):
        return manifest
    source = replace(manifest.source, revision=revision)
    return replace(manifest.with_files(known), source=source)


def write(manifest: Manifest) -> None:
    """Record what is known of a model, which is pinned to a commit.

    Where that cannot be, the Hub is asked again next time.
    """
    files = [
        file
        # Another process may have written of another variant.
        for each in (pinned(manifest), manifest)
        for name in each.variants
        for file in each.files(name).values()
    ]
    data = {
        "repository": manifest.source.repository,
        "revision": manifest.source.revision,
        "files": {
            file.file: {"bytes": file.bytes, "sha256": file.sha256}
            for file in files
            if file.sha256 is not None
        },
    }
    notes.write(record(manifest), data)
