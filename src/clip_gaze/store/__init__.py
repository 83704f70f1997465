"""The cache of vectors: a SQLite file that may fail without harm, held to a size.

May import errors alone.
"""

from clip_gaze.store.cache import Store
from clip_gaze.store.layout import FILE
from clip_gaze.store.prune import parse_size

__all__ = ["FILE", "Store", "parse_size"]
