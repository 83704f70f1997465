"""The command that serves the local page and its API: `clip-gaze serve`."""

from __future__ import annotations

import re
import secrets
import threading
import webbrowser
from typing import Any

import click

from clip_gaze.cli.options import finite, megapixels_option, model_options
from clip_gaze.cli.progress import opened
from clip_gaze.errors import GazeError
from clip_gaze.wording import lacking

# It stands in an address and in a cookie.
_TOKEN = re.compile(r"[A-Za-z0-9._-]{8,}")
_NEEDED = {"anyio", "jinja2", "python_multipart", "starlette", "uvicorn"}


@click.command()
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="Name or address to listen at."
)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8017, show_default=True,
    help="Port to listen at; 0 takes a free one.",
)  # fmt: skip
@click.option("--open/--no-open", "browse", default=True, help="Open a browser.")
@click.option(
    "--token", metavar="TEXT",
    help="What every request must carry.  [default: none on this machine, else a new one]",
)  # fmt: skip
@click.option(
    "--max-upload", type=click.FloatRange(min=0, min_open=True), callback=finite, default=64,
    show_default=True, metavar="MB", help="Refuse larger requests.",
)  # fmt: skip
@click.option(
    "--queue", type=click.IntRange(min=0), default=16, show_default=True, metavar="N",
    help="Questions that may wait.",
)  # fmt: skip
@megapixels_option
@model_options
def serve(
    *,
    host: str,
    port: int,
    browse: bool,
    token: str | None,
    max_upload: float,
    queue: int,
    **options: Any,
) -> None:
    """Serve a page to look at pictures with, and its API, on this machine alone.

    Pictures stay in memory, and nothing of them is kept. With another --host, whoever knows the
    token can ask too. Ctrl-C ends it.
    """  # fmt: skip
    try:
        # Needed for this command alone; the others stay quick, and work without it.
        from clip_gaze.web import app, server
    except ModuleNotFoundError as error:
        missing = str(error.name).partition(".")[0]
        if missing not in _NEEDED:
            raise
        raise GazeError(lacking("the page", missing, "page")) from None
    if token is not None and not _TOKEN.fullmatch(token):
        raise click.UsageError("--token has 8 letters or more: a to z, A to Z, 0 to 9, -, . and _")
    with server.listening(host, port) as (taken, address):
        if token is None and not address.loopback:
            token = secrets.token_urlsafe(18)
        urls = [url + (f"?token={token}" if token else "") for url in address.urls]
        settings = app.Settings(address, token, int(max_upload * (1 << 20)), queue)

        def ready() -> None:
            click.echo("\n".join(f"clip-gaze serves {url}" for url in urls))
            if browse:
                threading.Thread(target=webbrowser.open, args=urls[:1], daemon=True).start()

        with opened(**options) as clip:
            server.serve(app.Page(clip, settings), taken, ready)
