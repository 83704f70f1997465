"""Encode sentences that are tried and forgotten: the store neither knows nor keeps them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from clip_gaze.analysis.similarity import normalise

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from clip_gaze.model.manifest import Manifest
    from clip_gaze.model.session import Tower


class Sentences:
    """A tokenizer, which stays loaded, and the text tower."""

    def __init__(self, manifest: Manifest, tokenizer: Path, tower: Callable[[], Tower]) -> None:
        """Load the tokenizer from its tokenizer.json."""
        from clip_gaze.texts.tokenizer import Tokenizer  # noqa: PLC0415 - 3 MB; warm lists need none

        self._tokenizer = Tokenizer(tokenizer, manifest.text.context_length)
        self._dim, self._tower = manifest.embedding_dim, tower

    def fits(self, texts: Sequence[str]) -> list[bool]:
        """Return of each text whether the model reads all of it."""
        return self._tokenizer.fits(texts)

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the (n, d) float32 embeddings of n texts that differ, L2-normalised."""
        found = np.empty((len(texts), self._dim), np.float32)
        rows = {text: row for row, text in enumerate(texts)}
        for some, input_ids in self._tokenizer.batches(texts):
            found[[rows[text] for text in some]] = normalise(self._tower().texts(input_ids))
        return found
