"""The manifest of a model folder: its dataclasses, and JSON to and from them."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from clip_gaze.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FORMAT = 1
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class ImageSettings:
    """How a picture becomes pixel values.

    Attributes:
        size: edge of the square that the vision tower sees, in pixels.
        mean: subtracted from each RGB channel after scaling to 0..1.
        std: each channel is divided by it.
        resize: name of the resampling filter; only "bicubic" (Pillow's, on uint8).
        crop: where the square is cut from; only "center".

    """

    size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    resize: str = "bicubic"
    crop: str = "center"


@dataclass(frozen=True, slots=True)
class TextSettings:
    """How many tokens the text tower reads, and which token pads (never needed here)."""

    context_length: int
    pad_id: int


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One file of a model: its path below the folder, its size and SHA-256 where known."""

    file: str
    bytes: int | None
    sha256: str | None
    recipe: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """Where the weights come from: a repository, and the revision they are pinned to."""

    repository: str
    revision: str | None = None


@dataclass(frozen=True, slots=True)
class Variant:
    """The two towers of one variant."""

    vision: ModelFile
    text: ModelFile


@dataclass(frozen=True, slots=True)
class Manifest:
    """Everything the runtime needs to know about a model beside its graphs.

    Attributes:
        logit_scale: the exact factor on the cosine before the softmax (already exponentiated).
        embedding_dim: length of an image or text vector.
        download: whether the files lie in the Hub repository named by `source`.
        note: one line that every result made with this model must carry; may be empty.

    """

    name: str
    source: Source
    licence: str
    image: ImageSettings
    text: TextSettings
    embedding_dim: int
    logit_scale: float
    default_variant: str
    tokenizer: ModelFile
    variants: Mapping[str, Variant] = field(default_factory=dict)
    download: bool = False
    note: str = ""
    format: int = FORMAT

    def variant(self, name: str | None) -> tuple[str, Variant]:
        """Return the variant called `name` (None: the default one) with its name.

        Raises:
            ModelError: the model has no such variant.

        """
        chosen = name or self.default_variant
        try:
            return chosen, self.variants[chosen]
        except KeyError:
            msg = (
                f"model {self.name} has no variant {chosen!r}; "
                f"choose one of: {', '.join(self.variants)}"
            )
            raise ModelError(msg) from None

    def files(self, name: str | None = None) -> tuple[ModelFile, ...]:
        """Return the files that one variant needs: tokenizer, vision tower, text tower."""
        _, variant = self.variant(name)
        return self.tokenizer, variant.vision, variant.text


def to_json(manifest: Manifest) -> str:
    """Return the manifest as the text of a manifest.json."""
    return json.dumps(asdict(manifest), indent=2, ensure_ascii=False) + "\n"


def read(path: Path) -> Manifest:
    """Read a manifest.json.

    Raises:
        ModelError: the file is missing, is not JSON, or lacks or misspells a field.

    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeError, json.JSONDecodeError) as error:
        msg = f"cannot read the manifest {path}: {error}; is this a clip-gaze model folder?"
        raise ModelError(msg) from error
    try:
        return _manifest(data)
    except (KeyError, TypeError, ValueError) as error:
        reason = f"no field {error}" if isinstance(error, KeyError) else str(error)
        msg = f"the manifest {path} is not valid: {reason}; export the model again"
        raise ModelError(msg) from error


def _manifest(data: Any) -> Manifest:
    if not isinstance(data, dict):
        msg = "it is not a JSON object"
        raise TypeError(msg)
    if data["format"] != FORMAT:
        msg = f"format version {data['format']} where this clip-gaze reads {FORMAT}"
        raise ValueError(msg)
    known = {name: data[name] for name in Manifest.__slots__ if name in data}
    image = dict(
        data["image"], mean=_triple(data["image"]["mean"]), std=_triple(data["image"]["std"])
    )
    manifest = Manifest(
        **{
            **known,
            "source": Source(**data["source"]),
            "image": ImageSettings(**image),
            "text": TextSettings(**data["text"]),
            "tokenizer": _file(data["tokenizer"]),
            "variants": {
                name: Variant(vision=_file(towers["vision"]), text=_file(towers["text"]))
                for name, towers in data["variants"].items()
            },
        }
    )
    if manifest.image.resize != "bicubic" or manifest.image.crop != "center":
        msg = f"preprocessing {manifest.image.resize}/{manifest.image.crop} is not supported"
        raise ValueError(msg)
    if manifest.default_variant not in manifest.variants:
        msg = f"the default variant {manifest.default_variant!r} is not among the variants"
        raise ValueError(msg)
    return manifest


def _file(data: Mapping[str, Any]) -> ModelFile:
    file = ModelFile(**data)
    parts = file.file.replace("\\", "/").split("/")
    if not file.file or ".." in parts or parts[0] == "" or ":" in parts[0]:
        msg = f"file name {file.file!r} leads out of the folder"
        raise ValueError(msg)
    if file.sha256 is not None and not _SHA256.fullmatch(file.sha256):
        msg = f"{file.file}: {file.sha256!r} is not a SHA-256"
        raise ValueError(msg)
    return file


def _triple(values: Any) -> tuple[float, float, float]:
    red, green, blue = (float(value) for value in values)
    return red, green, blue
