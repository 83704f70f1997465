"""Load templates of pages, and files that they include; needs jinja2."""

from __future__ import annotations

from importlib import resources

import jinja2
from markupsafe import Markup


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
