"""Make a dataset of a collection, show how far that is, and say how to go on where it ends."""

from __future__ import annotations

import contextlib
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clip_gaze.cli.progress import (
    SOME_FAILED,
    NothingWrittenError,
    encoding,
    new_bar,
    opened,
    say,
    say_looked_at,
    say_written,
)
from clip_gaze.datasets import listing
from clip_gaze.datasets.partitions import USUAL, partitions
from clip_gaze.errors import BrokenOffError, PictureError
from clip_gaze.results import PictureResult
from clip_gaze.system.storage import is_url
from clip_gaze.wording import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from clip_gaze.analysis.occlusion import Progress
    from clip_gaze.analysis.ranking import Ranking
    from clip_gaze.cli.asked import Asked
    from clip_gaze.clip import Clip
    from clip_gaze.datasets.dataset import Dataset
    from clip_gaze.datasets.embed import Summary
    from clip_gaze.datasets.work import Job


@dataclass(frozen=True, slots=True)
class Target:
    """A dataset that is to be made.

    Attributes:
        place: its folder or URL.
        top: for answers, how many phrases of each list; 0 for all.
        resume: whether to go on with one that is there.
        half: whether vectors are float16.
        per_part: pictures in a part, on an average.

    """

    place: str
    top: int = 0
    resume: bool = False
    half: bool = False
    per_part: int = USUAL


@dataclass(frozen=True, slots=True)
class Questions:
    """What is asked about each picture: name -> phrases, and whether corrected."""

    lists: Mapping[str, Sequence[str]]
    corrected: bool


def made(
    asked: Asked,
    target: Target,
    questions: Questions | None = None,
    *,
    cluster: str | None,
    **options: Any,
) -> int:
    """Make a dataset, of vectors, or of answers to questions; return the exit code."""
    from clip_gaze.datasets import embed

    began = time.monotonic()
    dataset = asked.dataset()
    summary = embed.Summary()

    def failed(error: Exception) -> None:
        summary.unlisted += 1
        _wrong(str(error))

    if dataset is not None:
        options = dataset.options(options)
        collection = dataset.partitions()
    else:
        listed = listing.listed(
            asked.sources(), failed, recursive=asked.recursive, exclude=asked.exclude
        )
        collection = partitions(listed, target.per_part)
    with opened(**options) as clip, encoding() as told:
        job, ranking = _job(clip, asked, target, questions, dataset, told)
        with _bar(asked.count if dataset is None else dataset.__len__) as done:
            try:
                embed.run(
                    clip, job, collection, embed.Told(done, _wrong, _wrong, _dashboard),
                    ranking=ranking, cluster=cluster, resume=target.resume, summary=summary,
                )  # fmt: skip
            except KeyboardInterrupt:
                msg = f"stopped after {_so_far(summary)}; the same command with --resume goes on"
                raise BrokenOffError(msg) from None
            except BrokenOffError as error:
                _wrong(str(error))
                summary.failed += 1
    return _exit_code(summary, target.place, began)


def _job(
    clip: Clip,
    asked: Asked,
    target: Target,
    questions: Questions | None,
    dataset: Dataset | None,
    told: Progress,
) -> tuple[Job, Ranking | None]:
    """Return what the parts are made with, and the lists of the questions."""
    from clip_gaze.datasets import description

    if dataset is None:
        source = {
            "images": list(asked.images), "from": asked.names, "column": asked.column,
            "recursive": asked.recursive, "exclude": list(asked.exclude),
        }  # fmt: skip
        about = description.about(clip, half=target.half, per_part=target.per_part, source=source)
    else:
        dataset.check_model(clip)
        url = dataset.url if is_url(dataset.url) else str(Path(dataset.url).absolute())
        about = {**dataset.about, "source": url}
    if questions is None:
        return description.job_of(clip, target.place, about), None
    like = PictureResult(
        "", clip.manifest.name, clip.variant, templates=clip.templates,
        corrected=questions.corrected,
    )  # fmt: skip
    about = description.about_answers(about, questions.lists, like, target.top)
    ranking = clip.ranking(questions.lists, corrected=questions.corrected, encoding=told)
    return description.job_of(clip, target.place, about, like=like, top=target.top), ranking


def _exit_code(summary: Summary, place: str, began: float) -> int:
    """Say how far it is, and return the exit code."""
    if summary.made and not summary.failed:
        change = "continued" if summary.there else ""
        say_written(place, _so_far(summary), change=change)
    elif summary.there and not summary.failed:
        say(f"clip-gaze: {place}: {_so_far(summary)}; nothing was left to do")
    elif summary.there + summary.made:
        far = f"{place}: is not complete, with {_so_far(summary)}"
        _wrong(f"{far}; the same command with --resume goes on")
    say_looked_at(summary.made, summary.bad, began)
    bad = summary.bad + summary.unread
    if not (summary.there + summary.made + summary.failed + summary.unlisted):
        raise PictureError("no picture is named; nothing was done")
    if summary.there + summary.made <= bad:
        raise NothingWrittenError
    return SOME_FAILED if bad or summary.failed or summary.unlisted else 0


def _so_far(summary: Summary) -> str:
    there = f", {summary.there:,} of them before" if summary.there else ""
    there += f", {summary.unread:,} of which cannot be read" if summary.unread else ""
    return counted(summary.there + summary.made, "picture") + there


def _wrong(text: str) -> None:
    say(f"clip-gaze: error: {text}")


def _dashboard(address: str) -> None:
    say(f"clip-gaze: the cluster shows its work at {address}")


@contextlib.contextmanager
def _bar(count: Callable[[], int | None]) -> Iterator[Callable[[int], object]]:
    """Show a bar on a terminal; yields what is told how many pictures more are done."""
    if sys.stderr.isatty():
        with new_bar(count, unit=" pictures") as bar:
            yield bar.update
    else:
        yield lambda _: None
