"""The command that makes a model folder for an app: `clip-gaze bundle`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clip_gaze.cli.asked import chosen_lists, lists_of
from clip_gaze.cli.options import list_options, model_options
from clip_gaze.cli.progress import encoding, opened, say_written
from clip_gaze.model.bundle import check_place
from clip_gaze.wording import megabytes

if TYPE_CHECKING:
    from collections.abc import Sequence


@click.command()
@click.argument("out", type=click.Path(path_type=Path), metavar="OUT")
@list_options
@model_options
def bundle(
    *, out: Path, lists: Sequence[str], files: Sequence[str], own: Sequence[str], **options: Any
) -> None:
    """Make a folder that answers the named lists alone, without text tower and tokenizer.

    It is used like any model: --model OUT. --list, --phrases and --template can be repeated; with
    a template, phrases are in the folder alone and in each of them.
    """
    chosen = chosen_lists(lists, files, own, bundled=lists_of(options["model"]))
    if not chosen:
        raise click.UsageError("name what the folder shall answer: --list, --phrases or --phrase")
    check_place(out)
    with opened(**options) as clip, encoding() as encoded:
        clip.bundle(out, chosen, encoding=encoded)
        size = sum(path.stat().st_size for path in out.iterdir())
        about = [f"{name} ({len(listed)})" for name, listed in chosen.items()]
        what = f"{clip.manifest.name} ({clip.variant})"
        say_written(out, ", ".join([what, megabytes(size), *about]))
