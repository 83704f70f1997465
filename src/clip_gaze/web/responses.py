"""Responses: the outcome of a job, whole or as server-sent events, and refusals."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import anyio
from python_multipart.multipart import parse_options_header
from starlette.background import BackgroundTask
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response, StreamingResponse

from clip_gaze.errors import ClosedError, GazeError, ModelError, PictureSizeError
from clip_gaze.output.terminal import clean
from clip_gaze.web.queue import BusyError, Outcome, StoppedError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from starlette.requests import Request

    from clip_gaze.web.queue import Job

STREAM = "text/event-stream"
_QUALITY = re.compile(r"[01](\.[0-9]{0,3})?")
_MORE_HEADERS = {
    401: {"www-authenticate": 'Bearer realm="clip-gaze"'},
    503: {"retry-after": "2"},  # seconds
}


class RefusedError(Exception):
    """A request is refused.

    Attributes:
        status: of the answer.
        message: one line that says why, and what to do.

    """

    def __init__(self, status: int, message: str) -> None:
        """Say why."""
        super().__init__(message)
        self.status = status
        self.message = message


def preferred(accept: str, kinds: Sequence[str]) -> str:
    """Return the media type that a client likes best (RFC 9110, 12.5.1).

    Of those that it likes alike, this is the last that it names, else the first of all; so it is
    where it takes none.

    Args:
        accept: what its header Accept says.
        kinds: media types that there are, in lower case.

    >>> kinds = ("application/json", "text/csv")
    >>> [preferred(each, kinds) for each in ("TEXT/CSV", "*/*", "text/csv;q=0, */*;q=0.1")]
    ['text/csv', 'application/json', 'application/json']
    """
    liked: dict[str, float] = {}
    for each in accept.split(","):
        named, options = parse_options_header(each.strip().lower())
        quality = options.get(b"q", b"1").decode("latin-1")
        liked[named.decode("latin-1")] = float(quality) if _QUALITY.fullmatch(quality) else 1.0

    def rank(at: int) -> tuple[float, int]:
        kind = kinds[at]
        ranges = (kind, kind.partition("/")[0] + "/*", "*/*")
        found = next((each for each in ranges if each in liked), "")
        quality = liked.get(found, 0.0)
        return quality, at if quality and found == kind else -at

    return kinds[max(range(len(kinds)), key=rank)]


async def whole(job: Job, request: Request, media: str) -> Response:
    """Return the outcome of a job as one response.

    Args:
        job: the job, which ends when the client disconnects.
        request: what asked for it.
        media: media type of its answer.

    Raises:
        ClientDisconnect: the client disconnected.

    """
    outcome: Outcome | None = None
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_cancel_when_gone, request, tasks.cancel_scope)
            async for new in job.news:
                outcome = new if isinstance(new, Outcome) else None
            tasks.cancel_scope.cancel()
    finally:
        job.leave()
    if outcome is None:
        raise ClientDisconnect
    if outcome.error is not None:
        return refusal(explained(outcome.error))
    return Response(outcome.answer, media_type=media)


async def _cancel_when_gone(request: Request, scope: anyio.CancelScope) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    scope.cancel()


def stream(job: Job) -> Response:
    """Return the news of a job as server-sent events; it ends when the client disconnects."""

    async def leave() -> None:
        job.leave()

    return StreamingResponse(_events(job), media_type=STREAM, background=BackgroundTask(leave))


async def _events(job: Job) -> AsyncIterator[str]:
    yield _event("queued", {"ahead": job.ahead})
    async for new in job.news:
        if not isinstance(new, Outcome):
            yield _event(new.event, new.data)
        elif new.error is None:
            yield _event("done", {})
        else:
            yield _event("error", {"error": explained(new.error).message})


def _event(name: str, data: dict[str, Any]) -> str:
    return f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"


def explained(error: Exception) -> RefusedError:
    """Return the refusal that an error becomes."""
    if isinstance(error, RefusedError):
        return error
    if isinstance(error, BusyError):
        return RefusedError(503, "too many questions are waiting; try again in a moment")
    if isinstance(error, StoppedError):
        return RefusedError(503, "clip-gaze is stopping; start it again")
    if isinstance(error, (ClosedError, ModelError)):  # no other question would have an answer
        return RefusedError(500, clean(str(error)))
    if isinstance(error, GazeError):
        return RefusedError(413 if isinstance(error, PictureSizeError) else 400, clean(str(error)))
    return RefusedError(500, "clip-gaze failed; its window says more")


def refusal(error: RefusedError) -> Response:
    """Return the response to a refused request: its status, and one line as JSON."""
    headers = _MORE_HEADERS.get(error.status)
    return JSONResponse({"error": error.message}, error.status, headers=headers)
