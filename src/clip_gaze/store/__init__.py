"""The cache of vectors: a SQLite file that may fail without harm, held to a size.

May import errors alone.
"""

from clip_gaze.store.cache import Store
from clip_gaze.store.layout import FILE, used_by
from clip_gaze.store.prune import parse_size, size_limit

__all__ = ["FILE", "Store", "parse_size", "size_limit", "used_by"]
