"""Make a dataset of a collection: all parts that are missing, in threads or on a cluster."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from clip_gaze.clip import Clip
from clip_gaze.datasets import description, engines, listing, work
from clip_gaze.datasets.dataset import Dataset
from clip_gaze.datasets.partitions import USUAL, Partition, partitions
from clip_gaze.errors import BrokenOffError, GazeError, PictureUnreachableError, StorageError
from clip_gaze.model.spec import ModelSpec
from clip_gaze.pictures.source import check_offline
from clip_gaze.system.storage import Folder
from clip_gaze.wording import counted, first_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from clip_gaze.analysis.ranking import Ranking
    from clip_gaze.datasets.work import Job, Outcome

# So many parts may fail before one succeeds.
_MOST_FAILED = 5
# So many parts are asked at once what is wrong in them: each answer takes a request or two.
_FOOTERS = 16


@dataclass(slots=True)
class Summary:
    """How far a run is.

    Attributes:
        there: pictures of parts that were there before.
        unread: those of them that could not be read.
        made: pictures of parts that were made.
        bad: those of them that could not be read.
        failed: parts that could not be made.
        unlisted: folders that could not be read.

    """

    there: int = 0
    unread: int = 0
    made: int = 0
    bad: int = 0
    failed: int = 0
    unlisted: int = 0


@dataclass(frozen=True, slots=True)
class Told:
    """What a run calls as it goes on.

    Attributes:
        done: called with how many pictures more are done.
        wrong: called with what is wrong with a picture.
        failed: called with why a part could not be made.
        dashboard: called with the address at which a cluster shows its work.

    """

    done: Callable[[int], object] = lambda _: None
    wrong: Callable[[str], object] = lambda _: None
    failed: Callable[[str], object] = lambda _: None
    dashboard: Callable[[str], object] = lambda _: None


def run(
    clip: Clip,
    job: Job,
    collection: Iterable[Partition],
    told: Told,
    *,
    ranking: Ranking | None = None,
    cluster: Any = None,
    resume: bool = False,
    summary: Summary | None = None,
) -> Summary:
    """Make all parts of a dataset that are not there; remove those of what is there no longer.

    Args:
        clip: the model, open in this process.
        job: what the parts are made with.
        collection: its partitions.
        told: what is called meanwhile.
        ranking: the lists, for answers.
        cluster: see `engines.connected`; None: threads of this process.
        resume: whether to go on with a dataset that is there.
        summary: whoever lists the collection counts `unlisted` in it.

    Raises:
        GazeError: it is another one, nothing can be done, or --offline forbids to reach it.
        ModelError: workers have no model, or another one.
        BrokenOffError: the run ended early.

    """
    check_offline(job.target, offline=clip.spec.offline)
    summary = summary or Summary()
    there: set[str] = set()
    asked: set[str] = set()

    def missing() -> Iterator[Partition]:
        """Yield what is not there; begin the dataset when there is a cluster to make it."""
        for each in collection:
            if not asked:
                there.update(description.begun(job, resume=resume))
            if each.file in asked:
                continue
            asked.add(each.file)
            if each.file in there:
                summary.there += each.count
                told.done(each.count)
            else:
                yield each

    for partition, outcome in _engine(clip, job, ranking, cluster, missing(), told):
        _count(partition, outcome, summary, told)
    if summary.there:
        with ThreadPoolExecutor(_FOOTERS) as pool:
            summary.unread = sum(pool.map(Dataset(job.target).unread, there & asked))
    if not summary.unlisted and not summary.failed:
        folder = Folder(job.target)
        for file in there - asked:  # of pictures that have changed, or are gone
            folder.remove(file)
    return summary


def _engine(
    clip: Clip,
    job: Job,
    ranking: Ranking | None,
    cluster: Any,
    missing: Iterator[Partition],
    told: Told,
) -> Iterator[engines.Done]:
    if cluster is None:
        task = partial(work.part, clip, job, ranking=ranking)
        try:
            yield from engines.in_threads(task, missing)
        except BaseException as error:
            clip.__exit__(type(error), error, None)  # or the parts under way would be finished
            raise
        return
    with engines.connected(cluster) as client:
        told.dashboard(client.dashboard_link)
        if isinstance(cluster, str) and cluster.startswith("local"):
            client.wait_for_workers(1)
        engines.check(client, work.check, job)
        yield from engines.on_cluster(client, partial(work.part_on_worker, job), ranking, missing)


def _count(
    partition: Partition, outcome: Outcome | BaseException, summary: Summary, told: Told
) -> None:
    """Tell what became of a part; raise what makes it useless to go on."""
    if not isinstance(outcome, BaseException):
        summary.made += outcome.count
        summary.bad += len(outcome.errors)
        for error in outcome.errors:
            told.wrong(error)
        told.done(outcome.count)
        return
    summary.failed += 1
    told.failed(f"{partition.file}: {_reason(outcome)}")
    passing = isinstance(outcome, PictureUnreachableError | StorageError)
    if isinstance(outcome, GazeError) and not passing:
        raise outcome
    if summary.failed >= _MOST_FAILED and not summary.made:
        msg = f"{counted(summary.failed, 'part')} failed, and none was made; go on with --resume"
        raise BrokenOffError(msg)


def _reason(error: BaseException) -> str:
    line, kind = first_line(error), type(error).__name__
    return line if isinstance(error, GazeError) or line == kind else f"{kind}: {line}"


def embed(
    source: str | os.PathLike[str] | Iterable[str],
    output: str | os.PathLike[str] | None = None,
    *,
    cluster: Any = None,
    model: str | os.PathLike[str] | ModelSpec | None = None,
    half: bool = False,
    resume: bool = False,
    per_part: int = USUAL,
    progress: Callable[[int], object] | None = None,
) -> Dataset:
    """Make a dataset of the embeddings of a collection.

    Args:
        source: a folder, a pattern or a URL of pictures; or paths and URLs, which are asked for as
            they are worked on.
        output: a folder or URL for the dataset, which all workers must see at the same place;
            None: a folder that goes with the returned object, for a run on this machine.
        cluster: "local" or "local:4", worker processes on this machine; the address of a Dask
            scheduler, "tcp://..." or "tls://..."; a Dask client or cluster; None: threads.
        model: a model's name or folder, or what `Clip.spec` says of one.
        half: write float16.
        resume: go on with a dataset that is there.
        per_part: pictures in a part, on an average.
        progress: called with numbers of pictures as they are done.

    Returns:
        The dataset; a picture that cannot be read is a row with its error.

    Raises:
        GazeError: nothing can be done, or parts are missing in the end.

    """
    if per_part < 1:
        msg = f"per_part should be 1 or more, not {per_part}"
        raise GazeError(msg)
    if not isinstance(model, ModelSpec):
        model = ModelSpec(None if model is None else os.fspath(model))
    given = None
    if isinstance(source, str | os.PathLike):
        source = [os.fspath(source)]
        given = {"images": source}
    with Clip.from_spec(model) as clip:
        place = tempfile.mkdtemp(prefix="clip-gaze-") if output is None else os.fspath(output)
        about = description.about(clip, half=half, per_part=per_part, source=given)
        summary = Summary()
        why: list[str] = []

        def allowed(each: Any) -> Any:
            is_name = isinstance(each, str | os.PathLike)
            check_offline(os.fsdecode(each) if is_name else each, offline=clip.spec.offline)
            return each

        def failed(error: Exception) -> None:
            summary.unlisted += 1
            why.append(str(error))

        pictures = listing.listed(map(allowed, source), failed)
        run(
            clip, description.job_of(clip, place, about), partitions(pictures, per_part),
            Told(progress or (lambda _: None), failed=why.append),
            cluster=cluster, resume=resume, summary=summary,
        )  # fmt: skip
    if summary.failed or summary.unlisted:
        missing = f"{counted(summary.failed, 'part')} could not be made"
        if not summary.failed:
            missing = f"{counted(summary.unlisted, 'folder')} could not be listed"
        msg = f"{place}: {missing}; go on with resume=True: {why[-1]}"
        raise BrokenOffError(msg)
    if not summary.there + summary.made:
        msg = "no picture is named; nothing was done"
        raise GazeError(msg)
    found = Dataset(place)
    if output is None:
        weakref.finalize(found, shutil.rmtree, place, ignore_errors=True)
    return found
