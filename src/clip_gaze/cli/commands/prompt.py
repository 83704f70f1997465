"""The command that makes a line of words for a picture: `clip-gaze prompt`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from clip_gaze.analysis.prompt import BETWEEN, MOST, Rules
from clip_gaze.cli.asked import chosen_lists
from clip_gaze.cli.options import (
    bare_model_options,
    format_option,
    list_options,
    megapixels_option,
    output_option,
)
from clip_gaze.cli.places import for_text, spared
from clip_gaze.cli.progress import bar, encoding, opened, writing
from clip_gaze.output import lines, names, writers
from clip_gaze.output.terminal import fitted

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@click.command()
@click.argument("image", metavar="IMAGE")
@list_options
@click.option("--free", is_flag=True, help="Take more than one phrase of a list, where it helps.")
@click.option(
    "--with", "words", default="", metavar="TEXT", help="Words of your own to begin with."
)
@click.option(
    "--without", multiple=True, metavar="TEXT", help="Take no phrase that has this in it."
)
@click.option("--negative", is_flag=True, help="Make the line that is farthest from the picture.")
@click.option(
    "--style", type=click.Choice(tuple(BETWEEN)), default="plain", show_default=True,
    help="sd: with commas between the phrases.",
)  # fmt: skip
@click.option(
    "--tries", type=click.IntRange(min=50), default=MOST, show_default=True,
    help="Try so many lines at most.",
)  # fmt: skip
@output_option("Write here instead of to standard output.")
@format_option("text", "json")
@megapixels_option
@bare_model_options
def prompt(
    *,
    image: str,
    words: str,
    without: Sequence[str],
    output: Path | None,
    kind: str | None,
    **options: Any,
) -> None:
    """Make the line of phrases that is closest to a picture, to begin a prompt with.

    Without --list, --phrases or --phrase: genres, artists, movements, painting materials and
    surfaces, one phrase of each at most. These three options and --without can be repeated.
    """
    named, files, own = map(options.pop, ("lists", "files", "own"))
    lists = chosen_lists(named, files, own, alone=True)
    rules = Rules(words.strip(), *map(options.pop, ("free", "negative", "style", "tries")))
    for_text(output)
    spared((image, *files), output)
    with opened(**options) as clip, encoding() as encoded, bar("trying lines") as trying:
        found = clip.prompt(
            image, lists or None, rules, without=without, progress=trying, encoding=encoded
        )
    found = names.spelled(found)
    is_json = (kind or writers.kind_of(output)) == "json"
    with writing(output):
        writers.put(
            [lines.json_object(found)] if is_json else fitted(lines.text, found, output), output
        )
