"""Read and write files of phrase vectors, which answer in place of a text tower.

The format is safetensors: the length of a header in 8 bytes, the header in JSON, then the numbers
(https://huggingface.co/docs/safetensors). A list is one tensor (templates, phrases, d).
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import numpy as np

from clip_gaze.errors import ModelError, PhraseListError
from clip_gaze.system.files import whole
from clip_gaze.texts import phrases
from clip_gaze.texts.templates import PLACE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from clip_gaze.model.manifest import Manifest
    from clip_gaze.model.verify import Files

    Embeddings = NDArray[np.float32]

logger = logging.getLogger(__name__)

_LENGTH = 8  # bytes that say how long the header is
_NEUTRAL, _LIST = "neutral", "list "
# By how much a vector's length may differ from 1.
_UNIT = 1e-3


class PhraseVectors:
    """The vectors of some lists' phrases, alone and in templates, and the neutral mean.

    Attributes:
        path: of the file.
        made_by: what identifies the text tower and its tokenizer, see `made_by`.
        lists: name -> phrases.
        templates: the first one is {} alone.

    """

    def __init__(self, path: Path, dim: int) -> None:
        """Read what the file says of itself; vectors, of `dim` numbers, are read when asked for.

        Raises:
            ModelError: it cannot be read, or is damaged.

        """
        self.path, self._dim = path, dim
        try:
            self._read_header()
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise self._damaged(f"no {error}" if isinstance(error, KeyError) else error) from error
        # Where each text stands: its list, and the row there.
        self._rows = {
            template.replace(PLACE, phrase): (name, row * len(listed) + at)
            for name, listed in self.lists.items()
            for row, template in enumerate(self.templates)
            for at, phrase in enumerate(listed)
        }

    def _read_header(self) -> None:
        size = self.path.stat().st_size
        with self.path.open("rb") as file:
            length = int.from_bytes(file.read(_LENGTH), "little")
            if length > size - _LENGTH:
                msg = "it is cut short"
                raise ValueError(msg)
            header = json.loads(file.read(length))
        about = header["__metadata__"]
        self.made_by, self._neutral_of = str(about["made_by"]), str(about["neutral_of"])
        self.templates = _strings(json.loads(about["templates"]))
        lists = json.loads(about["lists"])
        self.lists = {str(name): _strings(listed) for name, listed in lists.items()}
        if any(template.count(PLACE) != 1 for template in self.templates):
            msg = f"a template has not {PLACE} once"
            raise ValueError(msg)
        self._places = {}
        begin = _LENGTH + length
        shapes = {
            _LIST + name: [len(self.templates), len(listed), self._dim]
            for name, listed in self.lists.items()
        }
        for name, shape in {**shapes, _NEUTRAL: [self._dim]}.items():
            tensor = header[name]
            start, end = (begin + int(offset) for offset in tensor["data_offsets"])
            if tensor["dtype"] != "F32" or tensor["shape"] != shape:
                msg = f"{name} is {tensor['dtype']} {tensor['shape']}, not F32 {shape}"
                raise ValueError(msg)
            if not begin <= start <= end <= size or end - start != 4 * np.prod(shape):
                msg = f"{name} lies outside of it"
                raise ValueError(msg)
            self._places[name] = start, shape

    def get(self, texts: Iterable[str], *, every: bool) -> dict[str, Embeddings]:
        """Return the (d,) float32 vectors, L2-normalised, of those texts that there are.

        Args:
            texts: phrases, or sentences that a template makes of them.
            every: whether there must be all of them.

        Raises:
            ModelError: the file cannot be read, or its numbers are damaged.
            PhraseListError: one of the texts is not here.

        """
        found = {}
        blocks: dict[str, Embeddings] = {}
        for text in texts:
            if (at := self._rows.get(text)) is None:
                if every:
                    raise PhraseListError(self._lacks(text))
                continue
            name, row = at
            if name not in blocks:
                blocks[name] = self._numbers(_LIST + name).reshape(-1, self._dim)
                with np.errstate(over="ignore"):
                    lengths = np.linalg.norm(blocks[name], axis=1)
                if (np.abs(lengths - 1) > _UNIT).any():
                    raise self._damaged("a vector is not of length 1")
            found[text] = blocks[name][row]
        return found

    def neutral(self, encoder: str) -> Embeddings | None:
        """Return the mean vector of the neutral pictures, (d,); None: another encoder's is here."""
        return self._numbers(_NEUTRAL) if encoder == self._neutral_of else None

    def _lacks(self, text: str) -> str:
        """Return a line that says that a text is not here, and what is."""
        lists = ", ".join(f"{name} ({len(listed)})" for name, listed in self.lists.items())
        also = ", ".join(map(repr, self.templates[1:]))
        return (
            f"{self.path.parent}: this bundle has no vector of {text!r}; it has the phrases of "
            f"{lists}{f', alone and in {also}' if also else ''}; ask the whole model for others"
        )

    def _numbers(self, name: str) -> Embeddings:
        start, shape = self._places[name]
        try:
            count = int(np.prod(shape))
            numbers = np.fromfile(self.path, "<f4", count, offset=start).reshape(shape)
        except (OSError, ValueError) as error:
            raise self._damaged(error) from error
        if not np.isfinite(numbers).all():
            msg = f"{name} has numbers that are not finite"
            raise self._damaged(msg)
        return numbers.astype(np.float32, copy=False)

    def _damaged(self, reason: object) -> ModelError:
        why = getattr(reason, "strerror", None) or " ".join(str(reason).split())[:200]
        return ModelError(
            f"{self.path}: these phrase vectors cannot be used ({why}); export or bundle the model "
            "again"
        )


def _strings(found: Any) -> tuple[str, ...]:
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        msg = f"{found!r} is no list of texts"
        raise TypeError(msg)
    return tuple(found)


def checked(lists: Any) -> dict[str, tuple[str, ...]]:
    """Return name -> phrases that a caller wants vectors of, each phrase once.

    Raises:
        PhraseListError: there is no list, or one is empty or has no name, or they are no lists.

    """
    found = phrases.checked_lists(lists)
    if not found:
        msg = "no phrase list is given; pass a dict of name -> phrases that has one"
        raise PhraseListError(msg)
    for name, listed in found.items():
        if not isinstance(name, str) or not name.strip():
            msg = f"a phrase list should be named by a text, not by {name!r}"
            raise PhraseListError(msg)
        if not listed:
            msg = f"the phrase list {name!r} is empty; add a phrase to it"
            raise PhraseListError(msg)
    return {name: phrases.unique(listed) for name, listed in found.items()}


def write(
    path: Path,
    lists: Mapping[str, Sequence[str]],
    templates: Sequence[str],
    encode: Callable[[Sequence[str]], Embeddings],
    *,
    made_by: str,
    neutral: tuple[str, Embeddings],
) -> None:
    """Write the vectors of phrases, alone and in each template.

    Args:
        path: of the file.
        lists: name -> phrases.
        templates: each with {} where the phrase stands.
        encode: returns the (n, d) float32 embeddings of n texts, L2-normalised.
        made_by: see `made_by`.
        neutral: what identifies the encoder of the neutral pictures, and their mean, (d,).

    """
    sentences = tuple(dict.fromkeys((PLACE, *templates)))
    tensors = {
        _LIST + name: encode([each.replace(PLACE, text) for each in sentences for text in listed])
        .reshape(len(sentences), len(listed), -1)
        .astype("<f4")
        for name, listed in lists.items()
    }
    neutral_of, mean = neutral
    tensors[_NEUTRAL] = mean.astype("<f4")
    header: dict[str, Any] = {
        "__metadata__": {
            "made_by": made_by,
            "neutral_of": neutral_of,
            "templates": json.dumps(sentences),
            "lists": json.dumps({name: list(listed) for name, listed in lists.items()}),
        }
    }
    at = 0
    for name, numbers in tensors.items():
        offsets = [at, at := at + numbers.nbytes]
        header[name] = {"dtype": "F32", "shape": list(numbers.shape), "data_offsets": offsets}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % _LENGTH)
    with whole(path) as part, part.open("wb") as file:
        file.write(len(text).to_bytes(_LENGTH, "little") + text)
        for numbers in tensors.values():
            file.write(numbers.tobytes())


def made_by(files: Files) -> str:
    """Return what identifies a text tower and its tokenizer; the store knows vectors by it."""
    return f"text:{files.digest('text')}:{files.digests['tokenizer']}"


def opened(manifest: Manifest, files: Files) -> PhraseVectors | None:
    """Return the phrase vectors of a variant; None where it has none, or another tower's.

    Raises:
        ModelError: they are damaged.

    """
    path = files.paths.get("phrases")
    if path is None:
        return None
    found = PhraseVectors(path, manifest.embedding_dim)
    if manifest.is_bundle or found.made_by == made_by(files):
        return found
    logger.warning("%s: another text tower made these phrase vectors; they are not used", path)
    return None
