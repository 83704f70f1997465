"""The answers of jobs, whole or as a stream of events, and what their errors become."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, Response

from clip_gaze.errors import GazeError, PictureSizeError
from clip_gaze.output.terminal import clean
from clip_gaze.web.guard import RefusedError, more_headers
from clip_gaze.web.queue import BusyError, Outcome, StoppedError

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from clip_gaze.web.queue import Job, Worker

STREAM = "text/event-stream"


class Answer(Response):
    """The answer of a job, whole or as a stream; who goes away stops the job."""

    def __init__(self, worker: Worker, job: Job, media: str, *, streamed: bool) -> None:
        """Prepare to answer with what becomes of a job.

        Args:
            worker: which has it.
            job: the job.
            media: kind of its answer.
            streamed: whether its events are the answer.

        """
        super().__init__()
        self._worker = worker
        self._job = job
        self._media = media
        self._streamed = streamed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        answering = asyncio.ensure_future(self._answer(scope, receive, send))
        gone = asyncio.ensure_future(_gone(receive))
        try:
            await asyncio.wait({answering, gone}, return_when=asyncio.FIRST_COMPLETED)
            if answering.done():
                answering.result()
        finally:
            self._worker.drop(self._job)
            answering.cancel()
            gone.cancel()
            await asyncio.gather(answering, gone, return_exceptions=True)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._streamed:
            await self._stream(send)
            return
        async for new in self._job.news():
            if isinstance(new, Outcome):
                response = (
                    Response(new.answer, media_type=self._media)
                    if new.error is None
                    else refusal(explained(new.error))
                )
                await response(scope, receive, send)

    async def _stream(self, send: Send) -> None:
        head = [(b"content-type", f"{STREAM}; charset=utf-8".encode("ascii"))]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await _send_event(send, "queued", {"ahead": self._job.ahead})
        async for new in self._job.news():
            if not isinstance(new, Outcome):
                await _send_event(send, new.event, new.data)
            elif new.error is None:
                await _send_event(send, "done", {})
            else:
                await _send_event(send, "error", {"error": explained(new.error).message})
        await send({"type": "http.response.body", "body": b""})


async def _send_event(send: Send, event: str, data: dict[str, Any]) -> None:
    body = f"event: {event}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n".encode()
    await send({"type": "http.response.body", "body": body, "more_body": True})


async def _gone(receive: Receive) -> None:
    """Return when the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


def explained(error: Exception) -> RefusedError:
    """Return the answer that an error of a job becomes."""
    if isinstance(error, BusyError):
        return RefusedError(503, "too many questions are waiting; try again in a moment")
    if isinstance(error, StoppedError):
        return RefusedError(503, "clip-gaze is stopping; start it again")
    if isinstance(error, GazeError):
        status = 413 if isinstance(error, PictureSizeError) else 400
        return RefusedError(status, clean(str(error)))
    return RefusedError(500, "clip-gaze failed; its window says more")


def refusal(error: RefusedError) -> Response:
    """Return the answer that says why there is no other."""
    response = JSONResponse({"error": error.message}, error.status)
    response.raw_headers += more_headers(error.status)
    return response
