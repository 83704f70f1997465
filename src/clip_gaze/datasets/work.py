"""Make one part of a dataset, in this process or on a worker of a cluster."""

from __future__ import annotations

import os
import platform
import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from clip_gaze.clip import Clip
from clip_gaze.datasets import answers, parts
from clip_gaze.datasets.dataset import Dataset
from clip_gaze.datasets.listing import named
from clip_gaze.datasets.parts import Rows
from clip_gaze.errors import GazeError, ModelError, PictureError, PictureUnreachableError
from clip_gaze.pictures.source import File, Remote
from clip_gaze.system.storage import Folder, is_url

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from clip_gaze.analysis.ranking import Ranking
    from clip_gaze.datasets.listing import Named
    from clip_gaze.datasets.partitions import Partition
    from clip_gaze.model.spec import ModelSpec
    from clip_gaze.results import PictureResult


@dataclass(frozen=True, slots=True)
class Job:
    """What all parts of a dataset are made with; can be pickled.

    Attributes:
        spec: the model.
        encoder: `Clip.encoder` of the process that leads.
        target: folder or URL of the dataset.
        about: what the dataset holds.
        folder: what names that are relative paths are relative to.
        like: a result of this run, for its settings; None: vectors are written.
        top: how many phrases of each list; 0 for all.

    """

    spec: ModelSpec
    encoder: str
    target: str
    about: Mapping[str, Any]
    folder: str
    like: PictureResult | None = None
    top: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """A part that was written: how many pictures it has, and what is wrong with the bad ones."""

    count: int
    errors: tuple[str, ...] = ()


def part(clip: Clip, job: Job, partition: Partition, ranking: Ranking | None) -> Outcome:
    """Make a part of a dataset, and write it; `ranking` has the lists, for answers.

    Raises:
        PictureUnreachableError: a picture cannot be had now.
        StorageError: the part cannot be written.

    """
    if partition.dataset is None:
        rows = embedded(clip, partition.pictures, job.folder)
    else:
        rows = Dataset(partition.dataset).rows(partition.file)
    if job.like is None or ranking is None:
        table = parts.vectors(rows, job.about)
    else:
        table = answers.answers(rows, ranking, job.like, job.top, job.about)
    Folder(job.target).put(partition.file, parts.packed(table))
    return Outcome(len(rows.names), tuple(error for error in rows.errors if error is not None))


def embedded(clip: Clip, pictures: Sequence[Named], folder: str) -> Rows:
    """Return the embeddings of pictures."""
    opened = [
        Remote(name, stamp) if is_url(name) else File(os.path.join(folder, name))  # noqa: PTH118 - keeps "./"
        for name, stamp in pictures
    ]
    stamps = [stamp for _, stamp in pictures]
    errors: list[str | None] = [None] * len(pictures)
    vectors = np.zeros((len(pictures), clip.manifest.embedding_dim), np.float32)
    for at, (name, found) in enumerate(clip.embed_many(opened)):
        if isinstance(found, PictureUnreachableError):
            raise found
        if isinstance(found, PictureError):
            errors[at] = str(found).replace(name, pictures[at].name, 1)
            continue
        vectors[at] = found
        file = opened[at]
        if stamps[at] is None and isinstance(file, Remote):
            stamps[at] = file.stamp()
    return Rows([name for name, _ in pictures], stamps, vectors, errors)


_LOCK = threading.Lock()
_CLIPS: dict[ModelSpec, Clip] = {}


def clip_of(spec: ModelSpec) -> Clip:
    """Return the `Clip` that this process has of a model; it stays open as long as the process.

    A thread of a worker has the next picture when it is done with one: there are as many threads
    as the worker was given, so that each runs a graph on one processor. No vector is kept beside
    the dataset.
    """
    alone = replace(spec, threads=spec.threads or 1, store=False)
    with _LOCK:
        if alone not in _CLIPS:
            _CLIPS[alone] = Clip.from_spec(alone)
        return _CLIPS[alone]


def check(job: Job) -> None:
    """Open the model in a worker.

    Raises:
        ModelError: it is not here, or other files are.

    """
    host = platform.node()
    try:
        found = clip_of(job.spec)
    except GazeError as error:
        msg = f"on {host}: {error}"
        raise ModelError(msg) from error
    if found.encoder != job.encoder:
        name = found.manifest.name
        msg = (
            f"on {host}, {name} has other files, or Pillow another version: {found.encoder} there, "
            f"{job.encoder} here; bring the same to both, or stop that worker"
        )
        raise ModelError(msg)


def part_on_worker(job: Job, partition: Partition, ranking: Ranking | None) -> Outcome:
    """Make a part of a dataset in a worker of a cluster; see `part` and `check`."""
    if partition.dataset is None:
        check(job)
        return part(clip_of(job.spec), job, partition, ranking)
    return part(None, job, partition, ranking)  # type: ignore[arg-type] # no picture is opened


def embed_rows(names: Iterable[str], spec: ModelSpec) -> list[dict[str, Any]]:
    """Return pictures as rows with their embeddings, for a partition of `dask.bag`, for example.

    The process opens the model once, at the first call.

    Args:
        names: paths and URLs.
        spec: the model.

    Returns:
        Rows with the keys name, stamp, vector ((d,) float32, L2-normalised, or None) and error.

    Raises:
        PictureUnreachableError: a picture cannot be had now; others may then be asked for again.

    """
    found = embedded(clip_of(spec), [named(name) for name in names], "")
    return found.records()
