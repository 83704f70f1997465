"""Words that a shell offers while a command is typed: lists, models and variants."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from clip_gaze.errors import GazeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class Words(click.ParamType):  # type: ignore[type-arg,unused-ignore] # generic since 8.5
    """A text of which some values are known; each other is taken too."""

    name = "text"

    def __init__(self, known: Callable[[click.Context], Iterable[str]]) -> None:
        """Name what returns the known values."""
        self._known = known

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Return the known values that the word may become; of several, the last is unfinished."""
        del param
        before, comma, last = incomplete.rpartition(",")
        try:
            found = [each for each in self._known(ctx) if each.startswith(last)]
        except GazeError:  # a model folder that cannot be read
            found = []
        return [CompletionItem(before + comma + each) for each in found]


def _lists(_: click.Context) -> Iterable[str]:
    from clip_gaze.texts import phrases  # noqa: PLC0415 - late, as below: help does without

    return phrases.names()


def _models(_: click.Context) -> Iterable[str]:
    from clip_gaze.model import registry  # noqa: PLC0415

    return registry.names()


def _variants(ctx: click.Context) -> Iterable[str]:
    from clip_gaze.model import registry  # noqa: PLC0415

    return registry.find(ctx.params.get("model")).manifest.variants


LISTS, MODELS, VARIANTS = Words(_lists), Words(_models), Words(_variants)
