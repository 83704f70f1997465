"""Answer phrase lists for all pictures of a part at once, as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from clip_gaze.datasets import parts
from clip_gaze.output import tables

if TYPE_CHECKING:
    from clip_gaze.analysis.ranking import Ranking
    from clip_gaze.datasets.parts import About, Rows
    from clip_gaze.results import PictureResult


def schema(about: About) -> Any:
    """Return the schema of answers, whose columns are those of `clip_gaze.to_frame`."""
    return tables.schema().with_metadata(parts.metadata(about))


def answers(rows: Rows, ranking: Ranking, like: PictureResult, top: int, about: About) -> Any:
    """Return the likeliest phrases of each list for each picture, as a table of Arrow.

    Args:
        rows: the pictures; a bad one has one row, with its error.
        ranking: the lists.
        like: a result of this run, for its settings.
        top: how many phrases of each list; 0 for all.
        about: see `schema`.

    """
    pa, _ = parts.arrow()
    good, bad = np.flatnonzero(rows.good), np.flatnonzero(~rows.good)
    found: dict[str, list[Any]] = {"owner": [], "list": [], "phrase": [], "likely": [], "plain": []}
    names = [name for name, (phrases, _) in ranking.lists.items() if phrases]
    words: list[str] = []
    for at, name in enumerate(names):
        order, likely, plain = ranking.best_of_each(rows.vectors[good], name, top)
        found["owner"].append(np.broadcast_to(good[:, None], order.shape))
        found["list"].append(np.full(order.shape, at))
        found["phrase"].append(order + len(words))
        words += ranking.lists[name][0]
        found["likely"].append(likely)
        found["plain"].append(likely if plain is None else plain)
    each = {key: np.concatenate(some, axis=1).ravel() for key, some in found.items() if some}
    owners = np.concatenate([each.get("owner", np.empty(0, np.intp)), bad])
    order = np.argsort(owners, kind="stable")
    missing = np.arange(len(owners)) >= len(owners) - len(bad)

    def padded(key: str) -> Any:
        values = each.get(key, np.empty(0, np.intp))
        filled = np.concatenate([values, np.zeros(len(bad), values.dtype)])
        return pa.array(filled[order], mask=missing[order])

    picture = pa.array(owners[order])
    columns = {
        "image": parts.texts(rows.names).take(picture),
        **{name: pa.repeat(pa.scalar(cell, pa.string()), len(owners)) for name, cell in
           tables.settings(like).items()},
        "status": pa.array(["ok", "error"]).take(pa.array(missing[order].astype(int))),
        "list": pa.array(names, pa.string()).take(padded("list")),
        "phrase": pa.array(words, pa.string()).take(padded("phrase")),
        "probability": padded("likely").cast(pa.float64()),
        "plain": padded("plain").cast(pa.float64())
        if like.corrected
        else pa.nulls(len(owners), pa.float64()),
        "error": parts.texts(rows.errors).take(picture),
    }  # fmt: skip
    return pa.table([columns[name] for name in tables.COLUMNS], schema=schema(about))
