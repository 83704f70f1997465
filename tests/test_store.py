"""The store answers right whatever happens to its file."""

from __future__ import annotations

import contextlib
import gc
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clip_gaze import Clip, GazeError
from clip_gaze.store import FILE, Store, cache, file, rows
from clip_gaze.system.shelf import parse_size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from PIL import Image

    MakePicture = Callable[..., Image.Image]

DIM = 8


def vectors(count: int, seed: int = 0) -> dict[str, np.ndarray]:
    rows = np.random.default_rng(seed).normal(size=(count, DIM)).astype(np.float32)
    return {f"phrase {at}": row for at, row in enumerate(rows)}


def same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[k], other[k]) for k in one)


def test_what_was_put_is_there_for_the_next_store(tmp_path: Path) -> None:
    wanted = vectors(1200)
    first = Store(tmp_path)
    first.put("encoder", wanted)
    first.close()
    assert same(Store(tmp_path).get("encoder", list(wanted), DIM), wanted)


def test_only_what_is_asked_for_comes_back(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put("encoder", vectors(3))
    assert list(store.get("encoder", ["phrase 1", "unknown"], DIM)) == ["phrase 1"]


def test_encoders_do_not_mix(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put("one", vectors(3))
    assert store.get("other", ["phrase 1"], DIM) == {}


def test_a_vector_put_again_replaces_the_old_one(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put("encoder", vectors(3, seed=0))
    store.put("encoder", vectors(3, seed=1))
    assert same(store.get("encoder", list(vectors(3)), DIM), vectors(3, seed=1))


def test_any_text_can_be_a_phrase(tmp_path: Path) -> None:
    store = Store(tmp_path)
    odd = dict(
        zip(
            ("", "'; DROP TABLE vector; --", "ștefan 中文 🎨", "a\nb"),
            vectors(4).values(),
            strict=False,
        )
    )
    store.put("encoder", odd)
    assert same(store.get("encoder", list(odd), DIM), odd)


def test_an_altered_vector_counts_as_missing(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put("encoder", vectors(2))
    store.close()
    with contextlib.closing(sqlite3.connect(tmp_path / FILE)) as file, file:
        (blob,) = file.execute("SELECT embeds FROM vector WHERE id = 1").fetchone()
        file.execute(
            "UPDATE vector SET embeds = ? WHERE id = 1", (bytes([blob[0] ^ 1]) + blob[1:],)
        )
    file.close()
    assert list(Store(tmp_path).get("encoder", list(vectors(2)), DIM)) == ["phrase 1"]


def test_a_vector_of_another_length_counts_as_missing(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put("encoder", vectors(1))
    assert store.get("encoder", ["phrase 0"], DIM + 1) == {}


@pytest.mark.parametrize("content", [b"", b"no database" * 100, b"SQLite format 3\0" + b"x" * 9000])
def test_a_file_that_is_no_database_is_set_aside(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    store = Store(tmp_path)
    assert store.get("encoder", ["phrase 0"], DIM) == {}
    store.put("encoder", vectors(2))
    store.close()
    assert same(Store(tmp_path).get("encoder", list(vectors(2)), DIM), vectors(2))
    kept = [path.read_bytes() for path in tmp_path.glob("*.damaged-*")]
    assert kept == ([content] if content else [])


@pytest.mark.parametrize("seed", range(8))
def test_a_file_with_wrecked_pages_gives_no_wrong_vector(tmp_path: Path, seed: int) -> None:
    wanted = vectors(300)
    store = Store(tmp_path)
    store.put("encoder", wanted)
    store.close()
    data = bytearray((tmp_path / FILE).read_bytes())
    rng = np.random.default_rng(seed)
    for at in rng.integers(100, len(data), 40):
        data[at] ^= 0xFF
    (tmp_path / FILE).write_bytes(data)
    store = Store(tmp_path)
    found = store.get("encoder", list(wanted), DIM)
    assert all(np.array_equal(found[phrase], wanted[phrase]) for phrase in found)
    store.put("encoder", wanted)
    assert same(store.get("encoder", list(wanted), DIM), wanted)


def test_a_folder_that_cannot_be_made_leaves_a_store_in_memory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    store = Store(tmp_path / "file" / "cache")
    store.put("encoder", vectors(3))
    assert same(store.get("encoder", list(vectors(3)), DIM), vectors(3))


def test_a_vector_that_is_kept_keeps_no_others(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put("encoder", vectors(300))
    for vector in store.get("encoder", list(vectors(300)), DIM).values():
        assert vector.base is None
        assert vector.flags.writeable


def test_threads_share_a_store(tmp_path: Path) -> None:
    store = Store(tmp_path)
    failures: list[Exception] = []

    def work(seed: int) -> None:
        try:
            for _ in range(20):
                store.put(f"encoder {seed}", vectors(20, seed))
                assert same(store.get(f"encoder {seed}", list(vectors(20)), DIM), vectors(20, seed))
        except Exception as error:  # noqa: BLE001 - a thread cannot raise into the test
            failures.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


WRITER = """
import sys
from pathlib import Path
import numpy as np
from clip_gaze.store import Store
store = Store(Path(sys.argv[1]))
for at in range(int(sys.argv[3])):
    row = np.full(8, at, np.float32)
    store.put("encoder", {f"{sys.argv[2]} {at}": row})
    print(at, flush=True)
"""


def writer(folder: Path, name: str, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(folder), name, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def at_once(programs: list[list[str]]) -> None:
    """Run Python programs that print "ready" and wait for a line; let them go on together."""
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    running = [
        subprocess.Popen([sys.executable, "-c", *program], text=True, **pipes)
        for program in programs
    ]
    for process in running:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in running:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in running:
        _, said = process.communicate()
        assert (process.returncode, said) == (0, "")


STARTER = """
import sys
from pathlib import Path
import numpy as np
from clip_gaze.store import Store
print("ready", flush=True)
sys.stdin.readline()
store = Store(Path(sys.argv[1]))
for at in range(20):
    store.put("encoder", {f"{sys.argv[2]} {at}": np.full(8, at, np.float32)})
"""


@pytest.mark.parametrize("attempt", ["first", "second", "third"])
def test_processes_that_open_it_at_the_same_moment_lose_nothing(
    tmp_path: Path, attempt: str
) -> None:
    folder = tmp_path / attempt
    at_once([[STARTER, str(folder), name] for name in "abcdef"])
    names = [f"{name} {at}" for name in "abcdef" for at in range(20)]
    assert set(Store(folder).get("encoder", names, DIM)) == set(names)


@pytest.mark.parametrize("after", [0, 7, 60])
def test_what_was_put_outlives_a_kill(tmp_path: Path, after: int) -> None:
    with writer(tmp_path, "a", 100_000) as process:
        assert process.stdout is not None
        done = [int(process.stdout.readline()) for _ in range(after + 1)]
        process.kill()
    found = Store(tmp_path).get("encoder", [f"a {at}" for at in done], DIM)
    assert len(found) == after + 1
    assert all(found[f"a {at}"].tolist() == [at] * DIM for at in done)


def text_of(command: str, folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run Python code in a process of its own, which a hang does not outlive."""
    return subprocess.run(
        [sys.executable, "-c", command, str(folder), *map(str, arguments)],
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip


def filled(folder: Path, count: int = 3, encoder: str = "encoder") -> dict[str, np.ndarray]:
    """Put vectors into a store, close it, and return them."""
    with contextlib.closing(Store(folder)) as store:
        store.put(encoder, vectors(count))
    return vectors(count)


def known(folder: Path, contents: list[str], encoder: str = "encoder") -> set[str]:
    """Return what the next store knows."""
    with contextlib.closing(Store(folder)) as store:
        return set(store.get(encoder, contents, DIM))


@pytest.fixture
def locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[sqlite3.Connection]:
    """Hold the lock of a store with three vectors, like a writer that never comes to its end."""
    monkeypatch.setattr(file, "SECONDS", 0.01)
    monkeypatch.setattr(cache, "LAST_SECONDS", 0.01)
    filled(tmp_path)
    with contextlib.closing(sqlite3.connect(tmp_path / FILE, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield other


@pytest.mark.usefixtures("locked")
def test_a_locked_store_is_read(tmp_path: Path) -> None:
    assert known(tmp_path, list(vectors(3))) == set(vectors(3))


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> list[sqlite3.Connection]:
    """Return the connections that are opened during the test."""
    made: list[sqlite3.Connection] = []
    real = sqlite3.connect

    def opened(*which: Any, **how: Any) -> sqlite3.Connection:
        made.append(real(*which, **how))
        return made[-1]

    monkeypatch.setattr(sqlite3, "connect", opened)
    return made


def test_nobody_waits_long_for_a_lock() -> None:
    assert file.SECONDS <= 2


def test_a_locked_store_is_waited_for_a_second_and_once(
    tmp_path: Path,
    locked: sqlite3.Connection,
    connections: list[sqlite3.Connection],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(file, "SECONDS", 0.01)
    store = Store(tmp_path)
    waits = []
    for _ in range(3):
        store.put("encoder", vectors(1))
        waits += connections[-1].execute("PRAGMA busy_timeout").fetchone()
    assert waits == [10, 0, 0]
    locked.execute("COMMIT")
    store.put("encoder", vectors(1))
    store.put("encoder", vectors(1))
    assert connections[-1].execute("PRAGMA busy_timeout").fetchone() == (10,)


def test_what_waited_for_a_lock_is_written_after_it(
    tmp_path: Path, locked: sqlite3.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(tmp_path)
    store.put("encoder", {"waited": np.ones(DIM, np.float32)})
    assert set(store.get("encoder", ["waited", "phrase 0"], DIM)) == {"waited", "phrase 0"}
    locked.execute("COMMIT")
    store.close()
    assert known(tmp_path, ["waited"]) == {"waited"}
    assert caplog.text == ""


@pytest.mark.usefixtures("locked")
def test_what_a_lock_kept_from_the_file_is_said_in_one_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(tmp_path)
    for at in range(3):
        store.put("encoder", {f"new {at}": np.ones(DIM, np.float32)})
    store.close()
    (message,) = caplog.messages
    assert message == (
        f"{tmp_path / FILE}: is locked by another process; 3 new vectors are not kept"
    )


def test_a_locked_store_is_not_cleared_and_says_so(
    tmp_path: Path, locked: sqlite3.Connection
) -> None:
    with pytest.raises(GazeError, match=r"cannot be cleared: another process is using it; try"):
        Store(tmp_path).clear()
    with pytest.raises(GazeError, match=r"cannot be pruned: another process is using it; try"):
        Store(tmp_path).prune(0)
    assert known(tmp_path, list(vectors(3))) == set(vectors(3))
    locked.execute("COMMIT")
    Store(tmp_path).clear()
    assert known(tmp_path, list(vectors(3))) == set()


@pytest.mark.usefixtures("locked")
def test_what_waits_in_memory_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "_MOST_WAITING", 5)
    for store in (Store(tmp_path), Store(None)):
        for content, vector in vectors(12).items():
            store.put("new", {content: vector})
        assert list(store.get("new", list(vectors(12)), DIM)) == list(vectors(12))[-5:]


@pytest.fixture
def shelf() -> Iterator[Path]:
    """Return a folder that every user may enter, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


@contextlib.contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Take from this process the right to write into a folder."""
    if os.name != "posix":
        pytest.skip("folders are read-only on POSIX alone")
    folder.chmod(0o555)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
        folder.chmod(0o755)


def test_a_read_only_folder_is_read_and_new_vectors_stay_in_memory(
    shelf: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wanted = filled(shelf)
    with read_only(shelf):
        store = Store(shelf)
        assert same(store.get("encoder", list(wanted), DIM), wanted)
        assert caplog.messages == []
        for _ in range(3):
            store.put("encoder", {"new": np.ones(DIM, np.float32)})
        assert set(store.get("encoder", [*wanted, "new"], DIM)) == {*wanted, "new"}
        with pytest.raises(GazeError, match="cannot be cleared"):
            store.clear()
        store.close()
    assert len(caplog.messages) == 1
    assert "new vectors are kept for this run alone" in caplog.text
    assert [path.name for path in shelf.iterdir()] == [FILE]
    assert known(shelf, [*wanted, "new"]) == set(wanted)


def test_a_read_only_folder_that_its_owner_writes_to_is_read_anew(shelf: Path) -> None:
    filled(shelf)
    with read_only(shelf):
        store = Store(shelf)
        assert len(store.get("encoder", list(vectors(3)), DIM)) == 3
    wanted = filled(shelf, 500)
    with read_only(shelf):
        assert same(store.get("encoder", list(wanted), DIM), wanted)
        store.close()


def test_a_full_disk_keeps_the_run_going(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, connections: list[sqlite3.Connection]
) -> None:
    filled(tmp_path)
    store = Store(tmp_path)
    assert len(store.get("encoder", ["phrase 0"], DIM)) == 1
    connections[-1].execute("PRAGMA max_page_count = 1")  # SQLite's own "disk is full"
    more = {f"new {at}": np.full(10_000, at, np.float32) for at in range(5)}
    for content, vector in more.items():
        store.put("encoder", {content: vector})
    assert len(store.get("encoder", ["phrase 0"], DIM)) == 1
    assert same(store.get("encoder", list(more), 10_000), more)
    assert [path.name for path in tmp_path.glob("*damaged*")] == []
    assert len(caplog.messages) == 1
    assert "full" in caplog.text
    connections[-1].execute("PRAGMA max_page_count = 100000")
    store.close()
    with contextlib.closing(Store(tmp_path)) as after:
        assert same(after.get("encoder", list(more), 10_000), more)


@pytest.mark.parametrize(
    "schema",
    [
        "CREATE TABLE vector (other TEXT)",
        "CREATE TABLE other (name TEXT)",
        "CREATE TABLE encoder (id INTEGER PRIMARY KEY, name TEXT)",
    ],
)
def test_a_database_of_something_else_is_left_alone(
    schema: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / FILE)) as other:
        other.execute(schema)
    before = (tmp_path / FILE).read_bytes()
    store = Store(tmp_path)
    store.put("encoder", vectors(3))
    assert same(store.get("encoder", list(vectors(3)), DIM), vectors(3))
    store.close()
    assert len(caplog.messages) == 1
    assert (tmp_path / FILE).read_bytes() == before


USER = """
import sys
from pathlib import Path
import numpy as np
from clip_gaze.store import Store
store = Store(Path(sys.argv[1]))
for at in range(3):
    store.put("encoder", {str(at): np.ones(8, np.float32)})
    assert len(store.get("encoder", [str(at)], 8)) == 1
store.close()
"""


@pytest.mark.skipif(os.name != "posix", reason="there are no such files on Windows")
@pytest.mark.parametrize("tail", ["", "-wal", "-journal", "-shm"])
@pytest.mark.parametrize("kind", ["pipe", "folder", "socket"])
def test_what_is_no_file_in_the_stores_place_costs_a_line(
    kind: str, tail: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if tail:
        filled(tmp_path)
    monkeypatch.chdir(tmp_path)  # a socket's path must be short
    place = FILE + tail
    if kind == "pipe":
        os.mkfifo(place)
    elif kind == "folder":
        Path(place).mkdir()
    else:
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(place)
    done = text_of(USER, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == (
        f"{tmp_path / FILE}: cannot be used fully ({place} is no regular file); "
        "new vectors are kept for this run alone\n"
    )
    assert not Path(place).is_file()


@pytest.mark.parametrize("before", [True, False])
def test_where_memory_cannot_be_shared_another_journal_is_kept(
    before: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As on a network drive: whatever needs WAL's shared memory is a disk I/O error."""

    class Far(sqlite3.Connection):
        alone = False

        def execute(self, sql: str, *rest: object) -> sqlite3.Cursor:
            self.alone = self.alone or "EXCLUSIVE" in sql
            wal = (tmp_path / FILE).exists() and (tmp_path / FILE).read_bytes()[18:19] == b"\x02"
            if wal and not self.alone and "busy_timeout" not in sql:
                raise sqlite3.OperationalError("disk I/O error")
            return super().execute(sql, *rest)

    if before:
        filled(tmp_path)
    real = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *a, **k: real(*a, factory=Far, **k))
    wanted = filled(tmp_path, 20)
    with contextlib.closing(Store(tmp_path)) as one, contextlib.closing(Store(tmp_path)) as two:
        assert same(one.get("encoder", list(wanted), DIM), wanted)
        two.put("encoder", vectors(30))
        assert same(one.get("encoder", list(vectors(30)), DIM), vectors(30))
    assert caplog.text == ""


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_vector_that_is_not_finite_is_neither_kept_nor_given(bad: float, tmp_path: Path) -> None:
    vector = np.ones(DIM, np.float32)
    vector[3] = bad
    store = Store(tmp_path)
    store.put("encoder", {"bad": vector, "good": vectors(1)["phrase 0"]})
    store.close()
    assert known(tmp_path, ["bad", "good"]) == {"good"}
    blob = vector.tobytes()
    with contextlib.closing(sqlite3.connect(tmp_path / FILE)) as file, file:
        file.execute(
            "UPDATE vector SET embeds = ?, checksum = ?", (blob, rows.checksum("good", blob))
        )
    assert known(tmp_path, ["good"]) == set()


@pytest.mark.parametrize("value", ["text of 32 bytes: 12345678901234", 5, 5.5, b""])
@pytest.mark.parametrize(
    "column", ["vector.embeds", "vector.checksum", "entry.used", "file.digest", "file.stamp"]
)
def test_a_value_of_another_type_counts_as_missing(
    column: str, value: object, tmp_path: Path
) -> None:
    store = Store(tmp_path)
    store.put("encoder", vectors(3))
    store.stamp(tmp_path, "a stamp", "a digest")
    store.close()
    table, name = column.split(".")
    with contextlib.closing(sqlite3.connect(tmp_path / FILE)) as file, file:
        file.execute(f"UPDATE {table} SET {name} = ?", (value,))
    with contextlib.closing(Store(tmp_path)) as store:
        found = store.get("encoder", list(vectors(3)), DIM)
        assert same(found, vectors(3) if table != "vector" else {})
        assert set(store.digests({tmp_path: "a stamp"}).values()) <= {"a digest", str(value)}
        store.put("encoder", vectors(3))
        assert same(store.get("encoder", list(vectors(3)), DIM), vectors(3))
        store.prune(0)


def test_of_two_that_find_damage_one_sets_it_aside(tmp_path: Path) -> None:
    filled(tmp_path)
    one, two = Store(tmp_path), Store(tmp_path)
    for store in (one, two):
        store.get("encoder", ["phrase 0"], DIM)
    data = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(b"no database" + bytes(len(data)))
    one.put("encoder", vectors(3))
    two.put("encoder", {"two": np.ones(DIM, np.float32)})
    one.put("encoder", {"one": np.ones(DIM, np.float32)})
    assert known(tmp_path, [*vectors(3), "one", "two"]) == {*vectors(3), "one", "two"}
    one.close()
    two.close()


class Calendar:
    """A day that stays until a test turns it."""

    def __init__(self) -> None:
        self.day = 20_000


@pytest.fixture
def days(monkeypatch: pytest.MonkeyPatch) -> Calendar:
    calendar = Calendar()
    monkeypatch.setattr(cache, "_today", lambda: calendar.day)
    return calendar


def large(names: str, dim: int = 4096) -> dict[str, np.ndarray]:
    """Return vectors that take a page of the file each."""
    return {name: np.full(dim, ord(name), np.float32) for name in names}


def left(folder: Path, encoder: str = "encoder") -> str:
    """Return the names of the large vectors that the next store knows, all of them right."""
    with contextlib.closing(Store(folder)) as store:
        found = store.get(encoder, "abcdefghijklmnopqrstuvwxyz", 4096)
    assert same(found, large("".join(found)))
    with contextlib.closing(sqlite3.connect(folder / FILE)) as file:
        assert file.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        for one, other in (("entry", "vector"), ("vector", "entry")):
            lone = f"SELECT id FROM {one} EXCEPT SELECT id FROM {other}"
            assert file.execute(lone).fetchall() == []
    return "".join(sorted(found))


def test_a_vector_takes_little_more_room_than_its_numbers(tmp_path: Path) -> None:
    with contextlib.closing(Store(tmp_path)) as store:
        for at in range(40):
            rows = np.random.default_rng(at).random((50, 512), np.float32)
            store.put("vision:x", {f"{at:032}{row:032}": each for row, each in enumerate(rows)})
    assert (tmp_path / FILE).stat().st_size < 1.3 * 40 * 50 * 2048


def test_what_was_used_least_recently_goes_first(tmp_path: Path, days: Calendar) -> None:
    for names in ("abc", "def", "ghi"):
        days.day += 1
        with contextlib.closing(Store(tmp_path)) as store:
            store.put("encoder", large(names))
    days.day += 1
    with contextlib.closing(Store(tmp_path)) as store:
        assert len(store.get("encoder", ["a", "e"], 4096)) == 2
    with contextlib.closing(Store(tmp_path)) as store:
        assert store.prune(190_000) > 0
    found = left(tmp_path)
    assert set("ae") < set(found) < set("aeghi")
    assert (tmp_path / FILE).stat().st_size <= 190_000


def test_reading_again_on_the_same_day_writes_nothing(tmp_path: Path, days: Calendar) -> None:
    with contextlib.closing(Store(tmp_path)) as store:
        store.put("encoder", large("abc"))
    days.day += 1
    left(tmp_path)
    before = (tmp_path / FILE).read_bytes()
    left(tmp_path)
    assert (tmp_path / FILE).read_bytes() == before


def test_vectors_of_files_that_are_gone_go_before_others(tmp_path: Path, days: Calendar) -> None:
    folder = tmp_path / "store"
    paths = {name: tmp_path / name for name in "abcdefgh"}
    with contextlib.closing(Store(folder)) as store:
        for name, path in paths.items():
            days.day += 1
            store.put("encoder", large(name))
            path.write_text(name, encoding="utf-8")
            store.stamp(path, "stamp", name)
    for name in "fgh":
        paths[name].unlink()
    paths["e"].rename(tmp_path / "moved")
    with contextlib.closing(Store(folder)) as store:
        store.stamp(tmp_path / "moved", "stamp", "e")
        store.prune(220_000)
    found = left(folder)
    assert set(found) >= set("abcde")
    assert set(found) < set(paths)
    with contextlib.closing(Store(folder)) as store:
        asked = dict.fromkeys([*paths.values(), tmp_path / "moved"], "stamp")
        assert set(store.digests(asked).values()) == set(found)
        assert paths["e"] not in store.digests(asked)


def test_a_run_prunes_at_its_end_but_nothing_of_its_own(
    tmp_path: Path, days: Calendar, monkeypatch: pytest.MonkeyPatch
) -> None:
    with contextlib.closing(Store(tmp_path)) as store:
        store.put("encoder", large("abcdefghij"))
    days.day += 1
    monkeypatch.setenv("CLIP_GAZE_STORE_SIZE", "150 KB")
    left(tmp_path)  # a run that only reads prunes nothing
    assert left(tmp_path) == "abcdefghij"
    days.day += 1
    with contextlib.closing(Store(tmp_path)) as store:
        store.get("encoder", ["c"], 4096)
        store.put("encoder", large("klmnopqrst"))
        days.day -= 2  # the clock goes back
        store.put("encoder", large("u"))
    found = left(tmp_path)
    assert found == "cklmnopqrstu"
    days.day += 3
    with contextlib.closing(Store(tmp_path)) as store:
        store.put("encoder", large("v"))
    assert "v" in left(tmp_path)
    assert len(left(tmp_path)) < 10
    assert (tmp_path / FILE).stat().st_size <= 150_000


def test_days_that_have_not_come_do_not_protect_for_ever(tmp_path: Path, days: Calendar) -> None:
    days.day += 10_000
    with contextlib.closing(Store(tmp_path)) as store:
        store.put("encoder", large("abcdefghij"))
    days.day -= 10_000
    with contextlib.closing(Store(tmp_path)) as store:
        assert store.prune(0) == 10
    assert left(tmp_path) == ""


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("7", 7), ("10kb", 10_000), (" 1.5 GB ", 1_500_000_000), ("2M", 2_000_000)],
)
def test_a_size_is_read(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "much", "-1", "1 XB", "1,5 GB", "GB", "inf", "२"])
def test_what_is_no_size_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(GazeError, match="is no size; write it like 500MB or 2GB"):
        parse_size(text)
    monkeypatch.setenv("CLIP_GAZE_STORE_SIZE", text or "?")
    with pytest.raises(GazeError, match=r"^CLIP_GAZE_STORE_SIZE: .* is no size"):
        Store(None)


PRUNER = """
import sys
from pathlib import Path
from clip_gaze.store import Store
print("ready", flush=True)
sys.stdin.readline()
Store(Path(sys.argv[1])).prune(int(sys.argv[2]))
"""


def test_two_processes_that_prune_at_once_forget_no_more_than_one(tmp_path: Path) -> None:
    alone, shared = tmp_path / "alone", tmp_path / "shared"
    for folder in (alone, shared):
        with contextlib.closing(Store(folder)) as store:
            for name in "abcdefghijklmnopqrstuvwxyz":
                store.put("encoder", large(name))
    with contextlib.closing(Store(alone)) as store:
        store.prune(300_000)
    at_once([[PRUNER, str(shared), "300000"]] * 2)
    assert left(shared) == left(alone)


# Kills itself at a given statement of SQLite's, so that each step is interrupted once.
KILLED = """
import os, signal, sys
from pathlib import Path
import sqlite3
from clip_gaze.store import Store
at = int(sys.argv[3])
class Watched(sqlite3.Connection):
    def __init__(self, *rest, **named):
        super().__init__(*rest, **named)
        self.set_trace_callback(step)
def step(statement):
    global at
    at -= 1
    if at == 0:
        os.kill(os.getpid(), signal.SIGKILL)
real = sqlite3.connect
sqlite3.connect = lambda *rest, **named: real(*rest, factory=Watched, **named)
store = Store(Path(sys.argv[1]))
store.get("text:x", ["a"], 8)
if sys.argv[2] == "prune":
    store.prune(300_000)
store.close()
print(at)
"""


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such signal")
def test_a_kill_while_pruning_leaves_a_sound_store(tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    with contextlib.closing(Store(whole)) as store:
        for name in "abcdefghijklmnopqrstuvwxyz":
            store.put("encoder", large(name))
    steps = 10_000 - int(
        text_of(KILLED, shutil.copytree(whole, tmp_path / "to end"), "prune", 10_000).stdout
    )
    wanted = left(tmp_path / "to end")
    for at in range(30, steps + 1, 11):
        folder = shutil.copytree(whole, tmp_path / str(at))
        assert text_of(KILLED, folder, "prune", at).returncode == -9
        assert set(left(folder)) >= set(wanted)
        with contextlib.closing(Store(folder)) as store:
            store.prune(300_000)
        assert left(folder) == wanted


FORMER = """
CREATE TABLE encoder (id INTEGER PRIMARY KEY, digest TEXT NOT NULL UNIQUE);
CREATE TABLE vector (
    encoder INTEGER NOT NULL REFERENCES encoder,
    content TEXT NOT NULL,
    embeds BLOB NOT NULL,
    checksum INTEGER NOT NULL,
    PRIMARY KEY (encoder, content)
) WITHOUT ROWID;
CREATE TABLE file (
    path BLOB PRIMARY KEY,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    digest TEXT NOT NULL
) WITHOUT ROWID;
"""


def former(folder: Path, encoders: list[str]) -> Path:
    """Write a file in the layout before this one."""
    path = folder / "vectors-1.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as file, file:
        file.execute("PRAGMA journal_mode = WAL")
        file.executescript(FORMER)
        for at, encoder in enumerate(encoders, start=5):
            file.execute("INSERT INTO encoder VALUES (?, ?)", (at, encoder))
            file.executemany(
                "INSERT INTO vector VALUES (?, ?, ?, ?)",
                [
                    (at, content, blob := vector.tobytes(), rows.checksum(content, blob))
                    for content, vector in vectors(100, at).items()
                ],
            )
    return path


ENCODERS = ["vision:x:y", "text:x", "text:y"]


def test_phrases_of_the_former_layout_are_taken_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    old = former(tmp_path, ENCODERS)
    with contextlib.closing(Store(tmp_path)) as store:
        for at, encoder in enumerate(ENCODERS, start=5):
            wanted = vectors(100, at) if encoder.startswith("text") else {}
            assert same(store.get(encoder, list(vectors(100)), DIM), wanted)
        assert store.counts() == {"text": 200}
    assert not old.exists()
    assert [path.name for path in tmp_path.iterdir()] == [FILE]
    assert caplog.text == ""


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such signal")
def test_a_kill_while_taking_over_loses_nothing(tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    whole.mkdir()
    former(whole, ENCODERS)
    copy = shutil.copytree(whole, tmp_path / "to end")
    steps = 10_000 - int(text_of(KILLED, copy, "", 10_000).stdout)
    for at in range(30, steps + 1, 3):
        folder = shutil.copytree(whole, tmp_path / str(at))
        assert text_of(KILLED, folder, "", at).returncode == -9
        for number, encoder in enumerate(ENCODERS[1:], start=6):
            with contextlib.closing(Store(folder)) as store:
                wanted = vectors(100, number)
                assert same(store.get(encoder, list(wanted), DIM), wanted)


def test_no_more_of_the_former_layout_is_taken_over_than_may_be_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    former(tmp_path, ENCODERS)
    monkeypatch.setenv("CLIP_GAZE_STORE_SIZE", "100KB")
    with contextlib.closing(Store(tmp_path)) as store:
        assert sum(store.counts().values()) == 50


def test_a_damaged_file_of_the_former_layout_is_set_aside_alone(tmp_path: Path) -> None:
    (tmp_path / "vectors-1.sqlite").write_bytes(b"no database" * 100)
    filled(tmp_path)
    assert known(tmp_path, list(vectors(3))) == set(vectors(3))
    assert {path.suffix.partition("-")[0] for path in tmp_path.iterdir()} == {".sqlite", ".damaged"}


def test_clearing_forgets_the_former_layout_and_what_was_set_aside(tmp_path: Path) -> None:
    (tmp_path / "vectors-1.sqlite").write_bytes(b"no database" * 100)
    (tmp_path / "vectors-1.damaged-7").write_bytes(b"no database" * 100)
    with contextlib.closing(Store(tmp_path)) as store:
        store.put("encoder", vectors(3))
        store.clear()
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


@pytest.mark.skipif(os.name != "posix", reason="Windows keeps no time of change that stays")
def test_a_picture_altered_behind_its_time_is_seen_anew(
    tmp_path: Path, picture: MakePicture
) -> None:
    path = tmp_path / "picture.bmp"
    seen = []
    for seed in (1, 2):
        picture(seed=seed).save(path)
        os.utime(path, ns=(0, 12345))
        with Clip("demo") as clip:
            seen.append(clip.encode_images([path]))
    assert not np.array_equal(*seen)


def test_another_preprocessing_looks_anew(
    tmp_path: Path, picture: MakePicture, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture().save(tmp_path / "picture.bmp")
    for made in ("preprocessing 1, Pillow 13", "preprocessing 1, Pillow 14"):
        monkeypatch.setattr("clip_gaze.pictures.encoder.PREPROCESSING", made)
        for _ in range(2):
            with Clip("demo") as clip:
                clip.encode_images([tmp_path / "picture.bmp"])
    with contextlib.closing(Store(cache)) as store:
        assert store.counts() == {"vision": 2}


@settings(max_examples=30)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("put"), st.sampled_from("abcd"), st.floats(width=32)),
            st.tuples(st.just("turn"), st.integers(-3, 3)),
            st.tuples(st.just("prune"), st.sampled_from([0, 10**5, 10**9])),
            st.tuples(st.just("reopen")),
        ),
        max_size=25,
    )
)
def test_whatever_is_done_no_vector_is_wrong_and_none_is_lost_without_pruning(
    steps: list[tuple[object, ...]],
) -> None:
    """A dict is the oracle; a vector that pruning forgot must be there again once it is put."""
    calendar, kept = Calendar(), {}
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        patch.setattr(cache, "_today", lambda: calendar.day)
        store = Store(Path(name))
        for step, *values in steps:
            if step == "put":
                content, number = values
                vector = np.full(DIM, number, np.float32)
                store.put("encoder", {content: vector})
                if np.isfinite(number):
                    kept[content] = vector
            elif step == "turn":
                calendar.day += values[0]
            elif step == "prune":
                if store.prune(values[0]):
                    kept = store.get("encoder", list("abcd"), DIM)
            else:
                store.close()
                store = Store(Path(name))
            assert same(store.get("encoder", list("abcd"), DIM), kept)
        store.close()


def test_what_cannot_be_counted_is_not_called_nothing(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    with pytest.raises(GazeError, match=r"cannot be read: .* is no regular file; remove it, or"):
        Store(tmp_path).counts()


@pytest.mark.parametrize("command", [Store.clear, Store.prune])
def test_what_cannot_be_removed_is_an_error_of_one_line(
    command: Callable[[Store], object], tmp_path: Path
) -> None:
    filled(tmp_path)
    (tmp_path / "vectors-1.damaged-7").mkdir()  # no file, so that it cannot be removed as one
    with contextlib.closing(Store(tmp_path)) as store, pytest.raises(GazeError) as caught:
        command(store)
    assert len(str(caught.value).splitlines()) == 1
    assert str(tmp_path) in str(caught.value)


def test_a_store_that_nobody_closes_is_closed_when_it_goes(
    tmp_path: Path, connections: list[sqlite3.Connection]
) -> None:
    Store(tmp_path).put("encoder", vectors(1))
    gc.collect()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        connections[-1].execute("SELECT 1")
