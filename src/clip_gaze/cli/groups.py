"""Groups of commands: some are loaded when they are run, some show what is named."""

from __future__ import annotations

import gc
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from collections.abc import Mapping


class Late(click.Group):
    """A group whose commands are loaded when they are run; those that it holds are hidden."""

    def __init__(self, *args: Any, late: Mapping[str, tuple[str, str]], **options: Any) -> None:
        """Make a group; `late`: name -> module below `commands`, and line in the help."""
        super().__init__(*args, **options)
        self._late = late

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        del ctx
        return list(self._late)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write a line for each command, without loading any."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, about) for name, (_, about) in self._late.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the commands and options that a word may become, without loading any."""
        options = click.Command.shell_complete(self, ctx, incomplete)
        found = [name for name in self._late if name.startswith(incomplete)]
        return [*(CompletionItem(name, help=self._late[name][1]) for name in found), *options]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, after loading its module."""
        if cmd_name not in self._late:
            return super().get_command(ctx, cmd_name)
        # The collector would take 10 ms, and modules that are loaded leave no garbage.
        was_on = gc.isenabled()
        gc.disable()
        try:
            module = import_module(f"clip_gaze.cli.commands.{self._late[cmd_name][0]}")
        finally:
            if was_on:
                gc.enable()
        found: click.Command = getattr(module, cmd_name)
        return found


class ByName(Late):
    """A group for which a word that is no command is the name of what `show` shows."""

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return what a word may become: a name, a command or an option."""
        argument = self.commands["show"].params[0]
        names = argument.type.shell_complete(ctx, argument, incomplete)
        return [*names, *super().shell_complete(ctx, incomplete)]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Show what is named."""
        return super().resolve_command(
            ctx, args if self.get_command(ctx, args[0]) else ["show", *args]
        )
