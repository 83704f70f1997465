"""Encode phrases with the text tower, or take their embeddings from the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from clip_gaze.analysis.similarity import normalise
from clip_gaze.errors import PhraseListError
from clip_gaze.system.malloc import give_back
from clip_gaze.texts.templates import ensemble

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from clip_gaze.analysis.occlusion import Progress
    from clip_gaze.model.manifest import Manifest
    from clip_gaze.model.session import Tower
    from clip_gaze.model.verify import Files
    from clip_gaze.store import Store


class TextEncoder:
    """The text side of a model: its tokenizer, its text tower, and the store."""

    def __init__(
        self, manifest: Manifest, files: Files, store: Store, tower: Callable[[], Tower]
    ) -> None:
        """Prepare to encode.

        Args:
            manifest: of the model.
            files: the model's files.
            store: where embeddings are kept.
            tower: returns the text tower; called only if a phrase is not known.

        """
        self._manifest = manifest
        self._tokenizer = files.paths["tokenizer"]
        self._key = f"text:{files.digest('text')}:{files.digests['tokenizer']}"
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
            PhraseListError: a phrase has lone surrogates, as undecodable bytes leave them.
        """

        def encode(texts: Sequence[str]) -> NDArray[np.float32]:
            return self._encode(texts, keep=keep, progress=progress)

        return ensemble(phrases, templates, encode)

    def _encode(
        self, texts: Sequence[str], *, keep: bool, progress: Progress | None
    ) -> NDArray[np.float32]:
        for text in texts:
            if not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text):
                msg = f"the phrase {text!r} is not text; is it encoded as UTF-8?"
                raise PhraseListError(msg)
        rows = {text: row for row, text in enumerate(dict.fromkeys(texts))}
        embeds = np.empty((len(rows), self._manifest.embedding_dim), np.float32)
        known = self._store.get(self._key, list(rows), self._manifest.embedding_dim)
        for text, embedding in known.items():
            embeds[rows[text]] = embedding
        missing = [text for text in rows if text not in known]
        if missing:
            # The graph first: while it is loaded, there is more of it than afterwards. The
            # tokenizer, 30 MB with CLIP's vocabulary, is gone before the graph runs.
            from clip_gaze.texts.tokenizer import Tokenizer  # noqa: PLC0415 - 3 MB; warm lists need none

            tower = self._tower()
            context_length = self._manifest.text.context_length
            batches = Tokenizer(self._tokenizer, context_length).batches(missing)
            give_back()
            done = 0
            for some, input_ids in batches:
                found = normalise(tower.texts(input_ids))
                if keep:
                    # At once: what is done stays done if the process is killed.
                    self._store.put(self._key, dict(zip(some, found, strict=True)))
                embeds[[rows[text] for text in some]] = found
                done += len(some)
                if progress is not None:
                    progress(done, len(missing))
        return embeds if len(rows) == len(texts) else embeds[[rows[text] for text in texts]]
