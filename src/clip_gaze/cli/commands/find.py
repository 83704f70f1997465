"""The command that finds pictures: `clip-gaze find`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from clip_gaze.analysis.defaults import NEAR
from clip_gaze.cli.asked import Asked
from clip_gaze.cli.options import format_option, model_options, output_option, picture_options
from clip_gaze.cli.places import spared, undrawn
from clip_gaze.cli.progress import (
    SOME_FAILED,
    NothingWrittenError,
    bar,
    encoding,
    opened,
    say,
    say_looked_at,
)
from clip_gaze.cli.query import ALL, Minus, check_addresses, term, where
from clip_gaze.cli.sheets import KINDS, Out, put
from clip_gaze.pictures.source import named
from clip_gaze.results import Duplicates, Search

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from clip_gaze.pictures.source import Remote
    from clip_gaze.search.gallery import Gallery


@click.command(cls=Minus)
@click.argument("query", nargs=-1, metavar="QUERY... [FOLDER|DATASET|all]")
@click.option("--like", multiple=True, metavar="PICTURE", help="A picture that is looked for.")
@click.option(
    "--not", "without", multiple=True, metavar="TEXT|PICTURE",
    help='What is taken away; -"some words" says the same.',
)  # fmt: skip
@click.option("--duplicates", is_flag=True, help="Find pictures that are equal or nearly so.")
@click.option(
    "--threshold", type=click.FloatRange(-1, 1), default=NEAR, show_default=True,
    help="With --duplicates: the least cosine.",
)  # fmt: skip
@click.option(
    "--top", type=click.IntRange(min=0), default=10, show_default=True,
    help="Pictures to show; 0 for all.",
)  # fmt: skip
@click.option("--min", "least", type=click.FloatRange(-1, 1), help="The least cosine.")
@format_option(*KINDS)
@output_option("Write here; .html, .png, .jpg, .webp and .svg are contact sheets.")
@click.option(
    "-0", "null", is_flag=True, help="Print names alone, each with a zero byte behind it."
)
@click.option("--open", "show", is_flag=True, help="Open a contact sheet.")
@picture_options
@model_options
def find(
    *,
    query: Sequence[str],
    like: Sequence[str],
    without: Sequence[str],
    duplicates: bool,
    threshold: float,
    top: int,
    least: float | None,
    **options: Any,
) -> int:
    """Find the pictures that are nearest to words, to pictures, or to a sum of both.

    The last word may be a folder, a dataset that `embed` made, or `all`, which is the default: all
    pictures that clip-gaze has looked at. Words are pictures where there is such a file. What has
    a - before it is taken away: clip-gaze find "a harbour" -"boats" sketch.jpg my_scans
    """
    offline = options["offline"]
    out = Out(offline, *map(options.pop, ("output", "kind", "null", "show")))
    words, place = where(query, offline=offline)
    check_addresses((*like, *without), offline=offline)
    is_query = bool(words or like or without)
    if is_query is duplicates:
        what = "--duplicates takes a folder, and no query"
        raise click.UsageError(what if is_query else "say what to look for: words or a picture")
    out.check(duplicates=duplicates)
    images: list[Path | Remote] | Gallery | None = None  # all that were seen
    code = 0
    asked = Asked([place], (), (), (), options.pop("recursive"), options.pop("exclude"))
    dataset = None if place == ALL else asked.dataset()
    if dataset is not None:
        images, options = dataset.gallery(), dataset.options(options)
    elif place != ALL:
        listed, code = asked.pictures()
        images = undrawn(listed, out.path)
    spared((*words, *like, *without), out.path)
    began = time.monotonic()
    terms = [*map(term, words), *map(named, like)]
    with opened(**options) as clip, encoding() as encoded, bar("looking", " pictures") as looking:
        if dataset is not None:
            dataset.check_model(clip)
        answer: Search | Duplicates
        if duplicates:
            with bar("comparing", " pictures") as comparing:
                answer = clip.duplicates(images, threshold, progress=looking, comparing=comparing)
        else:
            answer = clip.find(
                terms, images, without=[term(each) for each in without], top=top, least=least,
                progress=looking, encoding=encoded,
            )  # fmt: skip
        note = clip.manifest.note
    out.check_found(answer)
    _say_missing(answer)
    nothing = answer.unread and not answer.searched
    unseen = 0 if nothing else put(answer, out, note)
    if isinstance(images, list):
        say_looked_at(len(images), len(answer.unread), began)
    if nothing:
        raise NothingWrittenError
    return SOME_FAILED if answer.unread or unseen else code


def _say_missing(answer: Search | Duplicates) -> None:
    for each in answer.unread:
        say(f"clip-gaze: error: {each.error}")
    if isinstance(answer, Search) and answer.gone:
        what = "picture is" if answer.gone == 1 else "pictures are"
        say(f"clip-gaze: {answer.gone:,} nearer {what} gone or changed since, and left out")
