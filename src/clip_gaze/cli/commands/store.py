"""`clip-gaze store`: what is kept of earlier runs: vectors, packed weights and thumbnails."""

from __future__ import annotations

import contextlib

import click

from clip_gaze.pictures.kept_thumbnails import ENDING
from clip_gaze.store import FILE, Store, used_by
from clip_gaze.system import shelf
from clip_gaze.system.paths import cache_folder, packed_folder, thumbnails_folder
from clip_gaze.wording import counted, megabytes


@click.group(invoke_without_command=True)
@click.pass_context
def store(context: click.Context) -> None:
    """Say what is kept of earlier runs, and where: vectors, packed weights and thumbnails."""
    if context.invoked_subcommand is None:
        with contextlib.closing(Store(cache_folder())) as kept:
            counts = kept.counts()
        click.echo(f"{cache_folder() / FILE}  {megabytes(used_by(cache_folder()))}")
        known = (
            counted(counts.get(k, 0), w) for k, w in (("text", "phrase"), ("vision", "picture"))
        )
        click.echo(f"  {', '.join(known)}")
        if graphs := shelf.sizes(packed_folder()):
            click.echo(f"{packed_folder()}  {megabytes(sum(graphs.values()))}")
            click.echo(f"  packed weights of {counted(len(graphs), 'graph')}")
        if small := shelf.sizes(thumbnails_folder(), ENDING):
            click.echo(f"{thumbnails_folder()}  {megabytes(sum(small.values()))}")
            click.echo(f"  {counted(len(small), 'thumbnail')}")


@store.command()
def clear() -> None:
    """Forget all that is kept of earlier runs; it is made again when needed."""
    shelf.remove(packed_folder())
    shelf.remove(thumbnails_folder())
    with contextlib.closing(Store(cache_folder())) as kept:
        kept.clear()


@store.command()
@click.option(
    "--max-size",
    metavar="SIZE",
    help="What may stay of each, such as 500MB; else what CLIP_GAZE_STORE_SIZE says, or 1 GB of "
    "vectors, 1 GB of thumbnails and 2 GB of packed weights.",
)
def prune(max_size: str | None) -> None:
    """Forget vectors, and remove packed weights and thumbnails, until each are small enough.

    Vectors of pictures that are gone go first, then what was not used for longest.
    """
    most = None if max_size is None else shelf.parse_size(max_size)
    folder = cache_folder()
    freed = shelf.prune(packed_folder(), shelf.size_limit(packed=True) if most is None else most)
    small = shelf.size_limit() if most is None else most
    freed += shelf.prune(thumbnails_folder(), small, ending=ENDING)
    with contextlib.closing(Store(folder)) as kept:
        before = used_by(folder)
        forgotten = kept.prune(most)
    freed += max(0, before - used_by(folder))
    click.echo(f"{megabytes(freed)} freed, {counted(forgotten, 'vector')} forgotten")
