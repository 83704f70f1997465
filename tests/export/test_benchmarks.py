"""The benchmark measures all that it says, and counts right."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import speed
import speed_chart
import speed_report as report

if TYPE_CHECKING:
    from collections.abc import Callable

    from PIL import Image

SCRIPTS = Path(__file__).parents[1] / "benchmarks"
SVG = "{http://www.w3.org/2000/svg}"
NAMES = 5000


def figure(seconds: float, peak_mb: float | None = 100) -> dict[str, Any]:
    return {"seconds": seconds, "all_seconds": [seconds], "peak_mb": peak_mb}


FIGURES = {
    "a": {report.ORIGINAL: figure(9), report.BATCH: figure(30), "q4": figure(3)},
    "b": {
        report.ORIGINAL: figure(8), report.BATCH: figure(25), "q4": figure(0.2),
        "graph q4": figure(0.1),
    },
    "c": {report.ORIGINAL: figure(12), "q4": figure(0.8, 210)},
    "d": {report.ORIGINAL: figure(60), "q4": figure(20, 199)},
    "e": {report.ORIGINAL: figure(1600), "q4": figure(22, 104), "graph q4": figure(20)},
    "two": {"q4": figure(0.2, 100)},
}  # fmt: skip


def test_ratios_are_how_many_times_as_long_another_takes() -> None:
    found = {task: by_variant["q4"] for task, by_variant in report.ratios(FIGURES).items()}
    assert found == {
        "a": {report.ORIGINAL: 3, report.BATCH: 10},
        "b": {report.ORIGINAL: 40, report.BATCH: 125},
        "c": {report.ORIGINAL: pytest.approx(15)},
        "d": {report.ORIGINAL: 3},
        "e": {report.ORIGINAL: pytest.approx(1600 / 22), "graph q4": pytest.approx(1.1)},
    }


def test_goals_are_held_against_what_was_found() -> None:
    found = {row["goal"]: (row["found"], row["met"]) for row in report.goals(FIGURES, NAMES)}
    assert found == {
        "(b) times as fast as 0.3.0 with batch_size=10": (125, True),
        "(c) seconds": (0.8, True),
        "(c) MB, lists warm": (210, False),
        "(d) milliseconds a name": (4, True),
        "(d) MB, encoding": (199, True),
        "(e) times as long as the bare graph": (pytest.approx(1.1), True),
        "(e) peak memory, times that after 2 pictures": (pytest.approx(1.04), True),
    }


def test_more_memory_is_allowed_in_float32_alone() -> None:
    figures = {"c": {"fp32": figure(1.5, 460), "q8": figure(1, 460)}}
    met = {(row["goal"], row["variant"]): row["met"] for row in report.goals(figures, NAMES)}
    assert met == {
        ("(c) seconds", "fp32"): False,
        ("(c) MB, lists warm", "fp32"): True,
        ("(c) seconds", "q8"): True,
        ("(c) MB, lists warm", "q8"): False,
    }


def test_where_memory_is_unknown_its_goals_are_left_out() -> None:
    figures = {"d": {"q4": figure(20, None)}}
    assert [row["goal"] for row in report.goals(figures, NAMES)] == ["(d) milliseconds a name"]


@pytest.mark.parametrize(
    ("value", "shown"), [(1234.5, "1,234"), (123.4, "123"), (0.01234, "0.0123"), (99.96, "100")]
)
def test_numbers_have_three_digits_that_count(value: float, shown: str) -> None:
    assert report.number(value) == shown


def test_only_what_stands_between_the_markers_is_replaced() -> None:
    page = f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n"
    new = report.replaced(page, "new")
    assert new == page.replace("old", "new")
    assert report.replaced(new, "new") == new


def test_a_chart_has_a_bar_for_each_figure_as_long_as_its_logarithm() -> None:
    drawn = ET.fromstring(speed_chart.chart(FIGURES, 200, NAMES))
    bars = [bar for bar in drawn.iter(f"{SVG}rect") if bar.get("class") != "paper"]
    figures = [each for task in report.TASKS for each in FIGURES[task].values()]
    assert len(bars) == len(figures)
    widths = [float(bar.get("width")) for bar in bars]
    lengths = {each["seconds"]: width for each, width in zip(figures, widths, strict=True)}
    assert sorted(lengths, key=lengths.get) == sorted(lengths)
    # Four decades and a bit: from 0.1 s, where bars begin, to 10,000 s.
    decade = (speed_chart.WIDTH - speed_chart.LEFT - speed_chart.RIGHT) / 5
    assert lengths[0.1] == 2
    assert lengths[25] - lengths[0.8] == pytest.approx(decade * 1.495, abs=0.2)


class Machine:
    """Stands in for processes: takes longer each time, but for one time much longer."""

    def __init__(self) -> None:
        self.warmed: list[str] = []
        self.asked: list[tuple[str, str]] = []

    def warm(self, subject: str) -> None:
        """Note it."""
        self.warmed.append(subject)

    def measure(self, subject: str, task: str, count: int, part: int) -> dict[str, float]:
        """Note it, and say how long it took."""
        assert (count, part) == (200, 1000)
        self.asked.append((subject, task))
        nth = self.asked.count((subject, task))
        return {"seconds": 99 if nth == 1 else nth, "peak_mb": 100 + nth}


def test_medians_are_of_rounds_in_each_of_which_everything_is_measured() -> None:
    machine = Machine()
    found = speed.measure_all(machine, ["q8"], ["b", "c"], 200, 1000, 3)
    assert machine.warmed == [report.ORIGINAL, report.BATCH, "q8", "graph q8"]
    once = [
        (report.ORIGINAL, "b"), (report.ORIGINAL, "c"), (report.BATCH, "b"), ("q8", "b"),
        ("q8", "c"), ("graph q8", "b"),
    ]  # fmt: skip
    assert machine.asked == once * 3
    assert found["c"] == {
        subject: {"seconds": 3, "all_seconds": [99, 2, 3], "peak_mb": 102}
        for subject in (report.ORIGINAL, "q8")
    }
    assert set(found["b"]) == {report.ORIGINAL, report.BATCH, "q8", "graph q8"}


def run(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPTS / script), *map(str, arguments)]
    # With a model this small, torch's threads mostly wait for each other.
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def test_all_is_measured_and_written(
    tiny_checkpoint: Path, tiny_model: Path, original: Path, tmp_path: Path
) -> None:
    page = tmp_path / "speed.md"
    page.write_text(f"# Speed\n\n{report.BEGIN}\n{report.END}\n", encoding="utf-8")
    done = run(
        "speed.py", "--checkpoint", tiny_checkpoint, "--model", tiny_model, "--original", original,
        "--variant", "q4", "--pictures", 2, "--part", 20, "--repeat", 1, "--docs", page,
        "--json", tmp_path / "speed.json", "--svg", tmp_path / "speed.svg",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "speed.json").read_text(encoding="utf-8"))
    figures = result["figures"]
    both = {report.ORIGINAL, report.BATCH}
    assert {task: set(subjects) for task, subjects in figures.items()} == {
        "a": {*both, "q4"},
        "b": {*both, "q4", "graph q4"},
        "c": {report.ORIGINAL, "q4"},
        "d": {report.ORIGINAL, "q4"},
        "e": {report.ORIGINAL, "q4", "graph q4"},
        "two": {"q4"},
    }
    for each in [each for subjects in figures.values() for each in subjects.values()]:
        assert each["all_seconds"] == [each["seconds"]]
        assert each["seconds"] > 0
        if sys.platform == "linux":
            assert each["peak_mb"] > 20
    assert result["ratios"] == json.loads(json.dumps(report.ratios(figures)))
    assert result["goals"] == report.goals(figures, result["settings"]["names"])
    assert report.section(result) in done.stdout
    assert page.read_text(encoding="utf-8").count(report.section(result)) == 1
    ET.parse(tmp_path / "speed.svg")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"--only": "a,z"}, "'z': there are a,b,c,d,e"),
        ({"--only": ""}, "'': there are a,b,c,d,e"),
        ({"--model": "nosuch"}, "no model is called 'nosuch'"),
        ({"--model": "clip-vit-base-patch32"}, "has no graphs"),
        ({"--variant": "q5"}, "has no variant 'q5'"),
        ({"--checkpoint": "/nope"}, "'/nope' does not exist"),
        ({"--checkpoint": "original"}, "has no config.json"),
        ({"--original": "checkpoint"}, "has no clip_gaze-0.3.0.dist-info"),
        ({"--json": "/nope/speed.json"}, "no folder /nope"),
        ({"--svg": "/nope/speed.svg"}, "no folder /nope"),
        ({"--docs": "page.md"}, "must have one <!-- figures"),
        # What stands in the folder of the original is no package.
        ({}, "clip_gaze was imported from"),
    ],
)
def test_bad_input_of_speed_is_one_line(
    options: dict[str, str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("original", "clip_gaze-0.3.0.dist-info").mkdir(parents=True)
    Path("checkpoint").mkdir()
    Path("checkpoint", "config.json").touch()
    Path("page.md").write_text(report.END + report.BEGIN, encoding="utf-8")
    plain = {"--checkpoint": "checkpoint", "--model": "demo", "--original": "original"}
    done = run("speed.py", *(word for option in (plain | options).items() for word in option))
    assert done.returncode == 2
    assert done.stdout == ""
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["collection_speed.py", "nosuch"], "unexpected extra argument (nosuch)"),
        (["collection_speed.py", "--stored", "0"], "0 is not in the range"),
        (["page_load.py", "--model", "nosuch"], "no model is called 'nosuch'"),
        (["page_load.py", "--clients", "0"], "0 is not in the range"),
    ],
)
def test_bad_input_is_one_line(words: list[str], message: str) -> None:
    done = run(*words)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_second_look_is_measured() -> None:
    done = run("collection_speed.py", "--stored", 3)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["stored pictures"] == 3
    assert found["second list over them, whole process, s"] > 0


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
@pytest.mark.parametrize(
    ("kind", "more", "said"),
    [
        ("load", {"tower": "vision"}, {"seconds", "packed", "private", "mapped", "pss"}),
        ("load", {"tower": "text"}, {"seconds", "packed", "private", "mapped", "pss"}),
        ("both", {}, {"private", "mapped", "pss"}),
        ("vectors", {}, {"digest", "packed"}),
        ("folder", {}, {"seconds", "private", "mapped", "pss"}),
    ],
)
def test_each_measurement_of_mapped_weights_can_be_made(
    kind: str,
    more: dict[str, Any],
    said: set[str],
    picture: Callable[..., Image.Image],
    tmp_path: Path,
) -> None:
    picture().save(tmp_path / "a.png")
    ask = {
        "kind": kind,
        "model": "demo",
        "variant": "q8",
        "pictures": [str(tmp_path / "a.png")],
        **more,
    }
    done = subprocess.run(
        [sys.executable, SCRIPTS / "mapped_subjects.py", json.dumps(ask)],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert json.loads(done.stdout).keys() == said
