"""Give a model folder vectors of phrases, made by each variant's own text tower."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from clip_gaze.clip import Clip
from clip_gaze.model.manifest import ModelFile
from clip_gaze.model.verify import sha256
from clip_gaze.texts import phrases
from variants.recipes import REFERENCE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from clip_gaze.model.manifest import Manifest


def asked(names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return name -> phrases of shipped lists and of text files.

    Raises:
        PhraseListError: a list is unknown, or a file cannot be read.

    """
    return {
        Path(name).stem: phrases.read(name) if Path(name).is_file() else phrases.load(name)
        for name in names
    }


def add_phrases(folder: Path, manifest: Manifest, lists: dict[str, tuple[str, ...]]) -> Manifest:
    """Write a file of vectors for each variant; return the manifest that lists them.

    Args:
        folder: the model folder, with a manifest that lists the graphs.
        manifest: that one.
        lists: name -> phrases.

    """
    variants = {}
    for name, variant in manifest.variants.items():
        path = folder / f"phrases{'' if name == REFERENCE else f'_{name}'}.safetensors"
        with Clip(folder, name, offline=True, store=False) as clip:
            clip.save_phrases(path, lists)
        entry = ModelFile(path.name, path.stat().st_size, sha256(path), "float32")
        variants[name] = dataclasses.replace(variant, phrases=entry)
    return dataclasses.replace(manifest, variants=variants)
