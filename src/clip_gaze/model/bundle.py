"""Write a bundle: a model folder with vectors of some phrases in place of the text tower."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from clip_gaze.errors import ModelError
from clip_gaze.model import manifest as manifests
from clip_gaze.model import verify
from clip_gaze.model.manifest import ModelFile
from clip_gaze.model.registry import MANIFEST
from clip_gaze.system.files import whole

if TYPE_CHECKING:
    from collections.abc import Callable

    from clip_gaze.model.registry import Model
    from clip_gaze.model.verify import Files

_CARD = """\
# {name} ({variant}), a bundle

The vision tower of a CLIP model, and the vectors of the phrases that it is asked about; it needs
neither text tower nor tokenizer. Made by `clip-gaze bundle`; used by `--model` and `Clip(...)`.

- model: {name}, from {source}
- licence of the model: {licence}
"""


def check_place(folder: Path) -> None:
    """Refuse a place where no new folder can be, before the work for it begins.

    Raises:
        ModelError: there is a file, or a folder that is not empty.

    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        msg = f"{folder}: is there and not empty; name a new or an empty folder"
        raise ModelError(msg)


def write(folder: Path, model: Model, files: Files, put: Callable[[Path], object]) -> None:
    """Write a bundle of one variant, whole or not at all.

    Args:
        folder: new, or empty.
        model: what it is made of.
        files: the variant's, verified.
        put: writes the phrase vectors to the path that it is given.

    Raises:
        ModelError: the folder is not empty, or cannot be written, or a file changes meanwhile.

    """
    check_place(folder)
    old = model.manifest.variants[files.variant]
    # Flat: a published graph lies in a folder of its own.
    graphs = {
        role: files.entry(role, file, PurePosixPath(file.file).name)
        for role, file in old.files().items()
        if role.startswith("vision")
    }
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as scratch:
            made = Path(scratch) / folder.name
            made.mkdir()
            for role, file in graphs.items():
                verify.copy(files.paths[role], made / file.file, file)
            vectors = made / "phrases.safetensors"
            put(vectors)
            size, digest = vectors.stat().st_size, verify.sha256(vectors)
            phrases = ModelFile(vectors.name, size, digest, "float32")
            manifest = replace(
                model.manifest,
                tokenizer=None,
                variants={files.variant: old.with_files({**graphs, "phrases": phrases})},
                default_variant=files.variant,
                download=False,
            )
            for card in (*model.folder.glob("README*"), *model.folder.glob("LICENSE*")):
                shutil.copyfile(card, made / f"MODEL_{card.name}")
            source = manifest.source
            text = _CARD.format(
                name=manifest.name, variant=files.variant, licence=manifest.licence,
                source=" at revision ".join(filter(None, (source.repository, source.revision))),
            )  # fmt: skip
            for name, content in ("README.md", text), (MANIFEST, manifests.to_json(manifest)):
                with whole(made / name) as part:
                    part.write_text(content, encoding="utf-8")
            if folder.exists():
                folder.rmdir()  # Windows renames onto nothing that is there
            made.rename(folder)
    except OSError as error:
        msg = f"{folder}: cannot be written ({error.strerror or error}); name another folder"
        raise ModelError(msg) from error
