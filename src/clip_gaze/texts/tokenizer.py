"""Turn phrases into token ids, as the model's tokenizer.json says."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np
from tokenizers import Tokenizer as Backend

from clip_gaze.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

logger = logging.getLogger(__name__)

# Bounds the memory that one run of the text tower takes.
_TOKENS_PER_BATCH = 128


class Tokenizer:
    """A tokenizer.json whose ids are never padded, and cut so that the end token stays."""

    def __init__(self, path: Path, context_length: int) -> None:
        """Load the file; the text tower reads `context_length` tokens, start and end included.

        Raises:
            ModelError: the file is not a tokenizer.

        """
        try:
            self._backend = Backend.from_file(str(path))
        except Exception as error:
            # The backend raises bare Exception for whatever is wrong with the file.
            msg = f"{path}: is not a usable tokenizer ({error}); export the model again"
            raise ModelError(msg) from error
        self._backend.no_padding()
        self._backend.no_truncation()
        if len(self._backend.encode("").ids) != 2:
            msg = f"{path}: puts no start and end token around a phrase; export the model again"
            raise ModelError(msg)
        self._context_length = context_length

    def encode(self, phrases: Sequence[str]) -> list[list[int]]:
        """Return the ids of each phrase, start and end token included.

        A phrase that is too long is cut before its end token, and a warning names it.
        """
        return [self._cut(phrase, self._backend.encode(phrase).ids) for phrase in phrases]

    def fits(self, phrases: Sequence[str]) -> list[bool]:
        """Return of each phrase whether it is short enough not to be cut."""
        return [len(self._backend.encode(each).ids) <= self._context_length for each in phrases]

    def batches(self, phrases: Sequence[str]) -> list[tuple[list[str], NDArray[np.int64]]]:
        """Sort phrases into batches of at most 128 tokens, or one row, that need no padding.

        Returns:
            For each batch its phrases and their ids, (n, sequence); shorter ones come first.
        """
        by_length: dict[int, list[tuple[str, list[int]]]] = {}
        for phrase, ids in zip(phrases, self.encode(phrases), strict=True):
            by_length.setdefault(len(ids), []).append((phrase, ids))
        batches = []
        for length, group in sorted(by_length.items()):
            step = max(1, _TOKENS_PER_BATCH // length)
            for at in range(0, len(group), step):
                some = group[at : at + step]
                rows = np.array([ids for _, ids in some], dtype=np.int64)
                batches.append(([phrase for phrase, _ in some], rows))
        return batches

    def _cut(self, phrase: str, ids: list[int]) -> list[int]:
        if len(ids) <= self._context_length:
            return ids
        logger.warning(
            "%r has %d tokens; the model reads the first %d",
            phrase if len(phrase) <= 60 else phrase[:59] + "…",
            len(ids) - 2,
            self._context_length - 2,
        )
        return [*ids[: self._context_length - 1], ids[-1]]
