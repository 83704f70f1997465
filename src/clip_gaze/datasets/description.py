"""Describe what a dataset holds and what its parts are made with, and begin it."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clip_gaze.datasets import answers, parts, work
from clip_gaze.datasets.dataset import Dataset
from clip_gaze.datasets.partitions import USUAL
from clip_gaze.datasets.partitions import parts as parts_of
from clip_gaze.datasets.place import ABOUT
from clip_gaze.errors import GazeError
from clip_gaze.output.names import is_relative
from clip_gaze.system.storage import Folder, is_url

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from clip_gaze.clip import Clip
    from clip_gaze.datasets.work import Job
    from clip_gaze.results import PictureResult

    Source = Mapping[str, Any]

FORMAT = 1


def _differs(key: str, held: Any, wanted: Any) -> str:
    """Return what a dataset has that a run would make otherwise, and what to do about it."""
    if key == "folder" and held and wanted:
        return f"of pictures in {held}; go there to go on"
    if key in {"source", "folder"}:
        return f"of other pictures: {_spoken(held)}; name these to go on"
    if key == "half":
        return f"of float{16 if held else 32}; {'give' if held else 'leave out'} --half to go on"
    if key in {"per_part", "top"}:
        return f"made with --{key.replace('_', '-')} {held}; give that to go on"
    if key in {"lists", "templates", "corrected", "holds"}:
        return f"with other answers ({key}); ask as before to go on"
    return f"made by another model or version ({key}); take that to go on"


def _is_relative(dataset: Dataset) -> bool:
    """Return whether a dataset has names that are relative to its folder, which is there."""
    held = dataset.about.get("folder")
    if not held or not os.path.isdir(held):  # noqa: PTH112 - never fails
        return False
    return any(is_relative(name) for file in dataset.files()[:1] for name in dataset.names(file))


def _spoken(source: Any) -> str:
    """Return how the command line names a collection."""
    if not isinstance(source, dict):
        return str(source)
    given = [*source.get("images", ())]
    for option in ("from", "column", "exclude"):
        values = source.get(option) or ()
        for each in [values] if isinstance(values, str) else values:
            given += [f"--{option}", each]
    return " ".join(given if source.get("recursive", True) else [*given, "--no-recursive"])


def about(
    clip: Clip, *, half: bool = False, per_part: int = USUAL, source: Source | None = None
) -> dict[str, Any]:
    """Return what a dataset of vectors holds, for its metadata.

    Args:
        clip: what encodes.
        half: whether vectors are float16.
        per_part: pictures in a part, on an average.
        source: what the collection is, so that another one is not mixed with it; None: unknown.

    """
    model = clip.spec.model
    # "-", too, may stand for names that are relative to a folder.
    anywhere = source and source.get("from") is None and not any(map(is_relative, source["images"]))
    return {
        "format": FORMAT,
        "holds": "vectors",
        "model": clip.manifest.name,
        # A folder's path as it is seen from anywhere.
        "reference": os.path.abspath(model) if model and Path(model).is_dir() else model,  # noqa: PTH100 - keeps links
        "variant": clip.variant,
        "digests": clip.digests,
        "encoder": clip.encoder,
        "dim": clip.manifest.embedding_dim,
        "half": half,
        "per_part": per_part,
        "source": source,
        "folder": None if anywhere else os.getcwd(),  # noqa: PTH109 - a text
    }


def about_answers(
    vectors: Mapping[str, Any],
    lists: Mapping[str, Sequence[str]],
    like: PictureResult,
    top: int,
) -> dict[str, Any]:
    """Return what a dataset of answers holds, for its metadata.

    `vectors` come from `about`, `lists` are name -> phrases, and the rest is as `Job` has it.
    """
    digests = {
        name: hashlib.sha256(json.dumps(listed).encode()).hexdigest()
        for name, listed in lists.items()
    }
    return {
        **vectors, "holds": "answers", "lists": digests, "templates": list(like.templates),
        "corrected": like.corrected, "top": top,
    }  # fmt: skip


def job_of(clip: Clip, output: str, description: Mapping[str, Any], **answering: Any) -> Job:
    """Return what the parts of a dataset are made with; see `about`, and for answers `Job`."""
    target = output if is_url(output) else os.path.abspath(output)  # noqa: PTH100 - keeps links
    spec = replace(clip.spec, model=description["reference"])
    return work.Job(spec, clip.encoder, target, description, os.getcwd(), **answering)  # noqa: PTH109 - a text


def begun(job: Job, *, resume: bool) -> set[str]:
    """Begin a dataset, or go on with it, and return the parts that are there.

    Raises:
        GazeError: there is one already, or one of something else.

    """
    folder = Folder(job.target)
    there = set(parts_of(folder.names()))
    if ABOUT in folder:
        if not resume:
            msg = f"{job.target}: holds a dataset; go on with --resume, or name another place"
            raise GazeError(msg)
        dataset = Dataset(job.target)
        held = dataset.about
        # As JSON has it: without tuples.
        wanted = json.loads(json.dumps(dict(job.about)))
        for key in {**held, **wanted}:
            if held.get(key) == wanted.get(key) or (key == "folder" and not _is_relative(dataset)):
                continue
            if key == "per_part" and key not in held:  # one of an earlier clip-gaze
                continue
            how = _differs(key, held.get(key), wanted.get(key))
            msg = f"{job.target}: holds a dataset {how}; or name another place"
            raise GazeError(msg)
        return there
    if there:
        msg = f"{job.target}: holds parts of a dataset that does not say what they are"
        raise GazeError(msg)
    if folder.names():
        msg = f"{job.target}: holds other files; name a new or an empty folder for a dataset"
        raise GazeError(msg)
    kind = parts.schema if job.like is None else answers.schema
    folder.put(ABOUT, parts.packed(kind(job.about).empty_table()))
    return there
