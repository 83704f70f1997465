"""CPUs and memory are what the system says, held to every control group that this process is in."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from clip_gaze import GazeError
from clip_gaze.system import resources

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Groups = Callable[[str, dict[str, str]], None]

# The unlimited of version 1: the largest number of whole pages.
UNLIMITED = str(2**63 - 4096)


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Groups:
    """Return a function that puts this process into groups, as files below a mount."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    monkeypatch.setattr(resources, "CGROUP_MOUNT", tmp_path / "mount")
    monkeypatch.setattr(resources, "OWN_CGROUPS", tmp_path / "own")
    monkeypatch.setattr(resources, "SYSTEMS", ())

    def make(own: str, files: dict[str, str]) -> None:
        (tmp_path / "own").write_text(own, encoding="utf-8")
        for name, content in files.items():
            (tmp_path / "mount" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "mount" / name).write_text(content, encoding="ascii")

    return make


@pytest.mark.parametrize(
    ("own", "files", "wanted"),
    [
        pytest.param("0::/\n", {"cpu.max": "200000 100000\n"}, 2, id="root"),
        pytest.param("0::/\n", {"cpu.max": "150000 100000\n"}, 2, id="rounded up"),
        pytest.param("0::/\n", {"cpu.max": "1000 100000\n"}, 1, id="at least one"),
        pytest.param("0::/\n", {"cpu.max": "9900000 100000\n"}, 64, id="more than there are"),
        pytest.param("0::/\n", {"cpu.max": "max 100000\n"}, 64, id="no quota"),
        pytest.param("0::/\n", {"cpu.max": ""}, 64, id="empty"),
        pytest.param("0::/\n", {"cpu.max": "junk\n"}, 64, id="junk"),
        pytest.param("0::/\n", {}, 64, id="no files"),
        pytest.param("", {"cpu.max": "200000 100000\n"}, 64, id="no groups"),
        pytest.param("junk\n", {"a/cpu.max": "200000 100000\n"}, 64, id="no lines"),
        pytest.param(
            "0::/a/b.service\n", {"a/b.service/cpu.max": "300000 100000\n"}, 3, id="nested"
        ),
        pytest.param(
            "0::/a/b\n",
            {"a/cpu.max": "200000 100000\n", "a/b/cpu.max": "500000 100000\n"},
            2,
            id="parent tighter",
        ),
        pytest.param(
            "0::/a/b\n",
            {"a/cpu.max": "500000 100000\n", "a/b/cpu.max": "max 100000\n"},
            5,
            id="parent alone",
        ),
        pytest.param("0::/a\n", {"a/b/cpu.max": "200000 100000\n"}, 64, id="child of ours"),
        pytest.param("0::/a\n", {"c/cpu.max": "200000 100000\n"}, 64, id="somebody else's"),
        pytest.param("0::/ü ä\n", {"ü ä/cpu.max": "200000 100000\n"}, 2, id="odd name"),
        pytest.param(
            "0::/host/id\n", {"cpu.max": "200000 100000\n"}, 2, id="path that is not there"
        ),
        pytest.param(
            "0::/../a\n",
            {"cpu.max": "400000 100000\n", "../a/cpu.max": "200000 100000\n"},
            4,
            id="path out of the mount",
        ),
    ],
)
def test_a_quota_of_cgroup_2_holds_for_all_below(
    own: str, files: dict[str, str], wanted: int, groups: Groups
) -> None:
    groups(own, files)
    assert resources.usable_cpus() == wanted


def quota(folder: str, quota: str) -> dict[str, str]:
    """Return the files of a quota of version 1."""
    return {f"{folder}/cpu.cfs_quota_us": quota, f"{folder}/cpu.cfs_period_us": "100000\n"}


@pytest.mark.parametrize(
    ("own", "files", "wanted"),
    [
        pytest.param("1:cpu:/\n", quota("cpu", "250000\n"), 3, id="root"),
        pytest.param("1:cpu:/\n", quota("cpu", "-1\n"), 64, id="no quota"),
        pytest.param("1:cpu:/\n", quota("cpu", "junk\n"), 64, id="junk"),
        pytest.param("4:cpu,cpuacct:/a\n0::/\n", quota("cpu/a", "250000\n"), 3, id="nested"),
        pytest.param(
            "4:cpuacct,cpu:/a/b\n",
            {**quota("cpu/a", "100000\n"), **quota("cpu/a/b", "400000\n")},
            1,
            id="parent tighter",
        ),
        pytest.param("4:cpu:/docker/id\n", quota("cpu", "200000\n"), 2, id="container"),
        pytest.param("4:cpuacct:/a\n", quota("cpu/a", "200000\n"), 64, id="other controller"),
        pytest.param("4:cpu:/a\n", {"cpu/a/cpu.cfs_quota_us": "200000\n"}, 64, id="no period"),
    ],
)
def test_a_quota_of_cgroup_1_holds_for_all_below(
    own: str, files: dict[str, str], wanted: int, groups: Groups
) -> None:
    groups(own, files)
    assert resources.usable_cpus() == wanted


def memory(folder: str, limit: str, used: str, **stat: int) -> dict[str, str]:
    """Return the files of a memory limit, of version 1 for a folder of that tree."""
    one = folder.startswith("memory")
    names = ("limit_in_bytes", "usage_in_bytes") if one else ("max", "current")
    table = "".join(f"{name} {value}\n" for name, value in stat.items())
    return {
        f"{folder}/memory.{names[0]}": f"{limit}\n",
        f"{folder}/memory.{names[1]}": f"{used}\n",
        f"{folder}/memory.stat": table,
    }


@pytest.mark.parametrize(
    ("own", "files", "wanted"),
    [
        pytest.param("0::/\n", memory(".", "1000", "300"), 700, id="root"),
        pytest.param("0::/\n", memory(".", "100", "300"), 0, id="used up"),
        pytest.param("0::/\n", memory(".", "max", "300"), None, id="no limit"),
        pytest.param("0::/\n", memory(".", "1000", "junk"), None, id="junk"),
        pytest.param("0::/\n", {"memory.max": "1000\n"}, None, id="no usage"),
        pytest.param("", memory(".", "1000", "300"), None, id="no groups"),
        pytest.param("0::/a/b\n", memory("a/b", "1000", "300"), 700, id="nested"),
        pytest.param(
            "0::/a/b\n",
            {**memory("a", "2000", "1900"), **memory("a/b", "1000", "300")},
            100,
            id="parent tighter",
        ),
        pytest.param(
            "0::/a/b\n",
            {**memory("a", "2000", "500"), **memory("a/b", "max", "300")},
            1500,
            id="parent alone",
        ),
        pytest.param(
            "0::/a\n",
            memory("a", "1000", "900", inactive_anon=7, inactive_file=600),
            700,
            id="files make room",
        ),
        pytest.param("0::/../a\n", memory(".", "1000", "300"), 700, id="path out of the mount"),
        pytest.param("4:memory:/\n", memory("memory", "1000", "300"), 700, id="1: root"),
        pytest.param(
            "4:memory:/a/b\n",
            {**memory("memory/a", "500", "450"), **memory("memory/a/b", UNLIMITED, "300")},
            50,
            id="1: parent alone",
        ),
        pytest.param(
            "4:memory:/a\n",
            memory("memory/a", "1000", "900", inactive_file=1, total_inactive_file=600),
            700,
            id="1: files make room",
        ),
        pytest.param("4:memory:/docker/id\n", memory("memory", "9", "3"), 6, id="1: container"),
    ],
)
def test_a_memory_limit_leaves_what_is_not_used(
    own: str, files: dict[str, str], wanted: int | None, groups: Groups
) -> None:
    groups(own, files)
    assert resources.free_bytes() == wanted


def test_files_that_cannot_be_read_limit_nothing(
    groups: Groups, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups("0::/a\n", {"cpu.max": "200000 100000\n", **memory(".", "1000", "300")})
    # Folders in the places of files fail to be read on every system, and for root too.
    for name in ("cpu.max", "memory.max", "memory.stat"):
        (tmp_path / "mount" / "a" / name).mkdir(parents=True)
    (tmp_path / "mount" / "memory.stat").write_bytes(b"inactive_file \xff\n")
    assert (resources.usable_cpus(), resources.free_bytes()) == (2, 700)
    monkeypatch.setattr(resources, "OWN_CGROUPS", tmp_path)
    assert (resources.usable_cpus(), resources.free_bytes()) == (64, None)


@pytest.mark.parametrize(("count", "wanted"), [(5, 5), (None, 1)])
def test_without_an_affinity_all_cpus_are_usable(
    count: int | None, wanted: int, groups: Groups, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups("", {})
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: count)
    assert resources.usable_cpus() == wanted


@pytest.mark.parametrize("threads", [None, 1, 2, 256])
def test_threads_that_can_be_had_are_taken(threads: int | None) -> None:
    assert resources.checked_threads(threads) == threads


@pytest.mark.parametrize("threads", [-1, 0, 257, 100_000])
def test_other_numbers_of_threads_are_refused_in_one_line(threads: int) -> None:
    with pytest.raises(GazeError, match=rf"^[^\n]*from 1 to 256, not {threads};[^\n]*$"):
        resources.checked_threads(threads)


@pytest.mark.parametrize(
    ("table", "wanted"),
    [
        ("MemTotal: 9 kB\nMemAvailable:   1234 kB\n", 1234 * 1024),
        ("MemTotal: 9 kB\nMemAvailable: many\n", 77),
        ("MemTotal: 9 kB\n", 77),
        (None, 77),
    ],
)
def test_linux_says_what_is_available(
    table: str | None, wanted: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if table is not None:
        (tmp_path / "meminfo").write_text(table, encoding="ascii")
    monkeypatch.setattr(resources, "MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(resources, "OWN_CGROUPS", tmp_path / "none")
    monkeypatch.setattr(resources, "SYSTEMS", (resources.SYSTEMS[0], lambda: 77))
    assert resources.free_bytes() == wanted


@pytest.mark.parametrize(
    ("linux", "windows", "half", "wanted"),
    [(500, None, 400, 500), (800, None, 400, 700), (None, 600, None, 600), (None, None, 400, 400)],
)
def test_the_system_says_what_is_free_and_groups_hold_it_down(
    linux: int | None,
    windows: int | None,
    half: int | None,
    wanted: int,
    groups: Groups,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Half of all memory counts only where the system says no more."""
    groups("0::/\n", memory(".", "1000", "300"))
    said = (lambda: linux, lambda: windows, lambda: half)
    monkeypatch.setattr(resources, "SYSTEMS", said)
    assert resources.free_bytes() == wanted


def test_a_system_that_says_nothing_of_its_memory_is_not_guessed_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources, "MEMINFO", tmp_path / "none")
    monkeypatch.setattr(resources, "OWN_CGROUPS", tmp_path / "none")
    linux, _, half = resources.SYSTEMS
    monkeypatch.setattr(resources, "SYSTEMS", (linux, half))
    monkeypatch.delattr(os, "sysconf", raising=False)
    assert resources.free_bytes() is None


def test_this_machine_has_some() -> None:
    assert (resources.free_bytes() or 0) > 10**7
    assert 1 <= resources.usable_cpus() <= (os.cpu_count() or 1)
