"""Schedulers and workers of Dask as processes of their own, to be killed by tests."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PATIENCE = 300  # seconds: a busy machine must not fail a test
# So that a busy machine does not pass for a broken network.
SLOW = {
    "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "120s",
    "DASK_DISTRIBUTED__WORKER__MEMORY__TERMINATE": "False",
}


def until(true: Callable[[], object]) -> None:
    """Wait until something is true."""
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.01)


class Processes:
    """A scheduler and its workers."""

    def __init__(self, folder: Path) -> None:
        """Name a folder for what they write."""
        self._folder = folder
        self._started = 0
        self._stack = contextlib.ExitStack()
        self.address = ""

    def scheduler(self, address: str = "127.0.0.1:0") -> subprocess.Popen[bytes]:
        """Start a scheduler, and wait until it listens."""
        file = self._folder / f"scheduler-{self._started}.json"
        host, _, port = address.rpartition(":")
        options = ["--host", host, "--port", port, "--no-dashboard", "--no-show"]
        options += ["--protocol", "tls"] if host.startswith("tls") else []
        process = self._start("scheduler", *options, "--scheduler-file", str(file))
        until(lambda: process.poll() is not None or (file.is_file() and file.read_text()))
        assert process.poll() is None
        self.address = json.loads(file.read_text())["address"]
        return process

    def worker(self, *options: str) -> subprocess.Popen[bytes]:
        """Start a worker of one thread."""
        usual = ["--nthreads", "1", "--no-dashboard", "--no-nanny", "--memory-limit", "0"]
        usual += ["--local-directory", str(self._folder)]
        return self._start("worker", self.address, *usual, *options)

    def _start(self, *words: str) -> subprocess.Popen[bytes]:
        self._started += 1
        log = self._stack.enter_context((self._folder / f"{self._started}.log").open("wb"))
        process = subprocess.Popen(
            [sys.executable, "-m", "dask", *words], env=os.environ | SLOW, stdout=log, stderr=log
        )
        self._stack.callback(process.wait)
        self._stack.callback(process.kill)
        return process

    def close(self) -> None:
        """Kill what is left."""
        self._stack.close()


@contextlib.contextmanager
def processes(folder: Path) -> Iterator[Processes]:
    """Yield what starts a scheduler and workers, and kill them in the end."""
    folder.mkdir()
    started = Processes(folder)
    try:
        yield started
    finally:
        started.close()
