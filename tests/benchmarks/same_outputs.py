"""Run the same command lines, requests and programs with two installed packages, and compare.

    python tests/benchmarks/same_outputs.py BEFORE AFTER [--only NAME] [--keep FOLDER]

BEFORE and AFTER are Python interpreters that have clip-gaze. Exit codes, standard output and error,
answers over HTTP and all files must be the same, byte for byte, but for paths, ports, tokens and
times; Parquet and SQLite files must hold the same tables. The cases stand in same_outputs.txt.
Prints a line for each difference, and exits with 1 where there is one that was not expected.

Both packages are used as their users do, so that their modules may have moved; nothing of clip-gaze
is imported here.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import shlex
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import click
import same_outputs_fixtures as fixtures
from same_outputs_steps import Case, Run, Side, did

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CASES = Path(__file__).with_suffix(".txt")
# What differs between two runs of one package, in texts and in names of files.
CHANGING = [
    (re.compile(rb"((?:127\.0\.0\.1|0\.0\.0\.0|localhost):)\d+"), rb"\1<port>"),
    (re.compile(rb"token=[\w-]{20,}"), b"token=<token>"),
    (re.compile(rb"\.damaged-\d+"), b".damaged-<process>"),
    (re.compile(rb"clip_gaze_token_\d+"), b"clip_gaze_token_<port>"),
    (re.compile(rb'"mtime_ns": \d+'), b'"mtime_ns": <time>'),
    (re.compile(rb"\b\d+ \d{19} \d{19} \d+\b"), b"<stamp>"),
    (re.compile(rb"(looked at [\d,]+ pictures in )[\w. ]+"), rb"\1<time>"),
    (re.compile(rb"(sqlite  )[\d.,]+ MB"), rb"\1<size> MB"),
    (re.compile(rb"[0-9a-f]{32}\.json"), b"<digest of a path>.json"),
]


def cases() -> list[Case]:
    """Read the cases; their file says what its lines mean."""
    found: list[Case] = []
    for line in CASES.read_text(encoding="utf-8").splitlines():
        if line.startswith(" "):
            found[-1].steps.append(line.strip())
        elif line and not line.startswith("#"):
            name, _, step = line.partition(":")
            found.append(Case(name, len(found), [step.strip()] if step else []))
    return found


def cleaned(found: Mapping[str, bytes], marks: Mapping[Path, str]) -> dict[str, bytes]:
    """Return what came of a case without what differs anyway.

    Args:
        found: what came of it, by what it is.
        marks: folder -> what to call it.

    """

    def clean(text: bytes) -> bytes:
        for path, mark in marks.items():
            text = text.replace(os.fsencode(path), mark.encode())
        for pattern, replacement in CHANGING:
            text = pattern.sub(replacement, text)
        return text

    parts: dict[str, list[bytes]] = {}
    for name, text in found.items():
        parts.setdefault(os.fsdecode(clean(os.fsencode(name))), []).append(clean(text))
    return {name: b"\n".join(sorted(texts)) for name, texts in parts.items()}


def differences(before: dict[str, bytes], after: dict[str, bytes]) -> Iterator[str]:
    """Yield a line for each part that is not the same."""
    for name in before | after:
        old, new = before.get(name), after.get(name)
        if old is None or new is None:
            yield f"{name}: only {'after' if old is None else 'before'}"
        elif old != new:
            pairs = zip(old, new, strict=False)
            at = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
            yield f"{name}: at byte {at}, {shown(old, at)} became {shown(new, at)}"


def shown(content: bytes, at: int) -> str:
    """Return a text around a place, within its line; of what is no text, its size."""
    try:
        content.decode()
    except UnicodeDecodeError:
        return f"a file of {len(content):,} bytes"
    start = max(content.rfind(b"\n", 0, at) + 1, at - 40)
    return repr(content[start : at + 40].decode(errors="replace"))


def keep(file: Path, found: Mapping[str, bytes]) -> None:
    """Write what came of a case as text, so that `diff -r` shows it all."""
    text = "".join(
        f"--- {name}\n{content.decode(errors='backslashreplace')}\n"
        for name, content in found.items()
    )
    file.write_text(text, encoding="utf-8", errors="backslashreplace")


def begun(side: Side) -> dict[Path, str]:
    """Say which package a side has; return what to call its folders, wherever they are."""
    side.home.mkdir(parents=True)
    package = side.package()
    click.echo(f"{side.home.name}: {package}")
    # Models and lists lie in the package, or, where it is installed from a checkout, there.
    own = {side.home: "<home>", CASES.parent: "<here>"}
    return own | {package: "<package>", package.parents[1]: "<package>"}


def prepare(side: Side, model: Path, given: Path) -> None:
    """Make the fixtures in the folder `given`, and fill `model` with the demo model of a side."""
    for variant in ("fp32", "q8", "q4"):
        words = shlex.join(["--variant", variant, "--to", str(model)])
        found = Run(side, side.home).step(f"CLIP_GAZE_CACHE=before_all download demo {words}")
        if found["exit code"] != b"0":
            raise click.UsageError(found["stderr"].decode())
    fixtures.make(given, model)


@click.command(help=__doc__)
@click.argument("before", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("after", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--only", default="", metavar="NAME", help="Cases that have this in their names.")
@click.option("--expected", multiple=True, metavar="NAME", help="A case that may differ.")
@click.option("--keep", "kept", type=click.Path(path_type=Path), help="Leave all that came here.")
def main(
    *, before: Path, after: Path, only: str, expected: tuple[str, ...], kept: Path | None
) -> None:
    """Do all cases with both packages, and print what differs."""
    chosen = [case for case in cases() if only in case.name]
    unknown = {*expected} - {case.name for case in cases()}
    for wrong, why in (
        (unknown, f"no case is called {', '.join(sorted(unknown))}"),
        (not chosen, f"no case has {only!r} in its name"),
        (kept and kept.exists(), f"{kept} is there already; name a new folder"),
    ):
        if wrong:
            raise click.UsageError(why)
    with contextlib.ExitStack() as stack:
        top = (kept or Path(stack.enter_context(tempfile.TemporaryDirectory()))).resolve()
        model, given = top / "model", top / "fixtures"
        hub = stack.enter_context(fixtures.hub(model))
        # Names of the same length, so that nothing is wrapped or padded otherwise.
        sides = [
            Side(python.absolute(), top / name, hub)
            for name, python in {"old": before, "new": after}.items()
        ]
        marks = [begun(side) for side in sides]
        prepare(sides[0], model, given)
        pool = stack.enter_context(ThreadPoolExecutor(2))
        counts = {True: 0, False: 0}
        for case in chosen:
            both = pool.map(lambda side, case=case: did(case, side, given), sides)
            found = [cleaned(each, mark) for each, mark in zip(both, marks, strict=True)]
            if kept is not None:
                for side, each in zip(sides, found, strict=True):
                    keep(side.home / f"{case.number:03} {case.name}.txt", each)
            lines = list(differences(*found))
            for line in lines:
                start = "expected: " if case.name in expected else ""
                click.echo(f"{start}{case.name}: {line}")
            counts[case.name in expected] += bool(lines)
    click.echo(f"{len(chosen)} cases, {counts[False]} differ, {counts[True]} as expected")
    sys.exit(1 if counts[False] else 0)


if __name__ == "__main__":
    main()
