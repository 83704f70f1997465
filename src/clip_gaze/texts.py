"""Phrases to vectors: from the store where they are known, else from the text tower."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from clip_gaze.errors import PhraseListError
from clip_gaze.scoring import normalise
from clip_gaze.tokenizer import Tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from clip_gaze.download import Files
    from clip_gaze.manifest import Manifest
    from clip_gaze.session import Tower
    from clip_gaze.store import Store

    Progress = Callable[[int, int], None]


def encode(
    phrases: Iterable[str],
    *,
    manifest: Manifest,
    files: Files,
    store: Store,
    tower: Callable[[], Tower],
    progress: Progress | None = None,
) -> NDArray[np.float32]:
    """Return the vector of each phrase; each is encoded once, wherever it stands.

    Args:
        phrases: any text.
        manifest: of the model.
        files: the model's files.
        store: where vectors are kept.
        tower: returns the text tower; called only if a phrase is missing.
        progress: called with (done, total) after each batch.

    Returns:
        (n, d) float32, L2-normalised.

    Raises:
        PhraseListError: a phrase has lone surrogates, as undecodable bytes leave them.
    """
    phrases = list(phrases)
    for phrase in phrases:
        if not phrase.isascii() and any("\ud800" <= letter <= "\udfff" for letter in phrase):
            msg = f"the phrase {phrase!r} is not text; is it encoded as UTF-8?"
            raise PhraseListError(msg)
    unique = list(dict.fromkeys(phrases))
    encoder = f"text:{files.digests['text']}:{files.digests['tokenizer']}"
    vectors = store.get(encoder, unique, manifest.embedding_dim)
    missing = [phrase for phrase in unique if phrase not in vectors]
    if missing:
        tokenizer = Tokenizer(files.paths["tokenizer"], manifest.text.context_length)
        done = 0
        for some, input_ids in tokenizer.batches(missing):
            batch = dict(zip(some, normalise(tower().texts(input_ids)), strict=True))
            # Kept at once: what is done stays done if the process is killed.
            store.put(encoder, batch)
            vectors |= batch
            done += len(some)
            if progress is not None:
                progress(done, len(missing))
    if not phrases:
        return np.empty((0, manifest.embedding_dim), np.float32)
    return np.stack([vectors[phrase] for phrase in phrases])
