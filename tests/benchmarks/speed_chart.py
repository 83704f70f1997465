"""A bar chart of what `speed.py` measured, as SVG: seconds on a logarithmic scale."""

from __future__ import annotations

import math
from html import escape
from typing import Any

from speed_report import BATCH, ORIGINAL, TASKS, number, ours

WIDTH, LEFT, RIGHT = 760, 168, 84
BAR, STEP, GAP, TOP = 13, 18, 40, 96
STYLE = """
  svg { font-family: system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif; }
  .paper { fill: #fdfcf9 } .ink { fill: #2b2a27 } .soft { fill: #6b6862 }
  .line { stroke: #e4e0d7 } .old { fill: #b8b2a6 } .older { fill: #d3cec3 }
  .graph { fill: none; stroke: #6b6862; stroke-width: 1.2; stroke-dasharray: 3 2 }
  .v0 { fill: #2f6690 } .v1 { fill: #c8553d } .v2 { fill: #d99a2b } .v3 { fill: #6a8d4f }
  @media (prefers-color-scheme: dark) {
    .paper { fill: #1b1d21 } .ink { fill: #eceae4 } .soft { fill: #a19d94 }
    .line { stroke: #34373d } .old { fill: #7a776f } .older { fill: #55534e }
    .graph { stroke: #a19d94 }
    .v0 { fill: #6fa8d6 } .v1 { fill: #e5826b } .v2 { fill: #e8b65a } .v3 { fill: #96bb79 }
  }
"""


def chart(figures: dict[str, dict[str, dict[str, Any]]], pictures: int, names: int) -> str:
    """Return an SVG picture of the figures, light or dark as its reader likes."""
    variants = ours(figures)
    classes = {ORIGINAL: "old", BATCH: "older"}
    classes |= {variant: f"v{at % 4}" for at, variant in enumerate(variants)}
    classes |= {f"graph {variant}": "graph" for variant in variants}
    every = [
        each["seconds"] for task in TASKS if task in figures for each in figures[task].values()
    ]
    low, high = math.floor(math.log10(min(every))), math.ceil(math.log10(max(every)))
    scale = (WIDTH - LEFT - RIGHT) / max(1, high - low)

    def x(seconds: float) -> float:
        return LEFT + (math.log10(seconds) - low) * scale

    bars: list[str] = []
    y = TOP
    for task in [each for each in TASKS if each in figures]:
        what = TASKS[task].format(pictures=pictures, names=names)
        bars.append(_text(24, y, what, "ink", bold=True))
        y += 10
        for subject in [each for each in classes if each in figures[task]]:
            kind, seconds = classes[subject], figures[task][subject]["seconds"]
            label = f"bare {subject}" if kind == "graph" else subject
            width = max(x(seconds) - LEFT, 2)
            bars += [
                _text(LEFT - 8, y + 11, label, "soft", "end"),
                f'<rect x="{LEFT}" y="{y}" width="{width:.1f}" height="{BAR}" class="{kind}"/>',
                _text(LEFT + width + 6, y + 11, f"{number(seconds)} s", "ink"),
            ]
            y += STEP
        y += GAP - 10
    bottom = y - GAP + 18
    grid = []
    for power in range(low, high + 1):
        at = LEFT + (power - low) * scale
        place = f'x1="{at:.1f}" x2="{at:.1f}" y1="{TOP - 22}" y2="{bottom}"'
        grid += [
            f'<line {place} class="line"/>',
            _text(at, bottom + 16, f"{10.0**power:,g} s", "soft", "middle"),
        ]
    height = bottom + 36
    size = f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
    attributes = f'{size} font-size="11.5" role="img" aria-labelledby="title what"'
    what = "Seconds, each line ten times the one before; shorter is quicker"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {attributes}>',
        '<title id="title">How long clip-gaze takes</title>',
        f'<desc id="what">{what}. The table of docs/speed.md has the same figures.</desc>',
        f"<style>{STYLE}</style>",
        f'<rect width="{WIDTH}" height="{height}" rx="10" class="paper"/>',
        '<text x="24" y="36" class="ink" font-size="19" font-weight="700">How long it takes</text>',
        _text(24, 56, what, "soft"),
        *grid,
        *bars,
        "</svg>\n",
    ]
    return "\n".join(parts)


def _text(x: float, y: float, what: str, kind: str, anchor: str = "", *, bold: bool = False) -> str:
    extra = f' text-anchor="{anchor}"' if anchor else ""
    extra += ' font-weight="600"' if bold else ""
    return f'<text x="{x:.1f}" y="{y}" class="{kind}"{extra}>{escape(what)}</text>'
