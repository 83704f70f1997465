"""The manifest of a model folder, as values; `manifest_file` reads and checks it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING

from clip_gaze.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMAT = 1
ROLES = ("vision", "text", "vision_data", "text_data", "phrases")


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
    """How many tokens the text tower reads; older manifests name a padding token, too."""

    context_length: int
    pad_id: int | None = None


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
    """The graphs of one variant's two towers, and their weights where these lie in other files.

    ONNX calls such weights external data; a graph names the file, which lies beside it.

    Attributes:
        text: None in a bundle.
        phrases: vectors of phrases, see `texts.vectors`.
        requires: the releases of onnxruntime that run it, such as "onnxruntime>=1.17,!=1.24.2";
            "": all that this package can be installed with.

    """

    vision: ModelFile
    text: ModelFile | None = None
    vision_data: ModelFile | None = None
    text_data: ModelFile | None = None
    phrases: ModelFile | None = None
    requires: str = ""

    def files(self) -> dict[str, ModelFile]:
        """Return the files that there are, by role: the names of the fields."""
        roles = {role: getattr(self, role) for role in ROLES}
        return {role: file for role, file in roles.items() if file is not None}

    def with_files(self, files: Mapping[str, ModelFile]) -> Variant:
        """Return the variant with other files, by role."""
        return Variant(**files, requires=self.requires)

    def bytes(self, tower: str) -> int:
        """Return the size of a tower ("vision" or "text"), as far as it is known."""
        return sum(file.bytes or 0 for role, file in self.files().items() if role.startswith(tower))


@dataclass(frozen=True, slots=True)
class Manifest:
    """Everything the runtime needs to know about a model beside its graphs.

    Attributes:
        logit_scale: the exact factor on the cosine before the softmax (already exponentiated).
        tokenizer: None in a bundle.
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
    tokenizer: ModelFile | None
    variants: Mapping[str, Variant] = field(default_factory=dict)
    download: bool = False
    note: str = ""
    format: int = FORMAT

    @property
    def is_bundle(self) -> bool:
        """Whether there are vectors of some phrases in place of tokenizer and text tower."""
        return self.tokenizer is None

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

    def files(self, name: str | None = None) -> dict[str, ModelFile]:
        """Return the files that one variant needs, by role: "tokenizer", and a Variant's."""
        _, variant = self.variant(name)
        return {
            **({} if self.tokenizer is None else {"tokenizer": self.tokenizer}),
            **variant.files(),
        }

    def with_files(self, known: Mapping[str, ModelFile]) -> Manifest:
        """Return the manifest with what is known by name of files whose digests it leaves open.

        Their sizes are replaced as well: without a digest, a size is a hint.
        """

        def complete(file: ModelFile) -> ModelFile:
            found = known.get(file.file, file)
            if file.sha256 is not None or found.sha256 is None:
                return file
            return replace(file, bytes=found.bytes, sha256=found.sha256)

        variants = {
            name: variant.with_files({role: complete(it) for role, it in variant.files().items()})
            for name, variant in self.variants.items()
        }
        tokenizer = None if self.tokenizer is None else complete(self.tokenizer)
        return replace(self, tokenizer=tokenizer, variants=variants)


def to_json(manifest: Manifest) -> str:
    """Return the manifest as the text of a manifest.json."""
    data = asdict(manifest)
    data["variants"] = {
        name: {role: asdict(file) for role, file in variant.files().items()}
        | ({"requires": variant.requires} if variant.requires else {})
        for name, variant in manifest.variants.items()
    }
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"
