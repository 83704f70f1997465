"""The cache of vectors: a SQLite file that may fail without harm, held to a size.

May import errors, late and system. SQLite is loaded when one of the names here is first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from clip_gaze.late import names, shown

if TYPE_CHECKING:
    from clip_gaze.store.cache import Store
    from clip_gaze.store.layout import FILE, used_by

__all__ = ["FILE", "Store", "used_by"]


__getattr__ = names(__name__, {"FILE": "layout", "Store": "cache", "used_by": "layout"})
__dir__ = shown(__name__)
