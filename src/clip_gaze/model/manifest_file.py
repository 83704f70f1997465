"""Read a manifest.json, and refuse what nothing can be computed with."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from pathlib import PureWindowsPath
from typing import TYPE_CHECKING, Any, TypeVar

from clip_gaze.errors import ModelError
from clip_gaze.model.manifest import (
    FORMAT,
    ROLES,
    ImageSettings,
    Manifest,
    ModelFile,
    Source,
    TextSettings,
    Variant,
)

if TYPE_CHECKING:
    from pathlib import Path

_MOST_BYTES = 1_000_000
# Beyond these, float32 overflows on the way from a pixel to a probability, or memory does.
_MOST = 1_000_000
_MOST_PIXELS = 4096
_LONGEST_REASON = 300
_REPOSITORY = re.compile(r"[\w.-]+(/[\w.-]+)?")
_SHA256 = re.compile(r"[0-9a-f]{64}")
# JSON's types for the annotations of the dataclasses.
_JSON = {
    "str": (str,), "int": (int,), "float": (int, float), "bool": (bool,),
    "int | None": (int, type(None)), "str | None": (str, type(None)),
}  # fmt: skip
_T = TypeVar("_T")
_REQUIRES = re.compile(r"(onnxruntime(>=|<|!=)\d+(\.\d+)*(,(>=|<|!=)\d+(\.\d+)*)*)?")


def read_text(path: Path) -> str:
    """Read a small text file, and refuse what is not a regular file.

    Raises:
        OSError: it is missing or unreadable, or a folder, a pipe or a device.
        ValueError: it is not UTF-8, or larger than 1 MB.

    """
    if path.exists() and not path.is_file():
        msg = "is not a file"
        raise OSError(msg)
    with path.open("rb") as file:
        content = file.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        msg = f"has more than {_MOST_BYTES:,} bytes"
        raise ValueError(msg)
    return content.decode("utf-8")


def read(path: Path) -> Manifest:
    """Read a manifest.json.

    Raises:
        ModelError: the file is missing, is not JSON, or a field is missing, misspelt or wrong.

    """
    try:
        data = json.loads(read_text(path))
    except (OSError, ValueError, RecursionError) as error:
        msg = f"cannot read the manifest {path}: {error}; is this a clip-gaze model folder?"
        raise ModelError(msg) from error
    try:
        return _manifest(data)
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        reason = f"no field {error}" if isinstance(error, KeyError) else str(error)
        reason = " ".join(reason.split())[:_LONGEST_REASON]
        msg = f"the manifest {path} is not valid: {reason}; export the model again"
        raise ModelError(msg) from error


def _manifest(data: Any) -> Manifest:
    data = _object(data, "it")
    if data["format"] != FORMAT:
        msg = f"format version {data['format']!r} where this clip-gaze reads {FORMAT}"
        raise ValueError(msg)
    known = {each.name: data[each.name] for each in fields(Manifest) if each.name in data}
    known["source"] = _typed(Source(**_object(data["source"], "source")))
    known["image"] = _image(_object(data["image"], "image"))
    known["text"] = _typed(TextSettings(**_object(data["text"], "text")))
    bundle = data["tokenizer"] is None
    known["tokenizer"] = None if bundle else model_file(data["tokenizer"])
    known["variants"] = {
        name: _variant(_object(towers, name), bundle=bundle)
        for name, towers in _object(data["variants"], "variants").items()
    }
    manifest = _typed(Manifest(**known))
    _in_range("context_length", manifest.text.context_length, 2, _MOST)
    _in_range("embedding_dim", manifest.embedding_dim, 1, _MOST)
    _in_range("logit_scale", manifest.logit_scale, 1 / _MOST, _MOST)
    if manifest.download and not _REPOSITORY.fullmatch(manifest.source.repository):
        msg = f"{manifest.source.repository!r} is no repository of the Hub"
        raise ValueError(msg)
    if manifest.default_variant not in manifest.variants:
        msg = f"the default variant {manifest.default_variant!r} is not among the variants"
        raise ValueError(msg)
    return manifest


def _variant(data: dict[str, Any], *, bundle: bool) -> Variant:
    known = [*sorted(ROLES), "requires"]
    if unknown := data.keys() - set(known):
        msg = f"a variant has {min(unknown)!r} where there are {', '.join(known)}"
        raise ValueError(msg)
    given = [role for role in ROLES if role in data]
    needed = ("vision", "phrases" if bundle else "text")
    files = {role: model_file(data[role]) for role in dict.fromkeys((*needed, *given))}
    if bundle and files.keys() & {"text", "text_data"}:
        msg = "there is a text tower, and no tokenizer for it"
        raise ValueError(msg)
    variant = _typed(Variant(**files, requires=data.get("requires", "")))
    if not _REQUIRES.fullmatch(variant.requires):
        msg = f"{variant.requires!r} names no releases as onnxruntime>=1.17 does"
        raise ValueError(msg)
    for tower in ("vision", "text"):
        weights = files.get(f"{tower}_data")
        # A graph names the file alone: in another folder, it would not be the one that was hashed.
        if weights is not None and _parent(weights) != _parent(graph := files[tower]):
            msg = f"the weights {weights.file!r} lie in another folder than {graph.file!r}"
            raise ValueError(msg)
    return variant


def _parent(file: ModelFile) -> PureWindowsPath:
    """Return the folder of a file, written with slashes or backslashes."""
    return PureWindowsPath(file.file).parent


def _image(data: dict[str, Any]) -> ImageSettings:
    mean, std = _triple(data["mean"]), _triple(data["std"])
    image = _typed(ImageSettings(**{**data, "mean": mean, "std": std}))
    _in_range("image size", image.size, 1, _MOST_PIXELS)
    for value in mean:
        _in_range("image mean", value, -_MOST, _MOST)
    for value in std:
        _in_range("image std", value, 1 / _MOST, _MOST)
    if image.resize != "bicubic" or image.crop != "center":
        msg = f"preprocessing {image.resize!r}/{image.crop!r} is not supported"
        raise ValueError(msg)
    return image


def model_file(data: Any) -> ModelFile:
    """Return the dataclass of a file's JSON.

    Raises:
        TypeError: it lacks a field, has another one, or one of another type.
        ValueError: a field has a wrong value.

    """
    file = _typed(ModelFile(**_object(data, "file")))
    parts = file.file.replace("\\", "/").split("/")
    if ".." in parts or parts[0] == "" or ":" in parts[0]:
        msg = f"file name {file.file!r} leads out of the folder"
        raise ValueError(msg)
    _in_range("bytes", file.bytes or 0, 0, 2**63)
    if file.sha256 is not None and not _SHA256.fullmatch(file.sha256):
        msg = f"{file.file}: {file.sha256!r} is not a SHA-256"
        raise ValueError(msg)
    return file


def _in_range(name: str, value: float, least: float, most: float) -> None:
    """Refuse a number that nothing can be computed with; NaN is in no range."""
    if not least <= value <= most:
        msg = f"{name} must be from {least:,g} to {most:,g}"
        raise ValueError(msg)


def _triple(values: Any) -> tuple[float, float, float]:
    if not isinstance(values, list) or not all(type(value) in _JSON["float"] for value in values):
        msg = f"{values!r} is not a list of numbers"
        raise TypeError(msg)
    red, green, blue = map(float, values)
    return red, green, blue


def _object(data: Any, name: str) -> dict[str, Any]:
    if not isinstance(data, dict):
        msg = f"{name} is not a JSON object"
        raise TypeError(msg)
    return data


def _typed(made: _T) -> _T:
    """Return a dataclass whose simple fields have the types that it declares.

    Raises:
        TypeError: one has another type; a bool is no number.
        ValueError: a text would break a line, or do worse to a terminal.

    """
    for each in fields(made):  # type: ignore[arg-type]
        value = getattr(made, each.name)
        if type(value) not in _JSON.get(str(each.type), (type(value),)):
            msg = f"{each.name} is {value!r}, which is not {each.type}"
            raise TypeError(msg)
        if isinstance(value, str) and not value.isprintable():
            msg = f"{each.name} is {value!r}, which is not one line that can be printed"
            raise ValueError(msg)
    return made
