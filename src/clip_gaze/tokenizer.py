"""From a phrase to token ids, as the model's tokenizer.json says."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from tokenizers import Tokenizer as Backend

from clip_gaze.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

logger = logging.getLogger(__name__)


class Tokenizer:
    """A tokenizer.json whose ids are never padded, and cut so that the end token stays."""

    def __init__(self, path: Path, context_length: int) -> None:
        """Load the file.

        Args:
            path: the model's tokenizer.json.
            context_length: the most tokens that the text tower reads, start and end included.

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
        self._context_length = context_length

    def encode(self, phrases: Sequence[str]) -> list[list[int]]:
        """Return the ids of each phrase, start and end token included.

        A phrase that is too long is cut before its end token, and a warning names it.
        """
        encodings = self._backend.encode_batch(list(phrases))
        return [
            self._cut(phrase, encoding.ids)
            for phrase, encoding in zip(phrases, encodings, strict=True)
        ]

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
