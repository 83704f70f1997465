"""Colours and sizes of all that people see: drawings, the page, reports and contact sheets."""

from __future__ import annotations

# Greys are neutral: a tinted ground would change how the pictures' colours look. Words stand on
# `ground` and `sheet` in `ink`, `quiet`, `accent`, `warn`, `rise` and `fall`.
LIGHT = {
    "ground": "#f5f5f5",
    "sheet": "#ffffff",
    "faded": "#ffffffb8",
    "ink": "#1d1d1d",
    "quiet": "#5b5b5b",
    "line": "#dcdcdc",
    "edge": "#858585",
    "fill": "#858585",
    "track": "#e4e4e4",
    "accent": "#1d4b7a",
    "on-accent": "#ffffff",
    "warn": "#8a3a12",
    # Near to orange and blue of Okabe and Ito (2008), which all kinds of colour vision tell apart.
    "rise": "#b34700",
    "fall": "#0067a3",
}
DARK = {
    "ground": "#181818",
    "sheet": "#232323",
    "faded": "#232323b8",
    "ink": "#ececec",
    "quiet": "#a9a9a9",
    "line": "#363636",
    "edge": "#7c7c7c",
    "fill": "#8b8b8b",
    "track": "#303030",
    "accent": "#9cc3ec",
    "on-accent": "#10202f",
    "warn": "#f0a982",
    "rise": "#f29d5e",
    "fall": "#7fbcec",
}
# A heat map's colours from weak to strong. No step is so dark or so light that it would sink into
# a picture.
FOR = ((255, 200, 80), (250, 132, 22), (208, 44, 8))
AGAINST = ((140, 200, 245), (62, 138, 222), (25, 82, 184))

# Sizes in units of a drawing, which are pixels of a page.
HEADING, TITLE, TEXT, SMALL = 22, 16, 14, 12
BAR = 4  # how thick a bar is
LEAST = 2  # how long a bar is at least, so that it can be seen

INK, QUIET, LINE, EDGE = (LIGHT[name] for name in ("ink", "quiet", "line", "edge"))


def css() -> str:
    """Return the colours and sizes as custom properties of CSS.

    >>> css().splitlines()[0][:32]
    ':root { --heading: 1.375rem; --t'
    """
    sizes = {"heading": HEADING, "title": TITLE, "text": TEXT, "small": SMALL}
    # Of the reader's own size of letters, which is 16 pixels where nothing else is chosen.
    properties = {name: f"{size / 16:g}rem" for name, size in sizes.items()}
    properties |= {"bar": f"{BAR}px", "least": f"{LEAST}px"}
    return (
        f":root {{ {_listed(properties | LIGHT)} }}\n"
        f"@media screen and (prefers-color-scheme: dark) {{ :root {{ {_listed(DARK)} }} }}\n"
    )


def _listed(properties: dict[str, str]) -> str:
    return " ".join(f"--{name}: {value};" for name, value in properties.items())
