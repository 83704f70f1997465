"""Run a command that cannot have more memory than a limit."""

from __future__ import annotations

import os
import subprocess
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def memory_limit(size: int) -> Iterator[Callable[[], None]]:
    """Yield what a new process must call first, so that it cannot have more memory than this.

    A cgroup counts what is resident, and pages of files too; where none can be made, the limit is
    on what is allocated, resident or not.
    """
    group = next(filter(None, (_group(root, size) for root in _ROOTS)), None)
    if group is None:
        import resource  # which Windows does not have

        yield lambda: resource.setrlimit(resource.RLIMIT_DATA, (size, size))
        return
    try:
        yield lambda: (group / "cgroup.procs").write_text(str(os.getpid()), encoding="ascii")
    finally:
        group.rmdir()


_ROOTS = {
    Path("/sys/fs/cgroup/memory"): ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes"),
    Path("/sys/fs/cgroup"): ("memory.max", "memory.swap.max"),
}


def _group(root: Path, size: int) -> Path | None:
    """Return a new cgroup with a limit and without swap; None where it cannot be made."""
    memory, swap = _ROOTS[root]
    group = root / f"clip-gaze-{uuid.uuid4().hex}"
    try:
        group.mkdir()
    except OSError:
        return None
    try:
        if not (group / memory).exists():
            raise FileNotFoundError(memory)
        (group / memory).write_text(str(size), encoding="ascii")
        if (group / swap).exists():
            # Version 1 counts memory and swap together.
            (group / swap).write_text(str(size if "memsw" in swap else 0), encoding="ascii")
    except OSError:
        group.rmdir()
        return None
    return group


def limited(
    command: list[str], size: int, variables: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command that cannot have more memory than this."""
    with memory_limit(size) as enter:
        return subprocess.run(
            command, capture_output=True, text=True, check=False, preexec_fn=enter, env=variables
        )
