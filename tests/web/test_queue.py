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
from clip_gaze.web.queue import BusyError, Job, Outcome, Queue, StoppedError
from samples import PATIENCE
from serving import BOUNDARY, Served, form, hear, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Iterator

    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    from clip_gaze.web.queue import Work

    MakePicture = Callable[..., Image.Image]

PLACES = 2
STREAM = "text/event-stream"
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
        assert served.post("/api/gaze", *parts, accept=STREAM).status == 503
        gate.open()
        assert first.result().status == 200
        for connection, _ in waiting:
            with contextlib.closing(connection):
                hear(connection, b"event: done")


def open_stream(served: Served, parts: list[Any]) -> tuple[Any, int]:
    """Ask for a stream; return the connection, and how many were ahead."""
    body = form(*parts)
    connection = served.raw(head(served, "/api/gaze", len(body), STREAM), more=body)
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
        last = first_in_line(served, parts)
        gate.open()
        assert first.result().status == 200
        with contextlib.closing(last):
            hear(last, b"event: done")
    assert gate.looked == 2


def first_in_line(served: Served, parts: list[Any]) -> Any:
    """Ask for a stream until no other waits: the server hears in its own time who has gone."""
    body = form(*parts)
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        connection = served.raw(head(served, "/api/gaze", len(body), STREAM), more=body)
        if b'{"ahead": 1}' in hear(connection, b"}"):
            return connection
        connection.close()
    raise AssertionError


@pytest.mark.parametrize("accept", ["application/json", STREAM])
def test_who_leaves_a_running_job_stops_it_at_its_next_step(
    served: Served, gate: Gate, image: Any, accept: str
) -> None:
    body = form(*[image] * 5, ("list", "surfaces"))
    connection = served.raw(head(served, "/api/gaze", len(body), accept), more=body)
    gate.reached()
    connection.close()
    served.alone()
    gate.open()
    assert served.post("/api/gaze", image, ("list", "surfaces")).status == 200
    assert gate.looked == 2  # one of the five, and the one after


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
    connection = served.raw(head(served, "/api/see", len(body), STREAM), more=body)
    assert reached.wait(PATIENCE)
    connection.close()
    served.alone()
    go_on.set()
    assert served.post("/api/gaze", image, ("list", "surfaces")).status == 200
    assert runs == [1]


def test_stopping_refuses_who_waits_and_stops_what_runs(
    served: Served, gate: Gate, image: Any
) -> None:
    parts = [image, image, ("list", "surfaces")]
    body = form(*parts)
    late = served.raw(head(served, "/api/gaze", len(body), "application/json"), more=body[:-1])
    with ThreadPoolExecutor() as pool:
        running = pool.submit(served.post, "/api/gaze", *parts)
        gate.reached()
        connection, _ = open_stream(served, parts)
        served.stop()
        for each in (connection, late):
            with contextlib.closing(each):
                if each is late:
                    each.sendall(body[-1:])
                heard = b"".join(iter(lambda each=each: each.recv(10_000), b""))
            assert b"clip-gaze is stopping; start it again" in heard
        assert b"503 Service Unavailable" in heard
        assert b"retry-after: 2" in heard
        assert running.result().status == 503
        assert running.result().error == "clip-gaze is stopping; start it again"
        gate.open()
    assert gate.looked == 1


def done(work: Work) -> Outcome:
    """Return what becomes of some work."""

    async def main() -> Outcome:
        queue = Queue(0)
        async with queue.working():
            job = queue.submit(work)
            found = [new async for new in job.news]
            job.leave()
        assert isinstance(found[-1], Outcome)
        return found[-1]

    return in_a_loop(main())


def test_a_job_that_fails_has_its_error_as_its_outcome() -> None:
    def fail(_: Job) -> bytes:
        raise MemoryError

    assert isinstance(done(fail).error, PictureSizeError)
    assert done(lambda _: b"an answer") == Outcome(b"an answer")


def test_a_queue_takes_jobs_only_while_it_works() -> None:
    async def main() -> None:
        queue = Queue(0)
        with pytest.raises(StoppedError):
            queue.submit(lambda _: b"")
        async with queue.working():
            queue.stop()
            with pytest.raises(StoppedError):
                queue.submit(lambda _: b"")

    in_a_loop(main())


def test_without_places_one_at_a_time_is_answered() -> None:
    async def main() -> None:
        queue = Queue(0)
        go_on = threading.Event()
        async with queue.working():
            first = queue.submit(lambda _: bytes(go_on.wait(PATIENCE)))
            with pytest.raises(BusyError):
                queue.submit(lambda _: b"")
            go_on.set()
            async for _ in first.news:
                pass
            first.leave()
            second = queue.submit(lambda _: b"")
            second.leave()

    in_a_loop(main())
