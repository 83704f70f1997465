"""Count the CPUs and the memory that this process may use, control groups included."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path, PurePosixPath

from clip_gaze.errors import GazeError

# More threads than CPUs make nothing quicker. 256 do a graph no harm on two CPUs; thousands slow it
# down several times, and as many pictures would be open at once.
MOST_THREADS = 256
MEMINFO = Path("/proc/meminfo")
OWN_CGROUPS = Path("/proc/self/cgroup")
CGROUP_MOUNT = Path("/sys/fs/cgroup")


def usable_cpus() -> int:
    """Return how many CPUs this process may use: its affinity, held to the quotas of its cgroups.

    Returns:
        At least 1; a quota is rounded up.
    """
    try:
        allowed = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS and Windows have no affinity call in the standard library
        allowed = os.cpu_count() or 1
    quotas = [quota for folder in _cgroups("cpu") if (quota := _quota(folder)) is not None]
    return max(1, min([allowed, *quotas]))


def checked_threads(threads: int | None) -> int | None:
    """Return the number of threads that somebody asked for, if it can be had.

    Args:
        threads: CPU threads for each graph; None: all that this process may use.

    Raises:
        GazeError: it is below 1 or above 256.
    """
    if threads is not None and not 1 <= threads <= MOST_THREADS:
        msg = (
            f"the number of threads must be from 1 to {MOST_THREADS}, not {threads}; "
            "leave it out to use all CPUs that there are"
        )
        raise GazeError(msg)
    return threads


def free_bytes() -> int | None:
    """Return the memory that programs can still use, held to the limits of this one's cgroups.

    Returns:
        Bytes; None where the system does not say.
    """
    known = (figure for system in SYSTEMS if (figure := system()) is not None)
    found = [next(known, None), *map(_headroom, _cgroups("memory"))]
    return min((each for each in found if each is not None), default=None)


def _cgroups(controller: str) -> list[Path]:
    """Return the folders of the Linux control groups that this process is in, outermost first.

    A limit holds for all groups below. Of a path that cannot be followed, as in a container that
    does not see its own place in the host's tree, the mount remains, which is its own group there.
    In version 1 "cpu" and "memory" have a tree each, in version 2 all share one, whose line names
    none (cgroups(7)). Not each folder exists; other systems have none.
    """
    try:
        lines = os.fsdecode(OWN_CGROUPS.read_bytes()).splitlines()
    except OSError:
        return []
    folders = []
    for line in lines:
        controllers, _, path = line.partition(":")[2].partition(":")
        if controllers and controller not in controllers.split(","):
            continue
        folder = CGROUP_MOUNT / controller if controllers else CGROUP_MOUNT
        folders.append(folder)
        names = PurePosixPath(path).parts[1:]
        if ".." in names:  # a group outside of the mount
            continue
        for name in names:
            folder /= name
            folders.append(folder)
    return folders


def _quota(folder: Path) -> int | None:
    """Return the CPUs that a control group may use, rounded up; None without a quota."""
    for files in (["cpu.max"], ["cpu.cfs_quota_us", "cpu.cfs_period_us"]):
        try:
            words = [(folder / name).read_text(encoding="ascii") for name in files]
            quota, period = map(int, " ".join(words).split())
        except (OSError, ValueError):  # no such file, or "max"
            continue
        if quota > 0:
            return -(-quota // period)
    return None


def _headroom(folder: Path) -> int | None:
    """Return the bytes that a control group's limit leaves; None without one.

    What was read from files counts as used there, but makes room when programs need it.
    """
    for limit, used, files in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        try:
            most, taken = (
                int((folder / name).read_text(encoding="ascii")) for name in (limit, used)
            )
        except (OSError, ValueError):  # no such file, or "max"
            continue
        return max(0, most - taken + (_number(folder / "memory.stat", files) or 0))
    return None


def _available_linux() -> int | None:
    available = _number(MEMINFO, "MemAvailable:")
    return None if available is None else available * 1024


def _number(table: Path, name: str) -> int | None:
    """Return the number in the line of a file that begins with a name; None without one."""
    try:
        for line in table.read_text(encoding="ascii").splitlines():
            if line.startswith(f"{name} "):
                return int(line.split()[1])
    except (OSError, ValueError):
        pass
    return None


def _available_windows() -> int | None:
    if os.name != "nt":
        return None
    # MEMORYSTATUSEX as eight words of 64 bits, of which the one at 2 is ullAvailPhys.
    status = (ctypes.c_ulonglong * 8)()
    ctypes.c_ulong.from_buffer(status).value = ctypes.sizeof(status)
    kernel = ctypes.windll.kernel32  # type: ignore[attr-defined,unused-ignore]
    return int(status[2]) if kernel.GlobalMemoryStatusEx(ctypes.byref(status)) else None


def _half_of_all() -> int | None:
    """Return half of all memory, for systems that say no more (macOS)."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (AttributeError, ValueError, OSError):
        return None


# What says how much memory is free, on the systems that there are; the first that knows counts.
SYSTEMS = (_available_linux, _available_windows, _half_of_all)
