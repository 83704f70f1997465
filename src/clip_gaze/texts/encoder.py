"""Encode phrases with the text tower, or take their embeddings from the store."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from clip_gaze.analysis.similarity import normalise
from clip_gaze.errors import PhraseListError
from clip_gaze.system.malloc import give_back
from clip_gaze.texts.templates import ensemble
from clip_gaze.texts.vectors import made_by

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from clip_gaze.analysis.occlusion import Progress
    from clip_gaze.model.manifest import Manifest
    from clip_gaze.model.session import Tower
    from clip_gaze.model.verify import Files
    from clip_gaze.store import Store
    from clip_gaze.texts.vectors import PhraseVectors


class TextEncoder:
    """The text side of a model: vectors that came with it, the store, tokenizer and text tower."""

    def __init__(
        self,
        manifest: Manifest,
        files: Files,
        vectors: PhraseVectors | None,
        store: Store | None,
        tower: Callable[[], Tower],
    ) -> None:
        """Prepare to encode.

        `vectors` came with the model and are used first; a bundle has no others, and no store.
        `tower` is called only if a phrase is not known.
        """
        self._manifest, self._files = manifest, files
        self._vectors = vectors
        self._store = store
        self._tower = tower

    def encode(
        self,
        phrases: Sequence[str],
        templates: Sequence[str] = (),
        *,
        keep: bool = True,
        progress: Progress | None = None,
    ) -> NDArray[np.float32]:
        """Return the embedding of each phrase; each is encoded once, wherever it stands.

        Args:
            phrases: n texts.
            templates: see `templates.ensemble`.
            keep: whether the store keeps what is new.
            progress: called with (done, total) after each batch of new texts.

        Returns:
            (n, d) float32, L2-normalised.

        Raises:
            PhraseListError: a phrase has lone surrogates, as undecodable bytes leave them; or it
                is not in a bundle.
        """
        encode = partial(self._encode, keep=keep, progress=progress)
        return ensemble(phrases, templates, encode)

    def _encode(
        self, texts: Sequence[str], *, keep: bool, progress: Progress | None
    ) -> NDArray[np.float32]:
        for text in texts:
            if not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text):
                msg = f"the phrase {text!r} is not text; is it encoded as UTF-8?"
                raise PhraseListError(msg)
        known = {}
        if self._vectors is not None:
            known = self._vectors.get(texts, every=self._store is None)
        if self._store is not None:
            key, dim = made_by(self._files), self._manifest.embedding_dim
            asked = [text for text in dict.fromkeys(texts) if text not in known]
            known |= self._store.get(key, asked, dim)
            missing = [text for text in asked if text not in known]
            for some, embeds in self._encoded(missing, progress) if missing else ():
                found = dict(zip(some, embeds, strict=True))
                if keep:
                    # At once: what is done stays done if the process is killed.
                    self._store.put(key, found)
                known |= found
        rows = np.array([known[text] for text in texts], np.float32)
        return rows.reshape(len(texts), self._manifest.embedding_dim)

    def _encoded(
        self, texts: Sequence[str], progress: Progress | None
    ) -> Iterator[tuple[list[str], NDArray[np.float32]]]:
        """Yield texts, in batches, with what the text tower makes of them."""
        # The graph first: while it is loaded, there is more of it than afterwards. The
        # tokenizer, 30 MB with CLIP's vocabulary, is gone before the graph runs.
        from clip_gaze.texts.tokenizer import Tokenizer  # noqa: PLC0415 - 3 MB; warm lists need none

        tower = self._tower()
        context_length = self._manifest.text.context_length
        batches = Tokenizer(self._files.paths["tokenizer"], context_length).batches(texts)
        give_back()
        done = 0
        for some, input_ids in batches:
            yield some, normalise(tower.texts(input_ids))
            done += len(some)
            if progress is not None:
                progress(done, len(texts))
