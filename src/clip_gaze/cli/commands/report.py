"""The command that makes a page over a collection: `clip-gaze report`."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clip_gaze.analysis.defaults import QUALITIES
from clip_gaze.cli.options import (
    collection_options,
    list_options,
    model_options,
    output_option,
)
from clip_gaze.cli.places import spared
from clip_gaze.cli.progress import Counted, NothingWrittenError, encoding, opened, writing
from clip_gaze.output import report as reports
from clip_gaze.pictures.kept_thumbnails import Kept
from clip_gaze.pictures.memory import most_pixels
from clip_gaze.store import Store
from clip_gaze.system import shelf
from clip_gaze.system.paths import cache_folder, thumbnails_folder
from clip_gaze.texts.questions import of_first
from clip_gaze.wording import counted, megabytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from clip_gaze.cli.asked import Asked
    from clip_gaze.datasets.dataset import Dataset
    from clip_gaze.errors import PictureError
    from clip_gaze.pictures.source import Remote
    from clip_gaze.results import HeatMap

    Found = tuple[str, NDArray[np.float32] | PictureError]

# Of many pictures the thumbnails are smaller, or the page becomes too large to send.
_MANY = 1000
_EDGE, _EDGE_OF_MANY = 320, 160
_PAGES = (".html", ".htm")


@click.command()
@list_options
@collection_options
@output_option("The page.", default="report.html", show_default=True)
@click.option(
    "--see", is_flag=True,
    help="Add heat maps for what comes first of each list; each picture takes 50 times longer.",
)  # fmt: skip
@click.option("--title", metavar="TEXT", help="Heading of the page.  [default: the folder's name]")
@model_options
def report(
    *,
    asked: Asked,
    output: Path | None,
    see: bool,
    title: str | None,
    **options: Any,
) -> int:
    """Make one page to look at: pictures with bars, contact sheets for a phrase, counts.

    The page holds all that it shows, and opens in any browser. Without --list, --phrases or
    --phrase: artists, movements and surfaces. These three options and --exclude can be repeated.
    """  # fmt: skip
    if output is None or output.suffix.lower() not in _PAGES:
        msg = f"{output or '-'}: name a .html file for the page"
        raise click.UsageError(msg)
    reports.check(output)
    paths: Dataset | list[Path | Remote]
    dataset, missed = asked.dataset(), 0
    if dataset is None:
        paths, missed = asked.pictures()
    else:
        paths, options = dataset, dataset.options(options)
    spared((*asked.images, *asked.files, asked.names), output)
    chosen = asked.phrases(options["model"])
    if title is None and len(asked.images) == 1 and Path(asked.images[0]).is_dir():
        title = Path(asked.images[0]).resolve().name
    with opened(**options) as clip, encoding() as bar:
        if dataset is not None:
            dataset.check_model(clip)
        ranking = clip.ranking(chosen, encoding=bar)

        def maps(name: str, embedding: NDArray[np.float32]) -> list[HeatMap]:
            return clip.heat_maps(
                name, of_first(ranking.first(embedding), chosen), runs=QUALITIES["quick"]
            )

        heading = reports.Heading(
            clip.manifest.name, clip.variant, clip.templates, title or "Pictures and phrases",
            clip.manifest.note,
        )  # fmt: skip
        edge = _EDGE if len(paths) <= _MANY else _EDGE_OF_MANY
        most = clip.spec.max_pixels or most_pixels()
        kept = None
        files = [each for each in paths if isinstance(each, Path)] if dataset is None else []
        if clip.spec.store and files:
            with contextlib.closing(Store(cache_folder())) as known:
                kept = Kept(thumbnails_folder(), known, edge, most, files)
        pictures = paths if dataset is None else dataset.shown(offline=clip.spec.offline)
        with Counted(clip.embed_many(pictures), len(paths)) as results, writing(output) as about:
            size = reports.write(
                _some(results), ranking, heading, output, edge=edge,
                max_pixels=most, see=maps if see else None, small=kept.get if kept else None,
                offline=clip.spec.offline,
            )  # fmt: skip
            about += [counted(results.ok, "picture"), megabytes(size)]
        if kept:
            kept.prune(shelf.size_limit())
    return results.exit_code or missed


def _some(results: Counted[Found]) -> Iterator[Found]:
    """Pass results on; where all failed, end with an error, which leaves an old page as it was."""
    yield from results
    if not results.ok:
        raise NothingWrittenError
