"""Phrases to vectors: from the store where they are known, else from the text tower."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from clip_gaze.analysis.similarity import normalise
from clip_gaze.errors import PhraseListError
from clip_gaze.system.malloc import give_back

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from clip_gaze.model.download import Files
    from clip_gaze.model.manifest import Manifest
    from clip_gaze.model.session import Tower
    from clip_gaze.store import Store

    Progress = Callable[[int, int], object]

PLACE = "{}"


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
    rows = {phrase: row for row, phrase in enumerate(dict.fromkeys(phrases))}
    vectors = np.empty((len(rows), manifest.embedding_dim), np.float32)
    encoder = f"text:{files.digest('text')}:{files.digests['tokenizer']}"
    known = store.get(encoder, list(rows), manifest.embedding_dim)
    for phrase, vector in known.items():
        vectors[rows[phrase]] = vector
    missing = [phrase for phrase in rows if phrase not in known]
    if missing:
        # The graph first: while it is loaded, there is more of it than afterwards. The tokenizer,
        # 30 MB with CLIP's vocabulary, is gone before the graph runs.
        from clip_gaze.texts.tokenizer import Tokenizer  # noqa: PLC0415 - 3 MB; warm lists need none

        graph = tower()
        context_length = manifest.text.context_length
        batches = Tokenizer(files.paths["tokenizer"], context_length).batches(missing)
        give_back()
        done = 0
        for some, input_ids in batches:
            embeds = normalise(graph.texts(input_ids))
            # Kept at once: what is done stays done if the process is killed.
            store.put(encoder, dict(zip(some, embeds, strict=True)))
            vectors[[rows[phrase] for phrase in some]] = embeds
            done += len(some)
            if progress is not None:
                progress(done, len(missing))
    if len(rows) == len(phrases):
        return vectors
    return vectors[[rows[phrase] for phrase in phrases]]


def checked(templates: Sequence[str]) -> tuple[str, ...]:
    """Return templates, each once.

    Raises:
        PhraseListError: one of them does not say where the phrase stands.
    """
    for template in templates:
        if template.count(PLACE) != 1:
            msg = f"the template {template!r} must have {PLACE} once, where the phrase stands"
            raise PhraseListError(msg)
    return tuple(dict.fromkeys(templates))


def ensemble(
    phrases: Iterable[str],
    templates: Sequence[str],
    encode_all: Callable[[Iterable[str]], NDArray[np.float32]],
) -> NDArray[np.float32]:
    """Return one vector a phrase: the mean over templates of its L2-normalised vectors.

    As CLIP's authors do for ImageNet (Radford et al., 2021, section 3.1.4).

    Args:
        phrases: any text.
        templates: each with {} where the phrase stands; none: the phrase stands alone.
        encode_all: returns (n, d) float32, L2-normalised, for n texts.

    Returns:
        (n, d) float32, L2-normalised.
    """
    if not templates:
        return encode_all(phrases)
    phrases = list(phrases)
    sentences = [template.replace(PLACE, phrase) for phrase in phrases for template in templates]
    vectors = encode_all(sentences)
    grouped = vectors.reshape(len(phrases), len(templates), vectors.shape[1])
    return normalise(grouped.mean(axis=1))
