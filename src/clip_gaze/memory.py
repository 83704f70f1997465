"""Memory: how much is free, as far as the system says, and giving back what this process freed."""

from __future__ import annotations

import ctypes
import os
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# mallopt(3)'s numbers for two settings of glibc's allocator.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_KIB = 2**10
_giving_back = threading.Lock()


def free_bytes() -> int | None:
    """Return the memory that programs can still use, held to a container's limit.

    Returns:
        Bytes; None where the system does not say.
    """
    known = [found for found in (_linux(), _container(), _windows(), _posix()) if found is not None]
    return min(known) if known else None


def give_back() -> None:
    """Return what lies free in glibc's heap to the system; leave other allocators as they are."""
    trim = _allocator("malloc_trim")
    if trim is not None:
        trim(0)


@contextmanager
def giving_back() -> Iterator[None]:
    """Let glibc give memory back to the system as soon as it is freed, while a graph is loaded.

    ONNX Runtime copies each weight into the layout that it computes with and frees the first copy.
    glibc learns from the first ones it frees to keep such blocks, and where they lie among others
    they stay for good: a ViT-B/32 in float32 then took 480 to 620 MB by chance, now 428 MB.
    What earlier work left lying free goes back first. Other allocators are left as they are.
    """
    mallopt = _allocator("mallopt")
    if mallopt is None:
        yield
        return
    with _giving_back:
        give_back()
        mallopt(_MMAP_THRESHOLD, 64 * _KIB)
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


def _linux(source: Path = Path("/proc/meminfo")) -> int | None:
    try:
        for line in source.read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    return None


def _container(folder: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Return what a Linux container's limit leaves; None without one."""
    for limit, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        try:
            numbers = [(folder / name).read_text(encoding="ascii") for name in (limit, used)]
            return max(0, int(numbers[0]) - int(numbers[1]))
        except (OSError, ValueError):  # no such file, or "max"
            continue
    return None


def _windows() -> int | None:
    if os.name != "nt":
        return None
    # The layout of MEMORYSTATUSEX, of which the third large number is the free memory.
    status = (ctypes.c_ulonglong * 8)()
    ctypes.c_ulong.from_buffer(status).value = ctypes.sizeof(status)
    kernel = ctypes.windll.kernel32  # type: ignore[attr-defined,unused-ignore]
    return int(status[2]) if kernel.GlobalMemoryStatusEx(ctypes.byref(status)) else None


def _posix() -> int | None:
    """Return half of the memory that there is, where only that is known (macOS)."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (AttributeError, ValueError, OSError):
        return None
