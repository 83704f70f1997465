"""The store answers right whatever happens to its file."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest

from clip_gaze.store import FILE, Store

if TYPE_CHECKING:
    from pathlib import Path

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
    with sqlite3.connect(tmp_path / FILE) as file:
        (blob,) = file.execute("SELECT embeds FROM vector WHERE content = 'phrase 0'").fetchone()
        altered = bytes([blob[0] ^ 1]) + blob[1:]
        file.execute("UPDATE vector SET embeds = ? WHERE content = 'phrase 0'", (altered,))
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


def test_a_store_that_cannot_be_written_is_still_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path)
    store.put("encoder", vectors(3))
    store.close()
    real = sqlite3.connect

    def read_only(path: object, *args: object, **kwargs: object) -> sqlite3.Connection:
        if path == tmp_path / FILE:  # root may write everywhere, so the refusal is SQLite's own
            return real(f"{(tmp_path / FILE).as_uri()}?mode=ro", *args, uri=True, **kwargs)
        return real(path, *args, **kwargs)

    monkeypatch.setattr(sqlite3, "connect", read_only)
    store = Store(tmp_path)
    store.put("encoder", {"new": np.ones(DIM, np.float32)})
    found = store.get("encoder", [*vectors(3), "new"], DIM)
    assert set(found) == {*vectors(3), "new"}
    monkeypatch.undo()
    assert Store(tmp_path).get("encoder", ["new"], DIM) == {}


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


@pytest.mark.parametrize("attempt", range(3))
def test_processes_that_open_it_at_the_same_moment_lose_nothing(
    tmp_path: Path, attempt: int
) -> None:
    running = [
        subprocess.Popen(
            [sys.executable, "-c", STARTER, str(tmp_path), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in "abcdef"
    ]
    for process in running:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n", attempt
    for process in running:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in running:
        _, said = process.communicate()
        assert (process.returncode, said) == (0, "")
    names = [f"{name} {at}" for name in "abcdef" for at in range(20)]
    assert set(Store(tmp_path).get("encoder", names, DIM)) == set(names)


@pytest.mark.parametrize("after", [0, 7, 60])
def test_what_was_put_outlives_a_kill(tmp_path: Path, after: int) -> None:
    with writer(tmp_path, "a", 100_000) as process:
        assert process.stdout is not None
        done = [int(process.stdout.readline()) for _ in range(after + 1)]
        process.kill()
    found = Store(tmp_path).get("encoder", [f"a {at}" for at in done], DIM)
    assert len(found) == after + 1
    assert all(found[f"a {at}"].tolist() == [at] * DIM for at in done)
