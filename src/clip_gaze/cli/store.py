"""`clip-gaze store`: what is kept of earlier runs."""

from __future__ import annotations

import contextlib

import click

from clip_gaze.store import FILE, Store, parse_size
from clip_gaze.system import files
from clip_gaze.system.paths import cache_folder
from clip_gaze.wording import megabytes


@click.group(invoke_without_command=True)
@click.pass_context
def store(context: click.Context) -> None:
    """Say where vectors of earlier runs are kept, and how many there are."""
    if context.invoked_subcommand is None:
        with contextlib.closing(Store(cache_folder())) as kept:
            counts = kept.counts()
        click.echo(f"{cache_folder() / FILE}  {megabytes(_bytes())}")
        click.echo(f"  {counts.get('text', 0):,} phrases, {counts.get('vision', 0):,} pictures")


@store.command()
def clear() -> None:
    """Forget all vectors of earlier runs; they are computed again when they are needed."""
    with contextlib.closing(Store(cache_folder())) as kept:
        kept.clear()


@store.command()
@click.option(
    "--max-size",
    metavar="SIZE",
    help="What may stay, such as 500MB; else what CLIP_GAZE_STORE_SIZE says, or 1 GB.",
)
def prune(max_size: str | None) -> None:
    """Forget vectors until the file is small enough.

    Those of pictures that are gone go first, then those that were not used for longest.
    """
    most = None if max_size is None else parse_size(max_size)
    with contextlib.closing(Store(cache_folder())) as kept:
        before = _bytes()
        forgotten = kept.prune(most)
    freed = max(0, before - _bytes())
    click.echo(f"{megabytes(freed)} freed, {forgotten:,} vectors forgotten")


def _bytes() -> int:
    """Return what the store takes on the disk."""
    return sum(files.size(path) for path in cache_folder().glob("vectors-*"))
