"""Lists of phrases with their vectors, ready to be weighed against pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from clip_gaze.analysis import similarity
from clip_gaze.results import CorrectedScore, PhraseScore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from clip_gaze.results import Score

    Encode = Callable[[Iterable[str]], NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Ranking:
    """Phrase lists and all that their probabilities depend on, but for the picture.

    Attributes:
        lists: name -> phrases and their (m, d) float32 vectors, L2-normalised.
        logit_scale: CLIP's learned factor, already exponentiated.
        neutral: (d,) float32, the mean vector of the neutral pictures: what a phrase gets from
            these is taken away from its logit; None: logits are taken as they are.

    """

    lists: Mapping[str, tuple[Sequence[str], NDArray[np.float32]]]
    logit_scale: float
    neutral: NDArray[np.float32] | None = None

    def probabilities(self, vector: NDArray[np.float32], name: str) -> NDArray[np.float64]:
        """Return the (m,) probabilities of a list's phrases for one picture's (d,) vector."""
        return similarity.softmax(self._logits(vector[None], name)[0] - self._favour(name))

    def log_odds(self, vectors: NDArray[np.float32], name: str) -> NDArray[np.float64]:
        """Return log(p / (1 - p)) of a list's phrases, (n, m), for n pictures' (n, d) vectors."""
        return similarity.log_odds(self._logits(vectors, name) - self._favour(name))

    def best(self, vector: NDArray[np.float32], top: int | None) -> dict[str, tuple[Score, ...]]:
        """Return the best phrases of each list for one picture's (d,) vector, best first."""
        scores: dict[str, tuple[Score, ...]] = {}
        for name, (phrases, _) in self.lists.items():
            values: list[float] = self.probabilities(vector, name).tolist()
            order = similarity.best(values, top)
            if self.neutral is None:
                scores[name] = tuple(PhraseScore(phrases[at], values[at]) for at in order)
            else:
                plain: list[float] = similarity.softmax(
                    self._logits(vector[None], name)[0]
                ).tolist()
                scores[name] = tuple(
                    CorrectedScore(phrases[at], values[at], plain[at]) for at in order
                )
        return scores

    def _logits(self, vectors: NDArray[np.float32], name: str) -> NDArray[np.float32]:
        _, text_embeds = self.lists[name]
        return similarity.logits(vectors, text_embeds, self.logit_scale)

    def _favour(self, name: str) -> NDArray[np.float32] | float:
        """Return the phrases' mean logits over the neutral pictures."""
        # The mean of the logits is the logit of the mean: a logit is linear in the vector.
        return 0.0 if self.neutral is None else self._logits(self.neutral[None], name)[0]


def ranking(
    lists: Mapping[str, Sequence[str]],
    encode: Encode,
    logit_scale: float,
    neutral: NDArray[np.float32] | None = None,
) -> Ranking:
    """Encode all lists in one go, so that a phrase in two of them is encoded once."""
    vectors = encode([phrase for phrases in lists.values() for phrase in phrases])
    ends = np.cumsum([len(phrases) for phrases in lists.values()])
    parts = np.split(vectors, ends[:-1]) if lists else []
    encoded = {
        name: (phrases, part) for (name, phrases), part in zip(lists.items(), parts, strict=True)
    }
    return Ranking(encoded, logit_scale, neutral)
