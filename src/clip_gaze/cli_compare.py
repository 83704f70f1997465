"""The command that compares pictures: `clip-gaze compare`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clip_gaze import chart, collect, compare_text, drawing, outputs
from clip_gaze import compare as comparing
from clip_gaze.cli_options import (
    SOME_FAILED,
    chosen_lists,
    list_options,
    model_options,
    opened,
    picture_options,
)
from clip_gaze.images import rgb
from clip_gaze.opening import upright

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from clip_gaze.compare import Comparison

_CHARTS = (".svg", ".png")


@click.command()
@click.argument("images", nargs=-1, required=True, metavar="IMAGE|FOLDER...")
@click.option("--edits", is_flag=True, help="Compare one picture with edits that are made of it.")
@list_options
@picture_options
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
    help="Draw a chart too: FILE ends in .svg or .png.",
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
    paths = collect.pictures(images, recursive=recursive, exclude=exclude)
    _check(paths, kind, output, edits=edits)
    megapixels = options["max_megapixels"]
    pixels = int(megapixels * 1e6) if megapixels else None
    with opened(**options) as clip:
        if edits:
            found = comparing.with_edits(clip, paths[0], chosen, top, pixels)
        else:
            found = comparing.compare(clip, paths, chosen, top)
    bad = [each for each in found.images if each.status == "error"]
    for each in bad:
        click.echo(f"clip-gaze: error: {each.error}", err=True)
    pieces = {"text": compare_text.text, "csv": compare_text.to_csv}
    outputs.to_stdout(pieces[kind](found) if kind in pieces else [compare_text.to_json(found)])
    if output is not None:
        shown = (image for _, image in comparing.edited(paths[0], pixels))
        if not edits:
            read = [found.reference, *(each.image for each in found.images if each not in bad)]
            shown = (rgb(upright(path, pixels)) for path in read)
        _write_chart(output, found, shown)
    return SOME_FAILED if bad else 0


def _check(paths: Sequence[Path], kind: str, output: Path | None, *, edits: bool) -> None:
    """Refuse what cannot be done before the model is opened."""
    if edits and len(paths) != 1:
        raise click.UsageError("--edits goes with one picture")
    if not edits and len(paths) < 2:
        raise click.UsageError("name two pictures or more, or one with --edits")
    if len(paths) > chart.MOST and (kind == "text" or output is not None):
        msg = f"a table or chart to read has at most {chart.MOST} pictures; use --format csv"
        raise click.UsageError(msg)
    if output is not None and output.suffix.lower() not in _CHARTS:
        msg = f"{output}: -o draws a chart, .svg or .png; the table goes to standard output"
        raise click.UsageError(msg)


def _write_chart(output: Path, found: Comparison, images: Iterable[Any]) -> None:
    made = chart.draw(found, [chart.thumbnail(image) for image in images])
    with outputs.to_file(output) as part:
        if output.suffix.lower() == ".svg":
            part.write_text(drawing.svg(made), encoding="utf-8", newline="\n")
        else:
            drawing.picture(made).save(part, "PNG", optimize=True)
