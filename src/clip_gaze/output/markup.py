"""Load templates of pages, and files that they include; needs jinja2."""

from __future__ import annotations

from importlib import resources

import jinja2
from markupsafe import Markup

from clip_gaze.drawing import look


def template(package: str, name: str) -> jinja2.Template:
    """Return a template of a package of ours; what it fills in is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(package),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)


def part(path: str) -> Markup:
    """Return the text of a file of this package, which a template sets in as it is."""
    return Markup(resources.files("clip_gaze").joinpath(path).read_text(encoding="utf-8"))  # noqa: S704


def style(name: str) -> Markup:
    """Return the style of a page of ours: colours and sizes, what all pages share, and its own."""
    return Markup(look.css()) + part("web/static/base.css") + part(f"output/templates/{name}")  # noqa: S704
