"""Weigh lists of phrases against pictures: probabilities, log-odds, the best of each list."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from clip_gaze.analysis import similarity
from clip_gaze.results import CorrectedScore, PhraseScore

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from clip_gaze.results import Score

    Encode = Callable[[Sequence[str]], NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Ranking:
    """Phrase lists with their embeddings, ready to be scored for any picture.

    Attributes:
        lists: name -> phrases and their (m, d) float32 embeddings, L2-normalised.
        logit_scale: CLIP's learned factor, already exponentiated.
        neutral: (d,) float32, the mean embedding of the neutral pictures, whose logits are
            subtracted from each picture's (contextual calibration); None: nothing is subtracted.

    """

    lists: Mapping[str, tuple[tuple[str, ...], NDArray[np.float32]]]
    logit_scale: float
    neutral: NDArray[np.float32] | None = None

    def probabilities(self, image_embeds: NDArray[np.float32], name: str) -> NDArray[np.float64]:
        """Return the (n, m) probabilities of a list's phrases for n pictures' (n, d) embeddings."""
        return similarity.softmax(self._logits(image_embeds, name) - self._bias(name))

    def log_odds(self, image_embeds: NDArray[np.float32], name: str) -> NDArray[np.float64]:
        """Return log(p / (1 - p)) of a list's phrases, (n, m), for (n, d) embeddings."""
        return similarity.log_odds(self._logits(image_embeds, name) - self._bias(name))

    def corrected(self, neutral: NDArray[np.float32]) -> Ranking:
        """Return the same lists, with each phrase's mean logit over neutral pictures subtracted."""
        return replace(self, neutral=neutral)

    def first(self, embedding: NDArray[np.float32]) -> dict[str, str]:
        """Return the likeliest phrase of each list that has any, for one (d,) embedding."""
        return {
            name: phrases[int(self.probabilities(embedding[None], name)[0].argmax())]
            for name, (phrases, _) in self.lists.items()
            if phrases
        }

    def best(self, embedding: NDArray[np.float32], top: int | None) -> dict[str, tuple[Score, ...]]:
        """Return the `top` likeliest phrases of each list (None or 0: all), likeliest first."""
        return {name: tuple(self._best(embedding, name, top)) for name in self.lists}

    def best_of_each(
        self, image_embeds: NDArray[np.float32], name: str, top: int | None
    ) -> tuple[NDArray[np.intp], NDArray[np.float64], NDArray[np.float64] | None]:
        """Return the likeliest phrases of a list for each of many pictures, likeliest first.

        Args:
            image_embeds: (n, d) float32, L2-normalised.
            name: of the list.
            top: how many phrases; None or 0 for all.

        Returns:
            Where they stand in the list, (n, top); their probabilities, (n, top); and what these
            are without the correction, where there is one. They differ from those of
            `probabilities` in the last bits of float32.

        """
        _, text_embeds = self.lists[name]
        # A matrix product of all is far quicker than the sums of `similarity.logits`.
        logits = image_embeds @ text_embeds.T * np.float32(self.logit_scale)
        values = np.asarray(logits - self._bias(name), np.float32)
        order = similarity.best_of_each(values, top)
        plain = None if self.neutral is None else similarity.softmax_at(logits, order)
        return order, similarity.softmax_at(values, order), plain

    def _best(self, embedding: NDArray[np.float32], name: str, top: int | None) -> list[Score]:
        phrases, _ = self.lists[name]
        (values,) = self.probabilities(embedding[None], name)
        order = similarity.best(values, top)
        likely: list[float] = values[order].tolist()
        if self.neutral is None:
            return [
                PhraseScore(phrases[at], value) for at, value in zip(order, likely, strict=True)
            ]
        (plain,) = similarity.softmax(self._logits(embedding[None], name))
        return [
            CorrectedScore(phrases[at], *both)
            for at, *both in zip(order, likely, plain[order].tolist(), strict=True)
        ]

    def _logits(self, image_embeds: NDArray[np.float32], name: str) -> NDArray[np.float32]:
        _, text_embeds = self.lists[name]
        return similarity.logits(image_embeds, text_embeds, self.logit_scale)

    def _bias(self, name: str) -> NDArray[np.float32] | float:
        """Return each phrase's mean logit over the neutral pictures."""
        # The mean of the logits is the logit of the mean: a logit is linear in the embedding.
        return 0.0 if self.neutral is None else self._logits(self.neutral[None], name)[0]


def ranking(
    lists: Mapping[str, tuple[str, ...]],
    encode: Encode,
    logit_scale: float,
) -> Ranking:
    """Encode all lists in one go, so that a phrase in two of them is encoded once."""
    embeds = encode([phrase for phrases in lists.values() for phrase in phrases])
    ends = np.cumsum([len(phrases) for phrases in lists.values()])
    parts = np.split(embeds, ends[:-1]) if lists else []
    encoded = {
        name: (phrases, part) for (name, phrases), part in zip(lists.items(), parts, strict=True)
    }
    return Ranking(encoded, logit_scale)
