"""`clip-gaze store`: what is kept of earlier runs, vectors and packed weights."""

from __future__ import annotations

import contextlib

import click

from clip_gaze.store import FILE, Store, used_by
from clip_gaze.system import shelf
from clip_gaze.system.paths import cache_folder, packed_folder
from clip_gaze.wording import megabytes


@click.group(invoke_without_command=True)
@click.pass_context
def store(context: click.Context) -> None:
    """Say where vectors and packed weights of earlier runs are kept, and how many there are."""
    if context.invoked_subcommand is None:
        with contextlib.closing(Store(cache_folder())) as kept:
            counts = kept.counts()
        click.echo(f"{cache_folder() / FILE}  {megabytes(used_by(cache_folder()))}")
        click.echo(f"  {counts.get('text', 0):,} phrases, {counts.get('vision', 0):,} pictures")
        if graphs := shelf.sizes(packed_folder()):
            click.echo(f"{packed_folder()}  {megabytes(sum(graphs.values()))}")
            click.echo(f"  packed weights of {len(graphs):,} graphs")


@store.command()
def clear() -> None:
    """Forget all vectors and packed weights of earlier runs; they are made again when needed."""
    shelf.remove(packed_folder())
    with contextlib.closing(Store(cache_folder())) as kept:
        kept.clear()


@store.command()
@click.option(
    "--max-size",
    metavar="SIZE",
    help="What may stay of each, such as 500MB; else what CLIP_GAZE_STORE_SIZE says, or 1 GB of "
    "vectors and 2 GB of packed weights.",
)
def prune(max_size: str | None) -> None:
    """Forget vectors, and remove packed weights, until both are small enough.

    Vectors of pictures that are gone go first, then what was not used for longest.
    """
    most = None if max_size is None else shelf.parse_size(max_size)
    folder = cache_folder()
    freed = shelf.prune(packed_folder(), shelf.size_limit(packed=True) if most is None else most)
    with contextlib.closing(Store(folder)) as kept:
        before = used_by(folder)
        forgotten = kept.prune(most)
    freed += max(0, before - used_by(folder))
    click.echo(f"{megabytes(freed)} freed, {forgotten:,} vectors forgotten")
