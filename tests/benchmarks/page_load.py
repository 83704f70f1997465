"""Ask the local page's API by many clients at once: what is answered, and how memory goes.

    python tests/benchmarks/page_load.py [--clients 50] [--seconds 60] [--model demo]

The server is a process of its own, on a free port of this machine. Prints a table and one JSON
object; figures of one run are to be compared with each other alone.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import random
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import click
import export_path  # noqa: F401 - finds `command`
import numpy as np
from PIL import Image

import command
from clip_gaze.model import registry

if TYPE_CHECKING:
    from collections.abc import Iterator

BOUNDARY = "load"
LISTS = ("surfaces", "painting_materials", "movements")
PAGE = 4096
SAMPLED = 0.2  # seconds


@dataclass
class Figures:
    """What was measured.

    Attributes:
        clients: how many asked at once.
        seconds: how long.
        statuses: status -> how many answers; "no answer" for those that did not come.
        answered: seconds until each whole answer with status 200.
        rss_mb: the server's memory, sampled evenly over the time; empty where it is not known.

    """

    clients: int
    seconds: float
    statuses: Counter[str] = field(default_factory=Counter)
    answered: list[float] = field(default_factory=list)
    rss_mb: list[float] = field(default_factory=list)

    def summary(self) -> dict[str, object]:
        """Return the figures that are worth reading."""
        ranked = sorted(self.answered) or [float("nan")]
        memory = {}
        if self.rss_mb:
            memory = {
                "rss_mb_after_a_third": self.after_a_third(),
                "rss_mb_at_the_end": self.at_the_end(),
                "rss_mb_peak": max(self.rss_mb),
            }
        return {
            "clients": self.clients,
            "seconds": self.seconds,
            "statuses": dict(sorted(self.statuses.items())),
            "answers_a_second": len(self.answered) / self.seconds,
            "median_seconds": statistics.median(ranked),
            "slowest_twentieth_seconds": ranked[int(0.95 * (len(ranked) - 1))],
            **memory,
        }

    def after_a_third(self) -> float:
        """Return the median memory around the end of the first third."""
        return self._around(len(self.rss_mb) // 3)

    def at_the_end(self) -> float:
        """Return the median memory at the end."""
        return self._around(len(self.rss_mb))

    def _around(self, at: int) -> float:
        return statistics.median(self.rss_mb[max(0, at - 5) : max(1, at)])


@contextlib.contextmanager
def server(*options: str) -> Iterator[tuple[int, int]]:
    """Start a server; yield its port and its process's id."""
    words = [sys.executable, "-m", "clip_gaze", "serve", "--port", "0", "--no-open", *options]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, encoding="utf-8")
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise click.ClickException("the server did not start; what it says stands above")
        yield int(line.rstrip("/\n").rpartition(":")[2]), process.pid
    finally:
        process.terminate()
        process.communicate()


def questions() -> list[tuple[str, bytes, str]]:
    """Return path, body and wanted kind of answer of different questions."""
    found = []
    rng = np.random.default_rng(0)
    for edge in (64, 300, 900):
        pixels = rng.integers(0, 256, (edge // 4, edge // 3, 3), dtype=np.uint8)
        file = io.BytesIO()
        Image.fromarray(pixels).resize((edge, edge)).save(file, "JPEG")
        image = ('image"; filename="a.jpg', file.getvalue())
        lists = [("list", name.encode()) for name in LISTS]
        kinds = ("application/json", "text/event-stream")
        found += [("/api/gaze", _form(image, *lists), kind) for kind in kinds]
        found.append(("/api/gaze", _form(image, image, *lists), "application/json"))
        found.append(("/api/compare", _form(image, image, *lists), "application/json"))
        found.append(("/api/card", _form(image, *lists), "image/png"))
        quick = (("phrase", b"on canvas"), ("quality", b"quick"))
        found.append(("/api/see", _form(image, *quick), "text/event-stream"))
    return found


def _form(*parts: tuple[str, bytes]) -> bytes:
    pieces = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'.encode()
        + value
        + b"\r\n"
        for name, value in parts
    ]
    return b"".join([*pieces, f"--{BOUNDARY}--\r\n".encode()])


def load(
    port: int, pid: int | None, clients: int, seconds: float, *, patient: bool = True
) -> Figures:
    """Ask a server for a while.

    Args:
        port: where it listens on this machine.
        pid: its process, whose memory is looked at.
        clients: how many ask at once, each with one connection.
        seconds: how long.
        patient: whether a client that is told to come again waits as long as it is told.

    """
    figures = Figures(clients, seconds)
    every, lock, end = questions(), threading.Lock(), threading.Event()

    def ask(seed: int) -> None:
        rng = random.Random(seed)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
        with contextlib.closing(connection):
            while not end.is_set():
                started = time.perf_counter()
                status, wait = _answer(connection, *rng.choice(every))
                with lock:
                    figures.statuses[status] += 1
                    if status == "200":
                        figures.answered.append(time.perf_counter() - started)
                if patient:
                    end.wait(wait)

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(clients)]
    for thread in threads:
        thread.start()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        end.wait(SAMPLED)
        rss = None if pid is None else resident_mb(pid)
        if rss is not None:
            figures.rss_mb.append(rss)
    end.set()
    for thread in threads:
        thread.join()
    return figures


def _answer(
    connection: http.client.HTTPConnection, path: str, body: bytes, wanted: str
) -> tuple[str, int]:
    """Ask one question; return what became of it, and how long to wait."""
    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}", "Accept": wanted}
    try:
        connection.request("POST", path, body, headers)
        response = connection.getresponse()
        answer = response.read()
    except (OSError, http.client.HTTPException) as error:
        connection.close()
        return f"no answer ({type(error).__name__})", 0
    streamed = response.headers["Content-Type"].startswith("text/event-stream")
    if streamed and not answer.endswith(b"event: done\ndata: {}\n\n"):
        return "stream without end", 0
    return str(response.status), int(response.headers.get("Retry-After", 0))


def resident_mb(pid: int) -> float | None:
    """Return a process's memory; None where the system does not say."""
    try:
        fields = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()
    except OSError:
        return None
    return int(fields[1]) * PAGE / 1e6


@click.command(help=__doc__)
@click.option("--clients", type=click.IntRange(min=1), default=50, show_default=True)
@click.option("--seconds", type=click.FloatRange(min=1), default=60, show_default=True)
@click.option("--model", default="demo", show_default=True)
@click.option("--impatient", is_flag=True, help="Do not wait before a question is asked again.")
def main(*, clients: int, seconds: float, model: str, impatient: bool) -> None:
    """Start a server, ask, and print."""
    registry.find(model)
    with server("--model", model) as (port, pid):
        summary = load(port, pid, clients, seconds, patient=not impatient).summary()
    for name, value in summary.items():
        shown = f"{value:.3f}" if isinstance(value, float) else value
        click.echo(f"{name.replace('_', ' '):28}{shown}")
    click.echo(json.dumps(summary))


if __name__ == "__main__":
    command.run(main)
