"""Folders with phrase vectors, which more than one test file uses."""

from __future__ import annotations

import dataclasses
import shutil
from typing import TYPE_CHECKING

from clip_gaze import Clip
from clip_gaze.model import manifest as manifests
from clip_gaze.model import registry
from clip_gaze.model.manifest import Manifest, ModelFile
from clip_gaze.model.verify import sha256
from clip_gaze.system.paths import shipped
from clip_gaze.texts import phrases

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import Any

    Answers = Mapping[str, Sequence[Any]]

LISTS = {name: phrases.load(name) for name in ("surfaces", "painting_materials")}
TEMPLATES = ("a painting {}", "a picture, {}, in a museum")


def entry(path: Path) -> ModelFile:
    """Return the manifest's entry for a file."""
    return ModelFile(path.name, path.stat().st_size, sha256(path))


def write(folder: Path, manifest: Manifest) -> None:
    """Write a folder's manifest."""
    (folder / "manifest.json").write_text(manifests.to_json(manifest), encoding="utf-8")


def with_phrases(folder: Path, made_by: str = "") -> Path:
    """Copy the demo model, and give each variant vectors of phrases.

    Args:
        folder: a new one.
        made_by: the variant whose text tower makes the vectors of all; "": each its own.

    """
    shutil.copytree(shipped("models") / "demo", folder)
    manifest = registry.find(folder).manifest
    variants = {}
    for name, variant in manifest.variants.items():
        path = folder / f"phrases_{name}.safetensors"
        with Clip("demo", made_by or name, store=False, templates=TEMPLATES[:1]) as clip:
            clip.save_phrases(path, LISTS)
        variants[name] = dataclasses.replace(variant, phrases=entry(path))
    write(folder, dataclasses.replace(manifest, variants=variants))
    return folder


def same(found: Answers, wanted: Answers) -> bool:
    """Return whether answers agree: releases of ONNX Runtime may differ in the last bits."""
    return {name: [phrase for phrase, _ in listed] for name, listed in found.items()} == {
        name: [phrase for phrase, _ in listed] for name, listed in wanted.items()
    } and all(
        abs(one - other) < 1e-6
        for name, listed in found.items()
        for (_, one), (_, other) in zip(listed, wanted[name], strict=True)
    )
