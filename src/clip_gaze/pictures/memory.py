"""Decide how large a picture may be, and how many are open at once, by the memory that is free."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

from clip_gaze.system.resources import free_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

# Set by a program that is nothing but clip-gaze: Pillow's own limit, which holds for a whole
# process and knows nothing of its memory, is then lifted.
alone = False
# Pillow keeps four bytes a pixel, and turning or converting a picture makes another one.
_BYTES_PER_PIXEL = 12
# Larger than what cameras and scanners for a desk make.
_USUAL = 90_000_000


def most_pixels(copies: int = 1) -> int | None:
    """Return how large a picture may be.

    Args:
        copies: how many pictures of that size stand in memory beside each other.

    Returns:
        Pixels: what fits in half the free memory, but not less than 90 million where these fit in
        all of it; None where the system does not say how much memory is free.
    """
    free = free_bytes()
    if free is None:
        return None
    fitting = free // (copies * _BYTES_PER_PIXEL)
    return max(fitting // 2, min(fitting, _USUAL))


class Room:
    """Half of the free memory, shared by pictures that are open at the same time."""

    def __init__(self) -> None:
        """Begin without a picture."""
        self._pixels: int | None = None
        self._taken = 0
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def take(self, pixels: int) -> Iterator[None]:
        """Wait until a picture fits beside the others, or is alone, and keep its room."""
        with self._changed:
            self._changed.wait_for(lambda: self._fits(pixels))
            if not self._taken:
                free = free_bytes()
                self._pixels = None if free is None else free // 2 // _BYTES_PER_PIXEL
            self._taken += pixels
        try:
            yield
        finally:
            with self._changed:
                self._taken -= pixels
                self._changed.notify_all()

    def _fits(self, pixels: int) -> bool:
        return not self._taken or self._pixels is None or self._taken + pixels <= self._pixels
