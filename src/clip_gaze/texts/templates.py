"""Put phrases into sentences, and average the embeddings of the sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clip_gaze.analysis.similarity import normalise
from clip_gaze.errors import PhraseListError
from clip_gaze.texts.phrases import checked as checked_phrases

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import numpy as np
    from numpy.typing import NDArray

PLACE = "{}"


def checked(templates: Iterable[str]) -> tuple[str, ...]:
    """Return templates, each once.

    Raises:
        PhraseListError: they are not strings, or one does not say where the phrase stands.
    """
    found = tuple(dict.fromkeys(checked_phrases(templates)))
    for template in found:
        if template.count(PLACE) != 1:
            msg = f"the template {template!r} must have {PLACE} once, where the phrase stands"
            raise PhraseListError(msg)
    return found


def ensemble(
    phrases: Sequence[str],
    templates: Sequence[str],
    encode: Callable[[Sequence[str]], NDArray[np.float32]],
) -> NDArray[np.float32]:
    """Return one embedding a phrase: the mean over templates of its L2-normalised embeddings.

    As CLIP's authors do for ImageNet (Radford et al., 2021, section 3.1.4).

    Args:
        phrases: n texts.
        templates: each with {} where the phrase stands; none: the phrase stands alone.
        encode: returns the (m, d) float32 embeddings, L2-normalised, of m texts.

    Returns:
        (n, d) float32, L2-normalised.
    """
    if not templates:
        return encode(phrases)
    sentences = [template.replace(PLACE, phrase) for phrase in phrases for template in templates]
    embeds = encode(sentences)
    grouped = embeds.reshape(len(phrases), len(templates), embeds.shape[1])
    return normalise(grouped.mean(axis=1))
