"""The commands about phrase lists: `clip-gaze lists`."""

from __future__ import annotations

import click

from clip_gaze.cli.complete import LISTS
from clip_gaze.cli.groups import ByName
from clip_gaze.output import terminal

_LATE = {"bias": ("bias", "Show which phrases of a list a model favours beforehand.")}


@click.group(
    cls=ByName, late=_LATE, invoke_without_command=True, subcommand_metavar="[NAME | bias NAME]"
)
@click.pass_context
def lists(context: click.Context) -> None:
    """Name the phrase lists that ship, or show the phrases of one."""
    if context.invoked_subcommand is None:
        from clip_gaze.texts import phrases

        width = terminal.columns()
        for name in phrases.names():
            entries = phrases.load(name)
            line = f"{name:32}{len(entries):6,}  {entries[0]}, {entries[-1]}"
            click.echo(line if width is None else terminal.shorten(line, width - 1))


@lists.command(hidden=True)
@click.argument("name", type=LISTS)
def show(name: str) -> None:
    """Show the phrases of a list."""
    from clip_gaze.texts import phrases

    click.echo("\n".join(phrases.load(name)))
