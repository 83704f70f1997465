"""A short queue in front of one thread, which alone works with the model."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from clip_gaze.errors import GazeError, PictureSizeError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    Work = Callable[["Job"], bytes]

logger = logging.getLogger(__name__)


class BusyError(Exception):
    """There is no place in the queue; ask again later."""


class StoppedError(Exception):
    """The one who asked has gone, or the server is stopping."""


@dataclass(frozen=True, slots=True)
class Update:
    """One event of a stream."""

    event: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a job: its answer, or else the error that ended it."""

    answer: bytes = b""
    error: Exception | None = None


class Job:
    """One question on its way through the queue; its news come in the event loop of the asker."""

    def __init__(self, work: Work, ahead: int, *, streamed: bool) -> None:
        """Prepare to do `work`, with `ahead` other jobs before it; only a stream has events."""
        self.ahead = ahead
        self.streamed = streamed
        self._work = work
        self._stopped = threading.Event()
        self._loop = asyncio.get_running_loop()
        self._news: asyncio.Queue[Update | Outcome] = asyncio.Queue()

    async def news(self) -> AsyncIterator[Update | Outcome]:
        """Yield the events as they come, and the outcome last."""
        last = False
        while not last:
            new = await self._news.get()
            last = isinstance(new, Outcome)
            yield new

    def stop(self) -> None:
        """Ask for the job's end: at once if it waits, else at its next step."""
        self._stopped.set()

    def check(self) -> None:
        """Go on; the work calls this at every step.

        Raises:
            StoppedError: nobody waits for it any more.

        """
        if self._stopped.is_set():
            raise StoppedError

    def tell(self, event: str, data: dict[str, Any]) -> None:
        """Send an event, if somebody listens; see `check`."""
        self.check()
        if self.streamed:
            self._send(Update(event, data))

    def run(self) -> Outcome:
        """Do the work and return its outcome, whatever that is."""
        try:
            self.check()
            return Outcome(self._work(self))
        except (GazeError, StoppedError) as error:
            return Outcome(error=error)
        except MemoryError:
            msg = "not enough memory for this; try a smaller picture or variant"
            return Outcome(error=PictureSizeError(msg))
        except Exception as error:
            logger.exception("a job failed")
            return Outcome(error=error)

    def end(self, outcome: Outcome) -> None:
        """Send the last news; nobody hears what comes after them."""
        self._send(outcome)

    def _send(self, new: Update | Outcome) -> None:
        try:
            self._loop.call_soon_threadsafe(self._news.put_nowait, new)
        except RuntimeError:  # the loop was closed: nobody is there to hear it
            self._stopped.set()


class Worker:
    """One thread that does jobs one after the other."""

    def __init__(self, places: int) -> None:
        """Prepare a queue in which so many jobs can wait, beside the one that is done."""
        self._places = places
        self._news = threading.Condition()
        self._waiting: deque[Job] = deque()
        self._running: Job | None = None
        self._open = False
        self._thread = threading.Thread(target=self._work, name="clip-gaze-worker")

    def start(self) -> None:
        """Begin to work."""
        self._open = True
        self._thread.start()

    def submit(self, work: Work, *, streamed: bool = False) -> Job:
        """Queue some work; call this in the event loop that the job's news go to.

        Raises:
            BusyError: all places are taken.
            StoppedError: the worker is stopping.

        """
        with self._news:
            if not self._open:
                raise StoppedError
            ahead = len(self._waiting) + (self._running is not None)
            # The first does not wait, though the thread has yet to wake up for it.
            if ahead > self._places:
                raise BusyError
            job = Job(work, ahead, streamed=streamed)
            self._waiting.append(job)
            self._news.notify()
        return job

    def drop(self, job: Job) -> None:
        """Stop a job whose asker has gone; if it waits, its place is free at once."""
        job.stop()
        with self._news:
            if job in self._waiting:
                self._waiting.remove(job)

    def stop(self) -> None:
        """Take no more jobs, refuse those that wait, and stop the one that runs.

        Whoever waits for it hears so at once, though on an old machine its step may take long.
        """
        with self._news:
            self._open = False
            unfinished = [*self._waiting]
            self._waiting.clear()
            if self._running is not None:
                self._running.stop()
                unfinished.append(self._running)
            self._news.notify()
        for job in unfinished:
            job.end(Outcome(error=StoppedError()))

    def join(self) -> None:
        """Wait until the thread has ended."""
        self._thread.join()

    def _work(self) -> None:
        while (job := self._next()) is not None:
            outcome = job.run()
            with self._news:
                self._running = None  # before anyone who hears the outcome asks again
            job.end(outcome)
            del job, outcome  # they hold pictures

    def _next(self) -> Job | None:
        """Wait for a job; None where none will come."""
        with self._news:
            self._news.wait_for(lambda: self._waiting or not self._open)
            self._running = self._waiting.popleft() if self._waiting else None
            return self._running
