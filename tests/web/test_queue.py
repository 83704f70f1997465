"""Several who ask at once: who waits, who is told to come again, and what ends when they leave."""

from __future__ import annotations

import asyncio
import contextlib
import io
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from clip_gaze.errors import PictureSizeError
from clip_gaze.web.queue import BusyError, Job, Outcome, StoppedError, Worker
from serving import BOUNDARY, PATIENCE, Served, form, hear, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Iterator

    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    MakePicture = Callable[..., Image.Image]

PLACES = 2
T = TypeVar("T")


def in_a_loop(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in a thread of its own: the browser of other tests has this one's loop."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


class Gate:
    """Holds the model's thread where it would look at a picture, until it is opened."""

    def __init__(self, served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
        assert served.clip is not None
        self.looked = 0
        self._through = served.clip.embed_many
        self._reached = threading.Semaphore(0)
        self._opened = threading.Event()
        monkeypatch.setattr(served.clip, "embed_many", self._embed)

    def _embed(self, images: Iterable[Any]) -> Iterator[Any]:
        self.looked += 1
        self._reached.release()
        assert self._opened.wait(PATIENCE)
        yield from self._through(images)

    def reached(self) -> None:
        """Wait until a job stands at the gate."""
        assert self._reached.acquire(timeout=PATIENCE)

    def open(self) -> None:
        """Let all through."""
        self._opened.set()


@pytest.fixture
def served() -> Iterator[Served]:
    with serving(places=PLACES) as server:
        yield server


@pytest.fixture
def gate(served: Served, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    made = Gate(served, monkeypatch)
    yield made
    made.open()


@pytest.fixture
def image(picture: MakePicture) -> tuple[str, tuple[str, bytes]]:
    file = io.BytesIO()
    picture().save(file, "PNG")
    return "image", ("a.png", file.getvalue())


def head(served: Served, path: str, size: int, accept: str) -> str:
    return (
        f"POST {path} HTTP/1.1\nHost: {served.host}\nAccept: {accept}\n"
        f'Content-Type: multipart/form-data; boundary="{BOUNDARY}"\nContent-Length: {size}\n\n'
    )


def test_all_places_taken_is_said_with_when_to_come_again(
    served: Served, gate: Gate, image: Any
) -> None:
    parts = [image, ("list", "surfaces")]
    with ThreadPoolExecutor() as pool:
        first = pool.submit(served.post, "/api/gaze", *parts)
        gate.reached()
        waiting = [open_stream(served, parts) for _ in range(PLACES)]
        assert [ahead for _, ahead in waiting] == [1, 2]
        for path in ("/api/gaze", "/api/card"):
            refused = served.post(path, *parts)
            assert refused.status == 503
            assert int(refused.headers["retry-after"]) > 0
            assert refused.error == "too many questions are waiting; try again in a moment"
        assert served.post("/api/gaze", *parts, accept="text/event-stream").status == 503
        gate.open()
        assert first.result().status == 200
        for connection, _ in waiting:
            with contextlib.closing(connection):
                hear(connection, b"event: done")


def open_stream(served: Served, parts: list[Any]) -> tuple[Any, int]:
    """Ask for a stream; return the connection, and how many were ahead."""
    body = form(*parts)
    connection = served.raw(head(served, "/api/gaze", len(body), "text/event-stream"), more=body)
    heard = hear(connection, b"}\n\n").decode()
    return connection, int(heard.split('{"ahead": ')[1].split("}")[0])


def test_who_leaves_while_waiting_frees_the_place_and_is_not_looked_at(
    served: Served, gate: Gate, image: Any
) -> None:
    parts = [image, ("list", "surfaces")]
    with ThreadPoolExecutor() as pool:
        first = pool.submit(served.post, "/api/gaze", *parts)
        gate.reached()
        gone = [open_stream(served, parts)[0] for _ in range(PLACES)]
        assert served.post("/api/gaze", *parts).status == 503
        for connection in gone:
            connection.close()
        deadline = time.monotonic() + PATIENCE
        while worker(served)._waiting:  # the server hears of it in its own time
            assert time.monotonic() < deadline
            assert served.get("/api/lists").status == 200
        last, ahead = open_stream(served, parts)
        assert ahead == 1
        gate.open()
        assert first.result().status == 200
        with contextlib.closing(last):
            hear(last, b"event: done")
    assert gate.looked == 2


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
def test_who_leaves_a_running_job_stops_it_at_its_next_step(
    served: Served, gate: Gate, image: Any, accept: str
) -> None:
    body = form(*[image] * 5, ("list", "surfaces"))
    connection = served.raw(head(served, "/api/gaze", len(body), accept), more=body)
    gate.reached()
    job = worker(served)._running
    assert job is not None
    connection.close()
    assert job._stopped.wait(PATIENCE)
    gate.open()
    assert served.post("/api/gaze", image, ("list", "surfaces")).status == 200
    assert gate.looked == 2  # one of the five, and the one after


def worker(served: Served) -> Worker:
    assert served.page is not None
    return served.page._worker


def test_heat_maps_stop_at_the_next_step_too(
    served: Served, image: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from clip_gaze.pictures.encoder import ImageEncoder

    reached, go_on = threading.Event(), threading.Event()
    runs = []
    through = ImageEncoder.encode_squares

    def held(self: ImageEncoder, squares: NDArray[np.uint8]) -> NDArray[np.float32]:
        runs.append(len(squares))
        reached.set()
        assert go_on.wait(PATIENCE)
        return through(self, squares)

    monkeypatch.setattr(ImageEncoder, "encode_squares", held)
    body = form(image, ("phrase", "on canvas"))
    connection = served.raw(head(served, "/api/see", len(body), "text/event-stream"), more=body)
    assert reached.wait(PATIENCE)
    job = worker(served)._running
    assert job is not None
    connection.close()
    assert job._stopped.wait(PATIENCE)
    go_on.set()
    assert served.post("/api/gaze", image, ("list", "surfaces")).status == 200
    assert runs == [1]


def test_stopping_refuses_who_waits_and_stops_what_runs(
    served: Served, gate: Gate, image: Any
) -> None:
    parts = [image, image, ("list", "surfaces")]
    with ThreadPoolExecutor() as pool:
        running = pool.submit(served.post, "/api/gaze", *parts)
        gate.reached()
        connection, _ = open_stream(served, parts)
        assert served.page is not None
        served.page.stop()
        with contextlib.closing(connection):
            heard = hear(connection, b"event: error").decode()
            heard += hear(connection, b"0\r\n\r\n").decode() if "}" not in heard else ""
        assert "clip-gaze is stopping" in heard
        late = served.post("/api/gaze", *parts)
        assert (late.status, late.headers["retry-after"]) == (503, "2")
        gate.open()
        assert running.result().status == 503
        assert running.result().error == "clip-gaze is stopping; start it again"
    assert gate.looked == 1


def outcome(work: Callable[[Job], bytes]) -> Outcome:
    async def last() -> Outcome:
        found = [new async for new in job.news()]
        assert isinstance(found[-1], Outcome)
        return found[-1]

    async def main() -> Outcome:
        nonlocal job
        made = Worker(0)
        made.start()
        job = made.submit(work)
        try:
            return await last()
        finally:
            made.stop()
            made.join()

    job: Job
    return in_a_loop(main())


def test_a_job_that_fails_has_its_error_as_its_outcome() -> None:
    def fail(_: Job) -> bytes:
        raise MemoryError

    assert isinstance(outcome(fail).error, PictureSizeError)
    assert outcome(lambda _: b"an answer") == Outcome(b"an answer")


def test_a_worker_takes_jobs_only_while_it_works() -> None:
    async def main() -> None:
        made = Worker(0)
        with pytest.raises(StoppedError):
            made.submit(lambda _: b"")
        made.start()
        made.stop()
        made.join()
        with pytest.raises(StoppedError):
            made.submit(lambda _: b"")

    in_a_loop(main())


def test_without_places_one_at_a_time_is_answered() -> None:
    async def main() -> None:
        made = Worker(0)
        made.start()
        go_on = threading.Event()
        first = made.submit(lambda _: bytes(go_on.wait(PATIENCE)))
        with pytest.raises(BusyError):
            made.submit(lambda _: b"")
        go_on.set()
        async for _ in first.news():
            pass
        made.stop()
        made.join()

    in_a_loop(main())
