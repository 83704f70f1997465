"""The command that makes a line of words for a picture: `clip-gaze prompt`."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clip_gaze.analysis.prompt import BETWEEN, MOST, Rules
from clip_gaze.cli.options import list_options, megapixels_option, model_options, output_option
from clip_gaze.cli.progress import encoding, opened
from clip_gaze.output import lines, names, writers
from clip_gaze.output.terminal import fitted
from clip_gaze.system.files import check_place
from clip_gaze.texts import phrases

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_KINDS = ("text", "json")


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
@click.option(
    "--format", "kind", type=click.Choice(_KINDS), help="[default: what FILE ends in, else text]"
)
@megapixels_option
@model_options
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
    lists = _lists(*(options.pop(each) for each in ("lists", "files", "own")))
    free, negative, style, tries = (
        options.pop(each) for each in ("free", "negative", "style", "tries")
    )
    if output is not None:
        check_place(output)
    rules = Rules(words.strip(), free, negative, style, tries)
    with opened(**options) as clip, encoding() as bar, _trying() as trying:
        found = clip.prompt(image, lists, rules, without=without, progress=trying, encoding=bar)
    found = names.spelled(found)
    if (kind or writers.kind_of(output)) == "json":
        writers.put([lines.json_object(found)], output)
    else:
        writers.put(fitted(lines.text, found, output), output)


def _lists(
    lists: Sequence[str], files: Sequence[str], own: Sequence[str]
) -> dict[str, tuple[str, ...]] | None:
    """Return name -> phrases for what was asked for; None for nothing."""
    chosen = {name: phrases.load(name) for name in lists}
    chosen |= {names.as_text(Path(file).stem): phrases.read(file) for file in files}
    spoken = phrases.unique(phrase.strip() for phrase in own if phrase.strip())
    return chosen | ({phrases.OWN: spoken} if spoken else {}) or None


@contextlib.contextmanager
def _trying() -> Iterator[Callable[[int, int], object]]:
    """Show a bar while lines are tried; yields what is told of the progress."""
    if not sys.stderr.isatty():
        yield lambda *_: None
        return
    from tqdm import tqdm  # noqa: PLC0415 - takes 5 MB, which are saved where no bar is shown

    with tqdm(total=MOST, desc="trying lines", unit="", delay=0.5, leave=False) as bar:

        def show(tried: int, most: int) -> None:
            bar.total = most
            bar.update(tried - bar.n)

        yield show
