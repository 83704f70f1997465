"""Break a cluster of hosts with addresses of their own, and compare what it makes with what is due.

    python tests/benchmarks/faults.py [--pictures 5000] [--bad 50]

Each host is a network namespace on a bridge: a scheduler, three workers, a client. While
`clip-gaze embed` works on JPEGs, one worker is killed, one is cut off from the network for
a minute, one runs out of memory, the client is killed, and so is the scheduler. Needs Linux, root
and `ip`.
"""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click
import export_path  # noqa: F401 - finds `command`, `dask_processes` and `limits`
import numpy as np
from PIL import Image, ImageEnhance
from pyarrow import parquet

import command
from clip_gaze.errors import GazeError
from clip_gaze.system.paths import shipped
from dask_processes import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WORKERS = 3
CUT = 60  # seconds without a network
MEMORY = 700  # MB that a worker may have; it takes about 200
PER_PART = 16
SIZE, CROP = (2400, 1800), (1600, 1200)
PORT = 8786
# What the nanny of a worker ends it for.
LEAK = """
import sys
from distributed import Client

def leak():
    import threading
    kept = []
    def fill():
        while True:
            kept.append(bytearray(b"x") * 2**24)
            threading.Event().wait(0.05)
    threading.Thread(target=fill, daemon=True).start()

with Client(sys.argv[1], set_as_default=False) as client:
    client.run(leak, workers=[sys.argv[2]])
"""


class Seen(NamedTuple):
    """A fault: when it came, and what was seen of it."""

    fault: str
    parts: int
    what: str


def paint(folder: Path, count: int, bad: int) -> set[str]:
    """Write JPEGs that differ, of which some are damaged; return the paths of these."""
    rng = np.random.default_rng(0)
    large = Image.open(shipped("models") / "demo" / "demo.jpg").convert("RGB").resize(SIZE)
    damaged = set(rng.choice(count, bad, replace=False).tolist())
    found = set()
    for number in range(count):
        left, top = (int(rng.integers(SIZE[at] - CROP[at])) for at in range(2))
        crop = large.crop((left, top, left + CROP[0], top + CROP[1]))
        crop = ImageEnhance.Brightness(crop).enhance(rng.uniform(0.5, 1.5))
        file = io.BytesIO()
        crop.save(file, "JPEG", quality=80)
        content = file.getvalue()
        path = folder / f"{number % 10}" / f"{number:05}.jpg"
        path.parent.mkdir(exist_ok=True)
        if number in damaged:
            found.add(str(path))
            # Cut short, without a beginning, empty.
            content = (content[: len(content) // 3], content[500:], b"")[number % 3]
        path.write_bytes(content)
    return found


def ip(*words: str) -> None:
    """Run `ip`."""
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        msg = f"ip {' '.join(words)}: {done.stderr.strip()}; this needs root and network namespaces"
        raise GazeError(msg)


class Hosts:
    """Network namespaces on a bridge, and what runs in them."""

    def __init__(self, folder: Path, stack: contextlib.ExitStack) -> None:
        """Make the bridge.

        Args:
            folder: for logs, and for what workers write.
            stack: ends all processes and removes all namespaces in the end.

        """
        self.folder, self._stack = folder, stack
        self._prefix = f"cg{os.getpid() % 10**6}"
        self._bridge = f"{self._prefix}b"
        self._addresses: dict[str, str] = {}
        ip("link", "add", self._bridge, "type", "bridge")
        stack.callback(ip, "link", "del", self._bridge)
        ip("link", "set", self._bridge, "up")

    def add(self, name: str) -> str:
        """Make a host, and return its address."""
        space, outside = f"{self._prefix}-{name}", f"{self._prefix}v{len(self._addresses)}"
        address = f"10.213.{os.getpid() % 200}.{len(self._addresses) + 1}"
        ip("netns", "add", space)
        self._stack.callback(ip, "netns", "del", space)
        ip("link", "add", outside, "type", "veth", "peer", "name", "eth0", "netns", space)
        ip("link", "set", outside, "master", self._bridge, "up")
        ip("-n", space, "addr", "add", f"{address}/24", "dev", "eth0")
        for device in ("lo", "eth0"):
            ip("-n", space, "link", "set", device, "up")
        self._addresses[name] = address
        return address

    def link(self, name: str, state: str) -> None:
        """Set the cable of a host "down" or "up"."""
        ip("link", "set", f"{self._prefix}v{[*self._addresses].index(name)}", state)

    def run(self, name: str, *words: str) -> subprocess.Popen[bytes]:
        """Start a program of Python in a host; it is the leader of a group of processes."""
        space = f"{self._prefix}-{name}"
        log = self._stack.enter_context((self.folder / f"{name}.log").open("ab"))
        process = subprocess.Popen(
            ["ip", "netns", "exec", space, sys.executable, *words],
            stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
        self._stack.callback(process.wait)
        self._stack.callback(kill, process)
        return process

    def log(self, name: str) -> str:
        """Return what the programs of a host have said."""
        return (self.folder / f"{name}.log").read_text(errors="replace")


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and all that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


class Cluster:
    """A scheduler, three workers with nannies, and a client, each on a host of its own."""

    def __init__(self, hosts: Hosts, scans: Path, place: Path) -> None:
        """Start all but the client."""
        self._hosts, self._place = hosts, place
        self.address = f"tcp://{hosts.add('scheduler')}:{PORT}"
        self.addresses = [f"tcp://{hosts.add(f'worker{n}')}:{PORT}" for n in range(WORKERS)]
        hosts.add("client")
        self._embed = ["embed", str(scans), "-o", str(place), "--model", "demo"]
        self._embed += ["--per-part", str(PER_PART), "--cluster", self.address]
        self.scheduler = self.schedule()
        self.workers = [self.work(number) for number in range(WORKERS)]

    def schedule(self) -> subprocess.Popen[bytes]:
        """Start a scheduler."""
        host = self.address.removeprefix("tcp://").partition(":")[0]
        words = ["scheduler", "--host", host, "--port", str(PORT), "--no-dashboard", "--no-show"]
        return self._hosts.run("scheduler", "-m", "dask", *words)

    def work(self, number: int) -> subprocess.Popen[bytes]:
        """Start a worker."""
        local = self._hosts.folder / f"worker{number}"
        local.mkdir(exist_ok=True)
        words = ["worker", self.address, "--nthreads", "1", "--memory-limit", f"{MEMORY}MB"]
        words += ["--host", self.addresses[number].removeprefix("tcp://").partition(":")[0]]
        words += ["--worker-port", str(PORT), "--local-directory", str(local), "--no-dashboard"]
        return self._hosts.run(f"worker{number}", "-m", "dask", *words)

    def client(self, *more: str) -> subprocess.Popen[bytes]:
        """Start `clip-gaze embed`."""
        return self._hosts.run("client", "-m", "clip_gaze", *self._embed, *more)

    def leak(self, number: int) -> None:
        """Let a worker take ever more memory."""
        self._hosts.run("client", "-c", LEAK, self.address, self.addresses[number])

    def pid(self, number: int) -> int | None:
        """Return the process of a worker, which its nanny started; None where there is none."""
        listed = subprocess.run(
            ["ps", "-o", "pid=,args=", "--ppid", str(self.workers[number].pid)],
            stdout=subprocess.PIPE, text=True, check=False,
        ).stdout.splitlines()  # fmt: skip
        return next((int(line.split()[0]) for line in listed if "spawn_main" in line), None)

    def parts(self) -> dict[str, int]:
        """Return the parts of the dataset that are there, and when each was written."""
        return {path.name: path.stat().st_mtime_ns for path in self._place.glob("part-*.parquet")}

    def at(self, client: subprocess.Popen[bytes], parts: int) -> None:
        """Wait until there are so many parts; the client must still be at work."""
        until(lambda: client.poll() is not None or len(self.parts()) >= parts)
        if client.poll() is not None:
            msg = f"the client ended early: {self._hosts.log('client')[-1000:]}"
            raise GazeError(msg)


def faults_of_workers(hosts: Hosts, cluster: Cluster, total: int) -> Iterator[Seen]:
    """Kill a worker, cut one off, let one run out of memory, and wait for the end."""
    client = cluster.client()
    cluster.at(client, total // 20)
    hosts.link("worker1", "down")
    down = time.monotonic()
    yield Seen("worker cut off", len(cluster.parts()), "veth down")
    cluster.at(client, total // 10)
    before = cluster.pid(0)
    assert before
    os.kill(before, signal.SIGKILL)
    yield Seen("worker killed", len(cluster.parts()), f"SIGKILL to process {before}")
    until(lambda: cluster.pid(0) not in (None, before))
    cluster.at(client, total // 5)
    before = cluster.pid(2)
    cluster.leak(2)
    yield Seen("worker out of memory", len(cluster.parts()), f"leaks to {MEMORY} MB")
    until(lambda: cluster.pid(2) not in (None, before))
    restarted = [line for line in hosts.log("worker2").splitlines() if "memory" in line]
    yield Seen("", len(cluster.parts()), restarted[-1].partition(" - ")[2])
    time.sleep(max(0, down + CUT - time.monotonic()))
    hosts.link("worker1", "up")
    ended = cluster.workers[1].poll() is not None
    yield Seen("network back", len(cluster.parts()), f"the worker had ended: {ended}")
    if ended:  # whoever watches over it starts it again
        cluster.workers[1] = cluster.work(1)
    code = client.wait()
    yield Seen("end of the run", len(cluster.parts()), f"exit code {code}")


def faults_of_leaders(hosts: Hosts, cluster: Cluster, total: int) -> Iterator[Seen]:
    """Kill the client and the scheduler, and go on each time."""
    client = cluster.client()
    cluster.at(client, total // 4)
    kill(client)
    client.wait()
    yield Seen("client killed", len(cluster.parts()), "SIGKILL")
    there = cluster.parts()
    client = cluster.client("--resume")
    cluster.at(client, total // 2)
    kill(cluster.scheduler)
    code = client.wait()
    said = hosts.log("client").strip().splitlines()[-2:]
    yield Seen("scheduler killed", len(cluster.parts()), f"exit code {code}: {' / '.join(said)}")
    until(lambda: all(worker.poll() is not None for worker in cluster.workers))
    yield Seen("", len(cluster.parts()), "the workers have ended too")
    cluster.scheduler = cluster.schedule()
    cluster.workers = [cluster.work(number) for number in range(WORKERS)]
    there |= cluster.parts()
    code = cluster.client("--resume").wait()
    found = cluster.parts()
    again = sum(found.get(name) != written for name, written in there.items())
    yield Seen("end of the run", len(found), f"exit code {code}; {again} parts written twice")


def compared(place: Path, expected: Path, bad: set[str]) -> str:
    """Return how a dataset differs from the one of a run without faults."""
    files = [{path.name for path in each.glob("part-*")} for each in (place, expected)]
    tables = [
        parquet.read_table([str(path) for path in sorted(each.glob("part-*"))])
        .combine_chunks()
        .sort_by("name")
        for each in (place, expected)
    ]
    same = [column for column in tables[0].column_names if _same(*tables, column)]
    rows = zip(*(tables[0].column(name).to_pylist() for name in ("name", "error")), strict=True)
    wrong = [name for name, error in rows if error is not None]
    exact = sum((place / name).read_bytes() == (expected / name).read_bytes() for name in files[0])
    return (
        f"{tables[0].num_rows} rows of {tables[1].num_rows}; the same: {', '.join(same)}; "
        f"{exact} of {len(files[1])} files are the same bytes, {len(files[0] - files[1])} are "
        f"others; {len(wrong)} error rows, one for each damaged picture: "
        f"{sorted(wrong) == sorted(bad)}"
    )


def _same(one: object, other: object, column: str) -> bool:
    """Return whether a column of two tables is the same, numbers bit by bit."""
    both = [table.column(column).combine_chunks() for table in (one, other)]  # type: ignore[attr-defined]
    if column == "vector":
        both = [np.asarray(each.flatten()).tobytes() for each in both]
        return bool(both[0] == both[1])
    return bool(both[0].equals(both[1]))


@click.command(help=__doc__)
@click.option("--pictures", type=click.IntRange(min=500), default=5000, show_default=True)
@click.option("--bad", type=click.IntRange(min=1), default=50, show_default=True)
def main(pictures: int, bad: int) -> None:
    """Print what happens, and how the datasets compare."""
    # So that the namespaces are removed also where somebody ends this.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(2))
    runs: dict[str, Callable[[Hosts, Cluster, int], Iterator[Seen]]] = {
        "workers": faults_of_workers,
        "leaders": faults_of_leaders,
    }
    with tempfile.TemporaryDirectory() as scratch:
        scans, expected = Path(scratch, "scans"), Path(scratch, "expected")
        scans.mkdir()
        damaged = paint(scans, pictures, bad)
        words = ["embed", str(scans), "-o", str(expected), "--model", "demo"]
        words += ["--per-part", str(PER_PART), "--no-store"]
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "clip_gaze", *words], stderr=subprocess.DEVNULL, check=False
        )
        total = len(list(expected.glob("part-*")))
        click.echo(f"without faults, in threads: {total} parts in "
                   f"{time.perf_counter() - start:.0f} s, exit code {done.returncode}")  # fmt: skip
        for name, faults in runs.items():
            folder = Path(scratch, name)
            folder.mkdir()
            start = time.perf_counter()
            with contextlib.ExitStack() as stack:
                hosts = Hosts(folder, stack)
                cluster = Cluster(hosts, scans, folder / "vectors")
                for fault, parts, what in faults(hosts, cluster, total):
                    spent = time.perf_counter() - start
                    click.echo(f"{spent:5.0f} s, {parts:4} parts  {fault:20}  {what}")
            click.echo(compared(folder / "vectors", expected, damaged))


if __name__ == "__main__":
    command.run(main)
