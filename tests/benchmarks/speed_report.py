"""What `speed.py` measured: ratios, goals, and the tables that show them."""

from __future__ import annotations

from typing import Any

Figures = dict[str, dict[str, dict[str, Any]]]

ORIGINAL, BATCH = "clip-gaze 0.3.0", "0.3.0, batch_size=10"
TASKS = {
    "a": "first picture, 957 artists, lists cold",
    "b": "next picture, same process, lists warm",
    "c": "whole process, new picture, lists warm",
    "d": "{names:,} names, cold",
    "e": "folder of {pictures} pictures, lists warm",
}
BEGIN, END = "<!-- figures: speed.py writes them -->", "<!-- end of figures -->"
# The same memory, as far as two runs have the same.
SAME = 1.05


def ours(figures: Figures) -> list[str]:
    """Return the variants that were measured."""
    subjects = dict.fromkeys(subject for task in figures.values() for subject in task)
    return [each for each in subjects if each not in (ORIGINAL, BATCH) and " " not in each]


def ratios(figures: Figures) -> dict[str, dict[str, dict[str, float]]]:
    """Return task -> variant -> other subject: how many times as long that one takes.

    A folder is compared the other way round with its bare graph: how many times as long it takes.
    """
    found: dict[str, dict[str, dict[str, float]]] = {}
    for task, subjects in figures.items():
        if task == "two":
            continue
        found[task] = {}
        for variant in [each for each in ours(figures) if each in subjects]:
            seconds = subjects[variant]["seconds"]
            others = [each for each in (ORIGINAL, BATCH) if each in subjects]
            found[task][variant] = {each: subjects[each]["seconds"] / seconds for each in others}
            if task == "e":
                bare = f"graph {variant}"
                found[task][variant][bare] = seconds / subjects[bare]["seconds"]
    return found


def goals(figures: Figures, names: int) -> list[dict[str, Any]]:
    """Return every goal that was measured, for each variant: what is wanted, found, and met."""
    rows: list[dict[str, Any]] = []
    speeds = ratios(figures)

    def add(goal: str, variant: str, sign: str, wanted: float, found: float | None) -> None:
        if found is not None:
            met = found >= wanted if sign == "≥" else found <= wanted
            rows.append(
                {"goal": goal, "variant": variant, "sign": sign, "wanted": wanted,
                 "found": found, "met": met}
            )  # fmt: skip

    for variant in ours(figures):
        of = {task: subjects[variant] for task, subjects in figures.items() if variant in subjects}
        plain = variant == "fp32"
        if "b" in of:
            add("(b) times as fast as 0.3.0 with batch_size=10", variant, "≥", 100,
                speeds["b"][variant][BATCH])  # fmt: skip
        if "c" in of:
            add("(c) seconds", variant, "≤", 1.0, of["c"]["seconds"])
            add("(c) MB, lists warm", variant, "≤", 470 if plain else 200, of["c"]["peak_mb"])
        if "d" in of:
            add("(d) milliseconds a name", variant, "≤", 6, of["d"]["seconds"] / names * 1000)
            add("(d) MB, encoding", variant, "≤", 420 if plain else 200, of["d"]["peak_mb"])
        if "e" in of:
            add("(e) times as long as the bare graph", variant, "≤", 1.1,
                speeds["e"][variant][f"graph {variant}"])  # fmt: skip
            many, two = of["e"]["peak_mb"], of["two"]["peak_mb"]
            add("(e) peak memory, times that after 2 pictures", variant, "≤", SAME,
                many and many / two)  # fmt: skip
    return rows


def number(value: float) -> str:
    """Return a value with three digits that count."""
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def section(result: dict[str, Any]) -> str:
    """Return what docs/speed.md says of a run."""
    figures, settings, machine = (result[name] for name in ("figures", "settings", "machine"))
    columns = [ORIGINAL, BATCH, *ours(figures), *(f"graph {each}" for each in ours(figures))]
    rows = []
    for task, title in TASKS.items():
        if task in figures:
            cells = [_cell(figures[task].get(subject)) for subject in columns]
            rows.append([f"({task}) {title.format(**settings)}", *cells])
    several = settings["repeat"] > 1
    what = f"Medians of {settings['repeat']} processes" if several else "One process each"
    run = (
        f"{what}, all in one run: {machine['processor']}, {machine['cpus']} CPUs, "
        f"{machine['system']}, Python {machine['python']}, onnxruntime {machine['onnxruntime']}, "
        f"torch {machine['torch']}, transformers {machine['transformers']}. Seconds, and the most "
        "memory that the whole process had (MB of 2^20 bytes)."
    )
    scaled = (
        f"Scaled: 0.3.0 was given {settings['part']:,} of the names in (d), and "
        f"{settings['original_pictures']} of the pictures in (e)."
    )
    text = [
        run,
        "",
        *table(["", *columns], rows),
        "",
        scaled,
        "",
        "How many times as long as this package 0.3.0 takes:",
        "",
        *_ratio_table(result["ratios"], ours(figures)),
        "",
        "Goals:",
        "",
        *table(
            ["goal", "variant", "wanted", "found", ""],
            [
                [row["goal"], row["variant"], f"{row['sign']} {number(row['wanted'])}",
                 number(row["found"]), "met" if row["met"] else "**missed**"]
                for row in result["goals"]
            ],
        ),
    ]  # fmt: skip
    return "\n".join(text)


def replaced(page: str, text: str) -> str:
    """Return a page with a text between its two markers."""
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n{text}\n{END}{after}"


def _ratio_table(found: dict[str, dict[str, dict[str, float]]], variants: list[str]) -> list[str]:
    rows = []
    for task, by_variant in found.items():
        for other in (ORIGINAL, BATCH):
            if all(other in each for each in by_variant.values()):
                cells = [number(by_variant[variant][other]) for variant in variants]
                rows.append([f"({task}) {other}", *cells])
    return table(["", *variants], rows)


def _cell(figure: dict[str, Any] | None) -> str:
    if figure is None:
        return ""
    peak = figure["peak_mb"]
    return f"{number(figure['seconds'])} s" + (f", {peak:,.0f} MB" if peak else "")


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    """Return the lines of a table in Markdown."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]
