"""The command that shows what a list says of any picture: `clip-gaze lists bias`."""

from __future__ import annotations

from typing import Any

import click

from clip_gaze.analysis import similarity
from clip_gaze.cli.asked import lists_of
from clip_gaze.cli.complete import LISTS
from clip_gaze.cli.options import model_options
from clip_gaze.cli.progress import encoding, opened
from clip_gaze.output import render, terminal, writers
from clip_gaze.pictures import neutral
from clip_gaze.results import Bias, FavouredPhrase
from clip_gaze.texts import phrases


@click.command()
@click.argument("name", type=LISTS)
@click.option("--top", type=click.IntRange(min=0), default=10, show_default=True, help="0: all.")
@click.option(
    "--format", "kind", type=click.Choice(("text", "json")), default="text", show_default=True
)
@model_options
def bias(name: str, top: int, kind: str, **options: Any) -> None:
    """Show which phrases of a list a model favours before it has seen anything.

    NAME is a shipped list. What counts is the mean logit over pictures that show nothing.
    """
    listed = lists_of(options["model"]).get(name) or phrases.load(name)
    with opened(**options) as clip, encoding() as bar:
        logits = clip.bias(listed, encoding=bar)
        shares = similarity.softmax(logits)
        found = Bias(
            name,
            clip.manifest.name,
            clip.variant,
            clip.templates,
            neutral.COUNT,
            len(listed),
            tuple(
                FavouredPhrase(listed[at], float(logits[at]), float(shares[at]))
                for at in similarity.best(shares, top)
            ),
        )
    writers.to_stdout(
        [render.json_object(found)] if kind == "json" else terminal.fitted(render.bias, found)
    )
