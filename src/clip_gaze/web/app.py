"""The routes of the local page and its API."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from functools import partial
from importlib import metadata, resources
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from clip_gaze.drawing import heatmap, look, typeface
from clip_gaze.model import registry
from clip_gaze.output import markup
from clip_gaze.web import forms, multipart, openapi, questions
from clip_gaze.web.guard import Guard, cookie
from clip_gaze.web.queue import BusyError, Queue, StoppedError
from clip_gaze.web.responses import (
    STREAM,
    RefusedError,
    explained,
    preferred,
    refusal,
    stream,
    whole,
)
from clip_gaze.web.service import Jobs, png

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from clip_gaze.clip import Clip
    from clip_gaze.web.address import Address
    from clip_gaze.web.queue import Job

DEMO = "demo"
JSON, CSV, PNG = "application/json", "text/csv", "image/png"
_KINDS = {
    "js": "text/javascript", "css": "text/css", "svg": "image/svg+xml", "png": PNG,
    "otf": "font/otf",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Settings:
    """How the page is served.

    Attributes:
        address: where.
        token: the token that every request must carry; None: none.
        max_body: bytes of the largest request body.
        places: how many questions can wait, beside the one that is answered.
        connections: how many can be open; None: what the system's limit of files leaves room for.
        patience: seconds in which the head of a request must come, and its body must go on.

    """

    address: Address
    token: str | None = None
    max_body: int = 64 << 20
    places: int = 16
    connections: int | None = None
    patience: float = 20


class Page:
    """The page: an ASGI application, and the queue behind it."""

    def __init__(self, clip: Clip, settings: Settings) -> None:
        """Prepare to serve.

        Args:
            clip: the model; whoever opened it closes it, after the last answer.
            settings: how.

        """
        self.settings = settings
        self._queue = Queue(settings.places)
        jobs = Jobs(clip)
        self._known = questions.known(clip)
        version = metadata.version("clip-gaze")
        folder = resources.files("clip_gaze.web")
        static = {each.name: each.read_bytes() for each in (folder / "static").iterdir()}
        static["scale.png"] = png(heatmap.scale(512))
        static["look.css"] = look.css().encode()
        static |= {font.name: font.read_bytes() for font in typeface.FILES}
        page = markup.template("clip_gaze.web", "page.html").render(
            model=clip.manifest.name,
            variant=clip.variant,
            templates=clip.templates,
            note=clip.manifest.note,
            version=version,
            max_upload=settings.max_body,
            bundled=self._known.bundled,
        )
        described = openapi.description(version, cookie(settings.address), [*self._known.lists])
        routes = [
            _get("/", lambda _: Response(page, media_type="text/html")),
            _get("/static/{name}", partial(_static, static)),
            _get("/openapi.json", lambda _: JSONResponse(described)),
            _get("/api/lists", lambda _: JSONResponse(_lists(self._known))),
            _get("/api/models", lambda _: JSONResponse(_models(clip))),
            self._post(
                "/api/gaze", forms.gaze, {JSON: jobs.gaze, CSV: jobs.table, STREAM: jobs.gaze}
            ),
            self._post("/api/see", forms.see, {JSON: jobs.see, STREAM: jobs.see}),
            self._post(
                "/api/compare",
                forms.compare,
                {JSON: jobs.compare, CSV: jobs.compared, PNG: jobs.chart},
            ),
            self._post("/api/find", forms.find, {JSON: jobs.find}),
            self._post("/api/prompt", forms.prompt, {JSON: jobs.prompt, STREAM: jobs.prompt}),
            self._post("/api/card", forms.card, {PNG: jobs.card}),
        ]
        inner = Starlette(
            routes=routes,
            lifespan=self._lifespan,
            exception_handlers={
                ClientDisconnect: _left,
                HTTPException: _http_error,
                **dict.fromkeys((BusyError, StoppedError, RefusedError, Exception), _refused),
            },
        )
        inner.router.redirect_slashes = False
        self._app = Guard(
            inner, settings.address, settings.token, settings.max_body, settings.patience
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        await self._app(scope, receive, send)

    def stop(self) -> None:
        """Refuse new and waiting requests, and end the running job at its next step."""
        self._app.stop()
        self._queue.stop()

    @contextlib.asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        async with self._queue.working():
            yield

    def _post(
        self,
        path: str,
        check: Callable[[multipart.Form, questions.Known], Any],
        works: dict[str, Callable[[Any, Job], bytes]],
    ) -> Route:
        """Return a route whose form is checked, and whose job goes through the queue.

        Of `works`, media type -> function, the client's `preferred` one makes the answer.
        """

        async def answer(request: Request) -> Response:
            form = await multipart.read(request)
            asked = check(form, self._known)
            del form
            media = preferred(",".join(request.headers.getlist("accept")), [*works])
            job = self._queue.submit(partial(works[media], asked), streamed=media == STREAM)
            return stream(job) if job.streamed else await whole(job, request, media)

        return Route(path, answer, methods=["POST"])


async def _refused(_: Request, error: Exception) -> Response:
    return refusal(explained(error))


async def _left(_: Request, __: Exception) -> Response:
    """Return a response that is discarded: the client disconnected during the upload."""
    return Response(status_code=400)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - it is registered for these
    lines = {
        404: f"nothing is at {request.url.path}; /openapi.json describes what there is",
        405: f"{request.url.path} does not take {request.method}",
    }
    response = refusal(RefusedError(error.status_code, lines.get(error.status_code, error.detail)))
    response.headers.update(error.headers or {})
    return response


def _get(path: str, answer: Callable[[Request], Response]) -> Route:
    async def endpoint(request: Request) -> Response:
        return answer(request)

    return Route(path, endpoint, methods=["GET"])


def _static(files: dict[str, bytes], request: Request) -> Response:
    """Return a static file, which was read at the start."""
    name = request.path_params["name"]
    if name not in files:
        raise HTTPException(404)
    return Response(files[name], media_type=_KINDS[name.rpartition(".")[2]])


def _lists(known: questions.Known) -> list[dict[str, Any]]:
    return [
        {"name": name, "phrases": len(listed), "selected": name in known.usual}
        for name, listed in known.lists.items()
    ]


def _models(clip: Clip) -> list[dict[str, Any]]:
    """Return the model in use, and the others that ship."""
    own = clip.manifest
    others = [registry.find(name).manifest for name in registry.names() if name != own.name]
    return [
        {
            "name": manifest.name,
            "variant": clip.variant if manifest is own else manifest.default_variant,
            "variants": list(manifest.variants),
            "in_use": manifest is own,
            "demo": manifest.name == DEMO,
            "note": manifest.note or None,
        }
        for manifest in (own, *others)
    ]
