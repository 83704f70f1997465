"""The command that compares pictures: `clip-gaze compare`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clip_gaze.cli.options import (
    SOME_FAILED,
    chosen_lists,
    collected,
    encoding,
    for_reader,
    list_options,
    model_options,
    opened,
    picture_options,
)
from clip_gaze.drawing import canvas, chart
from clip_gaze.output import compare_text, writers
from clip_gaze.pictures.edits import edited
from clip_gaze.pictures.load import most_pixels, upright
from clip_gaze.pictures.preprocess import rgb
from clip_gaze.pictures.source import source

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from clip_gaze.pictures.source import Source


@click.command()
@click.argument("images", nargs=-1, required=True, metavar="IMAGE|FOLDER...")
@click.option("--edits", is_flag=True, help="Compare one picture with edits that are made of it.")
@list_options
@picture_options
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
    help="Draw a chart too: FILE ends in .png, .jpg, .webp or .svg.",
)  # fmt: skip
@click.option(
    "--format", "kind", type=click.Choice(["text", "json", "csv"]), default="text",
    show_default=True,
)  # fmt: skip
@click.option(
    "--top", type=click.IntRange(min=0), default=5, show_default=True,
    help="Of each list, phrases that rise most and that fall most; 0 for all.",
)  # fmt: skip
@model_options
def compare(
    *,
    images: Sequence[str],
    edits: bool,
    recursive: bool,
    exclude: Sequence[str],
    output: Path | None,
    kind: str,
    top: int,
    **options: Any,
) -> int:
    """Say which phrases are likelier in one picture than in another, and which less.

    All pictures are compared with the first. --edits compares a picture with its middle, and
    with itself in grey, blurred and mirrored. Without --list, --phrases or --phrase: artists,
    movements and surfaces. These three options and --exclude can be repeated.
    """
    chosen = chosen_lists(*(options.pop(each) for each in ("lists", "files", "own")))
    paths, missed = collected(images, recursive=recursive, exclude=exclude)
    _check(paths, kind, output, edits=edits)

    def pictures(limit: int | None) -> Iterable[Source]:
        return edited(paths[0], limit) if edits else map(source, paths)

    with opened(**options) as clip, encoding() as bar:
        limit = clip.spec.max_pixels
        found = clip.compare(pictures(limit), chosen, top, encoding=bar)
    bad = [each for each in found.images if each.status == "error"]
    for each in bad:
        click.echo(f"clip-gaze: error: {each.error}", err=True)
    if kind == "text":
        writers.to_stdout(for_reader(compare_text.text, found))
    else:
        made = compare_text.to_csv(found) if kind == "csv" else [compare_text.to_json(found)]
        writers.to_stdout(made)
    if output is not None:
        names = {each.image for each in bad}
        read = (each for each in pictures(limit) if each.name not in names)
        small = [chart.thumbnail(rgb(upright(each, limit or most_pixels()))) for each in read]
        canvas.write(chart.draw(found, small), output)
    return SOME_FAILED if bad else missed


def _check(paths: Sequence[Path], kind: str, output: Path | None, *, edits: bool) -> None:
    """Refuse what cannot be done before the model is opened."""
    if edits and len(paths) != 1:
        raise click.UsageError("--edits goes with one picture")
    if not edits and len(paths) < 2:
        raise click.UsageError("name two pictures or more, or one with --edits")
    if len(paths) > chart.MOST and (kind == "text" or output is not None):
        msg = f"a table or chart to read has at most {chart.MOST} pictures; use --format csv"
        raise click.UsageError(msg)
    if output is not None:
        canvas.check(output)
