"""Paint pictures for the demo model, train it, and measure what it knows.

python export/demo_model.py paint|train|lines|evaluate|maps ...
"""

from __future__ import annotations

import importlib

import click

import command

COMMANDS = {
    "paint": "painter", "train": "train", "lines": "lines", "evaluate": "evaluate", "maps": "maps",
}  # fmt: skip


class Commands(click.Group):
    """Import a command's module when it is asked for: only training needs torch."""

    def list_commands(self, _: click.Context) -> list[str]:
        """Return the names of the commands."""
        return list(COMMANDS)

    def get_command(self, _: click.Context, name: str) -> click.Command | None:
        """Return a command by its name."""
        return importlib.import_module(f"demo.{COMMANDS[name]}").main if name in COMMANDS else None


if __name__ == "__main__":
    command.run(Commands(help=__doc__))
