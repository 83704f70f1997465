"""The command that compares pictures: `clip-gaze compare`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clip_gaze.analysis import compare as comparing
from clip_gaze.cli.options import (
    SOME_FAILED,
    chosen_lists,
    collected,
    for_reader,
    list_options,
    model_options,
    opened,
    picture_options,
)
from clip_gaze.drawing import canvas, chart
from clip_gaze.errors import PictureError
from clip_gaze.output import compare_text, writers
from clip_gaze.pictures.edits import edited
from clip_gaze.pictures.load import most_pixels, upright
from clip_gaze.pictures.preprocess import rgb

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from PIL import Image

    Named = tuple[str, Image.Image | PictureError]


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
    megapixels = options["max_megapixels"]
    pixels = int(megapixels * 1e6) if megapixels else None
    pictures = edited(paths[0], pixels) if edits else _opened(paths, pixels)
    small: list[Image.Image] = []
    with opened(**options) as clip:
        if edits or output is not None:
            found = comparing.named(clip, _kept(pictures, small), chosen, top)
        else:
            found = comparing.compare(clip, paths, chosen, top)
    bad = [each for each in found.images if each.status == "error"]
    for each in bad:
        click.echo(f"clip-gaze: error: {each.error}", err=True)
    if kind == "text":
        writers.to_stdout(for_reader(compare_text.text, found))
    else:
        made = compare_text.to_csv(found) if kind == "csv" else [compare_text.to_json(found)]
        writers.to_stdout(made)
    if output is not None:
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


def _opened(paths: Sequence[Path], pixels: int | None) -> Iterator[Named]:
    """Yield picture files, upright and in RGB, or what is wrong with them, with their names."""
    for path in paths:
        try:
            yield str(path), rgb(upright(path, pixels or most_pixels()))
        except PictureError as error:
            yield str(path), error


def _kept(pictures: Iterable[Named], small: list[Image.Image]) -> Iterator[Named]:
    """Pass pictures on; those that could be read leave a small copy for the chart."""
    for name, picture in pictures:
        if not isinstance(picture, PictureError):
            small.append(chart.thumbnail(picture))
        yield name, picture
