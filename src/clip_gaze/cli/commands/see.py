"""The command that shows where a picture speaks for a phrase: `clip-gaze see`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from clip_gaze.analysis.defaults import QUALITIES
from clip_gaze.cli.complete import LISTS
from clip_gaze.cli.options import (
    corrected_option,
    megapixels_option,
    model_options,
    output_option,
)
from clip_gaze.cli.places import for_text, spared
from clip_gaze.cli.progress import bar, encoding, opened, writing
from clip_gaze.drawing import canvas, heatmap
from clip_gaze.output import names, render, writers
from clip_gaze.texts import phrases

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@click.command()
@click.argument("image", metavar="IMAGE")
@click.argument("asked", nargs=-1, required=True, metavar="PHRASE...")
@click.option(
    "-l", "--list", "name", metavar="NAME", type=LISTS,
    help="A shipped list to weigh the phrases against.",
)  # fmt: skip
@click.option("--phrases", "file", metavar="FILE", help="A text file to weigh them against.")
@output_option("Where to write: .png, .jpg, .webp or .svg, or .json; JSON needs none.")
@click.option(
    "--format",
    "kind",
    type=click.Choice(("picture", "json")),
    help="[default: json for a FILE that ends in .json, else picture]",
)
@click.option(
    "--quality",
    type=click.Choice(tuple(QUALITIES)),
    default="normal",
    show_default=True,
    help="Look at {}, {} or {} versions of the picture.".format(*QUALITIES.values()),
)
@click.option(
    "--edge",
    type=click.IntRange(min=100, max=4000),
    default=heatmap.EDGE,
    show_default=True,
    help="Longer edge of each drawn picture, in pixels.",
)
@corrected_option
@megapixels_option
@model_options
def see(
    *,
    image: str,
    asked: Sequence[str],
    name: str | None,
    file: str | None,
    output: Path | None,
    kind: str | None,
    quality: str,
    edge: int,
    corrected: bool,
    **options: Any,
) -> None:
    """Show where a picture speaks for a phrase, and where against it.

    Parts of the picture are covered one by one, and what the phrase loses is measured. Without
    --list or --phrases, a phrase is weighed against the shipped list that has it, or `genres`.
    """
    if name is not None and file is not None:
        raise click.UsageError("--list and --phrases exclude each other")
    _check(kind, output)
    spared((image, file), output)
    against = phrases.read(file) if file is not None else name
    runs = QUALITIES[quality]
    with opened(**options) as clip, encoding() as encoded, bar("covering") as progress:
        maps = clip.see(
            image, list(asked), against,
            runs=runs, corrected=corrected, progress=progress, encoding=encoded,
        )  # fmt: skip
    with writing(output):
        if output is None or _is_json(kind, output):
            writers.put(render.json_maps(map(names.spelled, maps)), output)
        else:
            heatmap.write(image, maps, output, edge=edge)


def _is_json(kind: str | None, output: Path) -> bool:
    return (kind or writers.kind_of(output)) == "json"


def _check(kind: str | None, output: Path | None) -> None:
    """Refuse what cannot be written before the model is opened."""
    if output is None:
        if kind != "json":
            raise click.UsageError("name a file for the picture, such as -o map.png")
    elif not _is_json(kind, output):
        canvas.check(output)
    elif output.suffix.lower() in canvas.KINDS:
        msg = f"{output}: JSON is no picture; name a file that ends in .json"
        raise click.UsageError(msg)
    else:
        for_text(output)
