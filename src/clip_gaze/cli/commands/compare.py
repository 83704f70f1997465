"""The command that compares pictures: `clip-gaze compare`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from clip_gaze.cli.options import asking_options, format_option, model_options, output_option
from clip_gaze.cli.places import for_text, spared, undrawn
from clip_gaze.cli.progress import SOME_FAILED, encoding, opened, say, writing
from clip_gaze.drawing import canvas, chart
from clip_gaze.output import names, render, tables, writers
from clip_gaze.output.terminal import fitted
from clip_gaze.pictures.edits import edited
from clip_gaze.pictures.load import upright
from clip_gaze.pictures.memory import most_pixels
from clip_gaze.pictures.preprocess import rgb
from clip_gaze.pictures.source import source

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from clip_gaze.cli.asked import Asked
    from clip_gaze.pictures.source import Source


_KINDS = ("text", "json", "csv")


@click.command()
@click.option("--edits", is_flag=True, help="Compare one picture with edits that are made of it.")
@asking_options
@output_option(
    "Draw a chart too, if FILE ends in .png, .jpg, .webp or .svg; else write here instead of to "
    "standard output."
)
@format_option(*_KINDS)
@click.option(
    "--top", type=click.IntRange(min=0), default=5, show_default=True,
    help="Of each list, phrases that rise most and that fall most; 0 for all.",
)  # fmt: skip
@model_options
def compare(
    *,
    asked: Asked,
    edits: bool,
    output: Path | None,
    kind: str | None,
    top: int,
    **options: Any,
) -> int:
    """Say which phrases are likelier in one picture than in another, and which less.

    All pictures are compared with the first. --edits compares a picture with its middle, and
    with itself in grey, blurred and mirrored. Without --list, --phrases or --phrase: artists,
    movements and surfaces. These three options and --exclude can be repeated.
    """
    chosen = asked.phrases(options["model"])
    paths, missed = asked.pictures()
    table, drawing = _places(kind, output)
    kind = kind or writers.kind_of(table) or "text"
    spared(asked.files, output)
    paths = undrawn(paths, drawing)
    _check(paths, kind, drawing, edits=edits)

    def pictures(limit: int | None) -> Iterable[Source]:
        return edited(paths[0], limit) if edits else map(source, paths)

    with opened(**options) as clip, encoding() as bar:
        limit = clip.spec.max_pixels
        found = clip.compare(pictures(limit), chosen, top, encoding=bar)
    bad = [each for each in found.images if each.status == "error"]
    for each in bad:
        say(f"clip-gaze: error: {each.error}")
    spelled = names.spelled_all(found)
    if kind == "csv":
        made = writers.marked(tables.csv_compared(spelled), table)
    elif kind == "json":
        made = iter([render.json_object(spelled)])
    else:
        made = fitted(render.comparison, spelled, table)
    with writing(table):
        writers.put(made, table)
    if drawing is not None:
        unread = {each.image for each in bad}
        read = (each for each in pictures(limit) if each.name not in unread)
        small = [chart.thumbnail(rgb(upright(each, limit or most_pixels()))) for each in read]
        with writing(drawing):
            canvas.write(chart.draw(found, small), drawing)
    return SOME_FAILED if bad else missed


def _places(kind: str | None, output: Path | None) -> tuple[Path | None, Path | None]:
    """Return where the table goes, None for standard output, and where the chart does."""
    if output is None or output.suffix.lower() in canvas.KINDS:
        return None, output
    if kind is None and writers.kind_of(output) not in _KINDS:
        canvas.check(output)  # raises what it takes
    for_text(output)
    return output, None


def _check(paths: Sequence[object], kind: str, drawing: Path | None, *, edits: bool) -> None:
    """Refuse what cannot be done before the model is opened."""
    if edits and len(paths) != 1:
        raise click.UsageError("--edits goes with one picture")
    if not edits and len(paths) < 2:
        raise click.UsageError("name two pictures or more, or one with --edits")
    if len(paths) > chart.MOST and (kind == "text" or drawing is not None):
        instead = "write a table in its place, -o FILE.csv" if drawing else "use --format csv"
        msg = f"a table or chart to read has at most {chart.MOST} pictures; {instead}"
        raise click.UsageError(msg)
    if drawing is not None:
        canvas.check(drawing)
