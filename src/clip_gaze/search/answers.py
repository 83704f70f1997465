"""Answer a search: the pictures nearest to a direction, or groups of those that are alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from clip_gaze.pictures.source import source
from clip_gaze.results import Alike, Duplicates, Hit, Search, Term
from clip_gaze.search.gallery import once
from clip_gaze.search.nearest import cosines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from clip_gaze.pictures.source import Picture
    from clip_gaze.search.gallery import Gallery


def search(
    gallery: Gallery,
    wanted: NDArray[np.float32],
    query: Sequence[Sequence[str | Picture]],
    about: tuple[str, str, tuple[str, ...]],
    top: int | None,
    least: float | None,
) -> Search:
    """Return the pictures that are nearest to a direction, (d,) float32, L2-normalised.

    `query` is what it was made of and what was taken away, `about` the model, its variant and the
    templates; see `Gallery.best` for the rest.
    """
    values = cosines(gallery.take, gallery.count, wanted)
    found, gone = gallery.best(values, top, least)
    terms = [
        Term(each, "words", sign)
        if isinstance(each, str)
        else Term(source(each).name, "picture", sign)
        for sign, part in zip((True, False), query, strict=True)
        for each in part
    ]
    hits = tuple(Hit(name, value) for name, value in found)
    return Search(tuple(terms), *about, gallery.count, gone, hits, gallery.unreadable())


def duplicates(
    gallery: Gallery,
    near: Sequence[NDArray[np.intp]],
    threshold: float,
    about: tuple[str, str],
) -> Duplicates:
    """Return groups of pictures by their names, those with most files first.

    `near` has the positions of each group, as `nearest.groups` found them with a threshold;
    `about` are the model and its variant.
    """
    alone = np.setdiff1d(np.arange(gallery.count), np.concatenate([[], *near]))
    names = gallery.named(np.arange(gallery.count))
    groups = []
    for group in (*near, *alone[:, None]):
        # Of a dataset, a file may be several pictures.
        own = set(once([name for at in group.tolist() for name in names[at]]))
        for at in group.tolist():
            names[at] = [name for name in names[at] if name in own]
            if gallery.repeated:
                own -= set(names[at])
        some = [at for at in group.tolist() if names[at]]
        if sum(len(names[at]) for at in some) > 1:
            some.sort(key=lambda at: (-len(names[at]), names[at]))
            vectors = np.concatenate([gallery.take(np.array([at])) for at in some])
            values = (vectors @ vectors[0]).tolist()
            alike = zip(some, values, strict=True)
            groups.append(tuple(Alike(tuple(names[at]), value) for at, value in alike))
    groups.sort(key=lambda group: (-sum(len(each.images) for each in group), group[0].images))
    return Duplicates(*about, threshold, gallery.count, tuple(groups), gallery.unreadable())
