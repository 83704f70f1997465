"""Whatever of a cluster dies, a dataset comes to equal that of a run without faults."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import clip_gaze
from clip_gaze.datasets import engines
from clip_gaze.errors import ModelError
from dask_processes import PATIENCE, SLOW, Processes, processes, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytest.importorskip("distributed", reason="needs the extra `cluster`")


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Processes]:
    """Return what starts schedulers and workers."""
    with processes(tmp_path / "processes") as started:
        yield started


def content(dataset: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in dataset.iterdir() if path.suffix != ".part"}


@pytest.fixture
def expected(scans: Path, tmp_path: Path) -> dict[str, bytes]:
    """Return what a run without faults writes, in this process."""
    clip_gaze.embed(scans, tmp_path / "expected", model="demo", per_part=1)
    return content(tmp_path / "expected")


def started(*words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "clip_gaze", *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | SLOW,
    )  # fmt: skip


def begun(scans: Path, place: Path, cluster: str, *more: str) -> subprocess.Popen[str]:
    # The dataset says what it was made of, which must be the same.
    usual = ["embed", str(scans), "-o", str(place), "--model", "demo", "--per-part", "1"]
    return started(*usual, "--cluster", cluster, *more)


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    _, said = process.communicate(timeout=PATIENCE)
    assert "Traceback" not in said
    return process.returncode, said


def some(place: Path) -> bool:
    return len(list(place.glob("part-*.parquet"))) > 1


def same(place: Path, expected: dict[str, bytes]) -> None:
    found = content(place)
    # What it was made of is spelled as the command has it, and not as Python has it.
    assert {name for name in found if name.startswith("part")} == {
        name for name in expected if name.startswith("part")
    }
    rows, others = clip_gaze.Dataset(place), clip_gaze.Dataset(place.parent / "expected")
    for file in rows.files():
        assert rows.rows(file).vectors.tobytes() == others.rows(file).vectors.tobytes()
        assert rows.rows(file).errors == others.rows(file).errors


def test_processes_on_this_machine_write_what_threads_do(
    scans: Path, tmp_path: Path, expected: dict[str, bytes]
) -> None:
    place = tmp_path / "vectors"
    code, said = ended(begun(scans, place, "local:2"))
    assert code == 1  # one picture is bad
    assert said.count("bad.png") == 1
    assert "the cluster shows its work at http://127.0.0.1:" in said
    same(place, expected)


def test_a_worker_that_is_killed_is_missed_by_nobody(
    scans: Path, tmp_path: Path, cluster: Processes, expected: dict[str, bytes]
) -> None:
    place = tmp_path / "vectors"
    cluster.scheduler()
    worker = cluster.worker()
    client = begun(scans, place, cluster.address)
    until(lambda: some(place))
    worker.kill()
    cluster.worker()
    assert ended(client)[0] == 1
    same(place, expected)


def test_phrases_are_not_lost_with_all_workers(
    scans: Path, tmp_path: Path, cluster: Processes
) -> None:
    place = tmp_path / "answers"
    cluster.scheduler()
    worker = cluster.worker()
    words = ["gaze", str(scans), "-o", f"{place}/", "--model", "demo", "--list", "surfaces"]
    client = started(*words, "--cluster", cluster.address)
    until(place.is_dir)  # the phrases are where the only worker is
    worker.kill()
    worker.wait()
    cluster.worker()
    code, said = ended(client)
    assert code == 1
    assert "bad.png" in said
    assert "gone" not in said
    assert len(clip_gaze.to_frame(clip_gaze.Dataset(place))) == 20 * 5 + 1


@pytest.mark.parametrize("sent", ["SIGKILL", "SIGINT"])
@pytest.mark.skipif(os.name != "posix", reason="Windows has no such signals")
def test_a_client_that_is_stopped_is_gone_on_with(
    scans: Path, tmp_path: Path, cluster: Processes, expected: dict[str, bytes], sent: str
) -> None:
    place = tmp_path / "vectors"
    cluster.scheduler()
    cluster.worker()
    client = begun(scans, place, cluster.address)
    until(lambda: some(place))
    client.send_signal(signal.Signals[sent])
    code, said = ended(client)
    if sent == "SIGINT" and code == 2:  # it had not come to its end yet
        assert "the same command with --resume goes on" in said
    assert ended(begun(scans, place, cluster.address, "--resume"))[0] == 1
    same(place, expected)


def test_a_scheduler_that_is_killed_is_said_and_gone_on_with(
    scans: Path, tmp_path: Path, cluster: Processes, expected: dict[str, bytes]
) -> None:
    place = tmp_path / "vectors"
    scheduler = cluster.scheduler()
    worker = cluster.worker()
    client = begun(scans, place, cluster.address)
    until(lambda: some(place))
    worker.kill()  # so that it cannot be done before
    scheduler.kill()
    scheduler.wait()
    code, said = ended(client)
    assert code in (1, 2)  # 2 where the client had not heard of a good part yet
    assert "is gone; start it, and go on with --resume" in said
    cluster.scheduler()
    cluster.worker()
    assert ended(begun(scans, place, cluster.address, "--resume"))[0] == 1
    same(place, expected)


def test_answers_are_made_of_pictures_and_of_vectors(
    scans: Path, tmp_path: Path, cluster: Processes
) -> None:
    cluster.scheduler()
    cluster.worker()
    vectors = clip_gaze.embed(scans, tmp_path / "vectors", model="demo", per_part=4)
    made = []
    for source in (scans, vectors.url):
        place = tmp_path / f"answers-{len(made)}"
        words = ["gaze", str(source), "-o", f"{place}/", "--model", "demo", "--list", "surfaces"]
        command = [sys.executable, "-m", "clip_gaze", *words, "--cluster", cluster.address]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, "Traceback" in done.stderr) == (1, False)
        made.append(clip_gaze.to_frame(clip_gaze.Dataset(place)))
    order = [sorted(rows, key=lambda row: (row["image"], row["phrase"] or "")) for rows in made]
    for one, other in zip(*order, strict=True):
        # A matrix product of other size differs in its last bits.
        assert one | {"probability": None} == other | {"probability": None}
        assert one["probability"] == pytest.approx(other["probability"], abs=1e-5)
    assert len(made[0]) == 20 * 5 + 1


def test_a_worker_with_other_files_is_refused_by_name(
    scans: Path, tmp_path: Path, cluster: Processes
) -> None:
    from distributed import Client

    cluster.scheduler()
    for name in ("good", "bad"):
        cluster.worker("--name", name)
    with clip_gaze.Clip("demo") as clip:
        spec = clip.spec

    def swap() -> None:
        """Let a worker have another model under the name that the others know."""
        from dataclasses import replace

        from clip_gaze import Clip
        from clip_gaze.datasets import work

        alone = replace(spec, threads=1, store=False)
        work._CLIPS[alone] = Clip("demo", "q8", store=False)

    with Client(cluster.address, set_as_default=False, timeout=PATIENCE) as client:
        client.wait_for_workers(2, timeout=PATIENCE)
        bad = next(
            address
            for address, each in client.scheduler_info(n_workers=-1)["workers"].items()
            if each["id"] == "bad"
        )
        client.run(swap, workers=[bad])
        with pytest.raises(ModelError, match="1 of 2 workers cannot be used") as raised:
            clip_gaze.embed(scans, tmp_path / "vectors", model=spec, cluster=client)
        assert bad in str(raised.value)
        assert "has other files" in str(raised.value)
        assert not (tmp_path / "vectors").exists()


def test_nobody_at_an_address_is_one_line(scans: Path, tmp_path: Path) -> None:
    import dask

    with (
        dask.config.set({"distributed.comm.timeouts.connect": "1s"}),
        pytest.raises(clip_gaze.GazeError, match="no scheduler can be reached") as raised,
    ):
        clip_gaze.embed(scans, tmp_path / "vectors", model="demo", cluster="tcp://127.0.0.1:1")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("tcp://127.0.0.1", "missing port number"),
        ("tcp://127.0.0.1:none", "invalid"),
        ("none://127.0.0.1:8786", "unknown address scheme"),
        ("tls://127.0.0.1:8786", "needs certificates"),
        ("ucx://127.0.0.1:8786", "no scheduler can be reached"),
    ],
)
def test_an_address_that_cannot_be_one_is_one_line(
    scans: Path, tmp_path: Path, address: str, said: str
) -> None:
    code, error = ended(begun(scans, tmp_path / "vectors", address))
    assert code == 2
    assert f"clip-gaze: error: {address}: " in error
    assert said in error
    assert error.count("\n") == 2  # the model's note comes before


@pytest.mark.parametrize(
    ("cluster", "said"),
    [("tcp://127.0.0.1:1", "requires encryption"), ("local:1", "cannot be started")],
)
def test_what_lacks_the_encryption_that_is_required_is_one_line(
    scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cluster: str, said: str
) -> None:
    monkeypatch.setenv("DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION", "True")
    code, error = ended(begun(scans, tmp_path / "vectors", cluster))
    assert code == 2
    assert f"clip-gaze: error: {cluster}: " in error
    assert said in error
    assert error.count("\n") == 2  # the model's note comes before


@pytest.mark.parametrize("error", [RuntimeError(), FutureWarning("\nis no more\nfor long")])
def test_whatever_dask_raises_is_one_line(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    import distributed

    def fails(_: str) -> str:
        raise error

    monkeypatch.setattr(distributed.comm, "get_address_host", fails)
    with (
        pytest.raises(clip_gaze.GazeError, match=r"\((RuntimeError|is no more)\)") as raised,
        engines.connected("tcp://127.0.0.1:1"),
    ):
        pass
    assert "\n" not in str(raised.value)


def test_with_tls_only_those_with_a_certificate_connect(
    scans: Path, tmp_path: Path, expected: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    from distributed import Security

    names = {}
    for who in ("mine", "other"):
        made = Security.temporary()
        (tmp_path / f"{who}.pem").write_text(str(made.tls_ca_file), encoding="ascii")
        (tmp_path / f"{who}.key").write_text(str(made.tls_client_key), encoding="ascii")
        pem, key = (str(tmp_path / f"{who}.{kind}") for kind in ("pem", "key"))
        tls = "DASK_DISTRIBUTED__COMM__TLS__"
        names[who] = {f"{tls}CA_FILE": pem}
        for role in ("SCHEDULER", "WORKER", "CLIENT"):
            names[who] |= {f"{tls}{role}__CERT": pem, f"{tls}{role}__KEY": key}
    for name, value in names["mine"].items():
        monkeypatch.setenv(name, value)
    with processes(tmp_path / "processes") as cluster:
        cluster.scheduler("tls://127.0.0.1:0")
        cluster.worker()
        assert cluster.address.startswith("tls://")
        assert ended(begun(scans, tmp_path / "vectors", cluster.address))[0] == 1
        for name, value in names["other"].items():
            monkeypatch.setenv(name, value)
        code, said = ended(begun(scans, tmp_path / "none", cluster.address))
    same(tmp_path / "vectors", expected)
    assert code == 2
    assert "TLS certificate does not match" in said
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("number", [1, 3])
def test_as_many_processes_as_were_asked_for_work_on_this_machine(number: int) -> None:
    before = dict(os.environ)
    with engines.connected(f"local:{number}") as client:
        client.wait_for_workers(number)
        assert list(client.nthreads().values()) == [1] * number
    assert dict(os.environ) == before


def test_a_scheduler_keeps_no_names(scans: Path, tmp_path: Path, cluster: Processes) -> None:
    """It logs what it sends to each worker, a thousand messages long."""
    from distributed import Client

    def kept() -> int:
        import gc

        return sum(type(each).__name__ in ("Named", "Partition") for each in gc.get_objects())

    cluster.scheduler()
    cluster.worker()
    with Client(cluster.address, set_as_default=False, timeout=PATIENCE) as client:
        clip_gaze.embed(scans, tmp_path / "vectors", model="demo", per_part=4, cluster=client)
        assert client.run_on_scheduler(kept) == 0
