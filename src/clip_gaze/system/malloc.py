"""Tune glibc malloc to return freed memory to the OS."""

from __future__ import annotations

import ctypes
import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

# mallopt(3)'s numbers for two settings of glibc's allocator.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_KIB = 2**10
_MIB = 2**20
_giving_back = threading.Lock()
if hasattr(os, "register_at_fork"):
    # A child that was forked while another thread loads a graph would wait for it for ever.
    os.register_at_fork(
        before=_giving_back.acquire,
        after_in_parent=_giving_back.release,
        after_in_child=_giving_back.release,
    )


def give_back() -> None:
    """Return what lies free in glibc's heaps to the system; leave other allocators as they are.

    What lies at the end of a thread's own heap goes back only where the thread itself asks for it.
    """
    trim = _allocator("malloc_trim")
    if trim is not None:
        trim(0)
        bytes(256 * _KIB)  # when such a block is freed, glibc looks at the heap's end too


@contextmanager
def giving_back() -> Iterator[None]:
    """Let glibc give memory back to the system as soon as it is freed, while a graph is loaded.

    ONNX Runtime copies each weight into the layout that it computes with and frees the first copy.
    glibc learns from the first ones it frees to keep such blocks, and where they lie among others
    they stay for good: a ViT-B/32 in float32 then took 480 to 620 MB by chance, now 428 MB.
    What earlier work left lying free goes back first. M_MMAP_THRESHOLD and M_TRIM_THRESHOLD stay
    set for the whole process. Other allocators are left as they are.
    """
    with _set({_MMAP_THRESHOLD: 64 * _KIB}):
        yield


@contextmanager
def reusing() -> Iterator[None]:
    """Let glibc use memory again that was just freed, while a packed graph is loaded.

    ONNX Runtime copies each weight, sees that it has the copy in a file, and frees it at once: with
    fresh memory for each of them, a ViT-B/32 in float32 is loaded in 0.31 s, not in 0.18. In the
    end all goes back.
    """
    # More than 32 MB are never taken from the heap.
    with _set({_MMAP_THRESHOLD: 32 * _MIB, _TRIM_THRESHOLD: 1024 * _MIB}):
        yield
        give_back()


@contextmanager
def _set(settings: Mapping[int, int]) -> Iterator[None]:
    """Set glibc's allocator for the time of the block, if there is one; others wait."""
    mallopt = _allocator("mallopt")
    if mallopt is None:
        yield
        return
    with _giving_back:
        give_back()
        for name, value in settings.items():
            mallopt(name, value)
        try:
            yield
        finally:
            # Setting the first ended glibc's own learning. What pictures and graphs need for a time
            # must not stay behind, scattered over the heap of each thread (see `session.py` too).
            mallopt(_MMAP_THRESHOLD, 512 * _KIB)
            mallopt(_TRIM_THRESHOLD, 1024 * _KIB)


def _allocator(name: str) -> Callable[..., int] | None:
    """Return a function of glibc's allocator; None where there is another one."""
    return getattr(ctypes.CDLL(None), name, None) if os.name == "posix" else None
