"""The cache of vectors: a SQLite file that may fail without harm, held to a size.

May import errors and system. SQLite is loaded when one of the names here is first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clip_gaze.store.cache import Store
    from clip_gaze.store.layout import FILE, used_by

__all__ = ["FILE", "Store", "used_by"]


def __getattr__(name: str) -> object:
    """Import a name when it is first asked for: who keeps nothing needs no SQLite."""
    if name not in __all__:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    module = import_module(f"{__name__}.{'cache' if name == 'Store' else 'layout'}")
    return globals().setdefault(name, getattr(module, name))
