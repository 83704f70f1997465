"""A bounded queue of jobs, of which one at a time runs in a thread."""

from __future__ import annotations

import contextlib
import logging
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel

from clip_gaze.errors import GazeError, PictureSizeError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from anyio.abc import TaskGroup

    Work = Callable[["Job"], bytes]

logger = logging.getLogger(__name__)


class BusyError(Exception):
    """The queue is full; ask again later."""


class StoppedError(Exception):
    """The client has gone, or the server is stopping."""


@dataclass(frozen=True, slots=True)
class Update:
    """One event of a stream."""

    event: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a job ended: with an answer or an error."""

    answer: bytes = b""
    error: Exception | None = None


class Job:
    """Some work for the queue, and its news, which are read in the event loop.

    Attributes:
        ahead: how many other jobs came before it and are not finished.
        streamed: whether its updates are wanted.
        news: its updates as they come, and its outcome last.

    """

    def __init__(self, work: Work, ahead: int, *, streamed: bool) -> None:
        """Prepare to do `work`."""
        self.ahead = ahead
        self.streamed = streamed
        self.scope = anyio.CancelScope()
        self._work = work
        self._loop = anyio.lowlevel.current_token()
        # Without bound, so that a client that reads slowly does not hold up the others.
        self._send, self.news = anyio.create_memory_object_stream[Update | Outcome](math.inf)

    def check(self) -> None:
        """Go on; the work calls this, in any thread, at every step.

        Raises:
            StoppedError: nobody waits for it any more.

        """
        if self.scope.cancel_called:
            raise StoppedError

    def tell(self, event: str, data: dict[str, Any]) -> None:
        """Send an update, if they are wanted; see `check`."""
        self.check()
        if self.streamed:
            anyio.from_thread.run_sync(self.put, Update(event, data), token=self._loop)

    def run(self) -> Outcome:
        """Do the work and return its outcome, whatever that is."""
        try:
            return Outcome(self._work(self))
        except (GazeError, StoppedError) as error:
            return Outcome(error=error)
        except MemoryError:
            msg = "not enough memory for this; try a smaller picture or variant"
            return Outcome(error=PictureSizeError(msg))
        except Exception as error:
            logger.exception("a job failed")
            return Outcome(error=error)

    def put(self, new: Update | Outcome) -> None:
        """Add some news; the outcome is the last."""
        with contextlib.suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
            self._send.send_nowait(new)
        if isinstance(new, Outcome):
            self._send.close()

    def leave(self) -> None:
        """Give the job up: if it waits, its place is free now, else it ends at its next step."""
        self.scope.cancel()
        self.news.close()


class Queue:
    """Runs jobs one after the other, as long as `working` is entered."""

    def __init__(self, places: int) -> None:
        """Prepare a queue in which `places` jobs can wait, beside the one that runs."""
        self._places = places
        self._jobs: set[Job] = set()
        self._tasks: TaskGroup | None = None
        self._slot = anyio.CapacityLimiter(1)

    @contextlib.asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Take jobs; at the end, stop and wait until the one that runs has ended."""
        async with anyio.create_task_group() as self._tasks:
            try:
                yield
            finally:
                self.stop()

    def submit(self, work: Work, *, streamed: bool = False) -> Job:
        """Queue some work.

        Raises:
            BusyError: all places are taken.
            StoppedError: the queue is stopping.

        """
        if self._tasks is None:
            raise StoppedError
        if len(self._jobs) > self._places:
            raise BusyError
        job = Job(work, len(self._jobs), streamed=streamed)
        self._jobs.add(job)
        self._tasks.start_soon(self._do, job)
        return job

    def stop(self) -> None:
        """Take no more jobs, and end all that there are: the one that runs at its next step.

        Clients hear so at once, though on an old machine a step may take long.
        """
        self._tasks = None
        for job in self._jobs:
            job.put(Outcome(error=StoppedError()))
            job.scope.cancel()

    async def _do(self, job: Job) -> None:
        outcome = Outcome(error=StoppedError())
        with job.scope:
            outcome = await anyio.to_thread.run_sync(job.run, limiter=self._slot)
        self._jobs.remove(job)  # before anyone who hears the outcome asks again
        job.put(outcome)
