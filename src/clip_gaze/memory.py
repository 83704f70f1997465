"""How much memory is free, as far as the system says."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path


def free_bytes() -> int | None:
    """Return the memory that programs can still use, held to a container's limit.

    Returns:
        Bytes; None where the system does not say.
    """
    known = [found for found in (_linux(), _container(), _windows(), _posix()) if found is not None]
    return min(known) if known else None


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
