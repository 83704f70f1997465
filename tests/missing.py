"""Hooks of pytest that skip what needs a package which is not installed, and say so once.

With --complete nothing may be skipped: a missing package is an error, and so is any other skip.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

# By the extra of this package that brings them. What else is missing is an error.
EXTRAS = {
    "torch": "export", "transformers": "export", "onnx": "quantize", "google": "quantize",
    "starlette": "page", "anyio": "page", "uvicorn": "page", "python_multipart": "page",
    "jinja2": "report", "pyarrow": "parquet", "pandas": "parquet", "polars": "parquet",
    "dask": "cluster", "distributed": "cluster", "moto": "test", "s3fs": "test",
    "pillow_heif": "heic", "platformdirs": "test", "safetensors": "export", "fastapi": "test",
    "playwright": "page", "schemathesis": "page",
    "axe_playwright_python": "page",
}  # fmt: skip
ABSENT = re.compile(r"ModuleNotFoundError: No module named '(\w+)|needs (\w+); install it with")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    parser.addoption("--complete", action="store_true", help="skip nothing")
    parser.addoption(
        "--plain", action="store_true", help="skip what needs a browser or an emulator"
    )
    parser.addoption(
        "--made", type=Path, metavar="FOLDER", help="take models that an earlier run left there"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what asks the Hub, unless -m names it."""
    if "hub" not in config.option.markexpr:
        config.hook.pytest_deselected(items=[each for each in items if _asks_hub(each)])
        items[:] = [each for each in items if not _asks_hub(each)]


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what a plain machine lacks, where that is asked for."""
    needed = {"browser", "emulator"}.intersection(getattr(item, "fixturenames", ()))
    if needed and item.config.option.plain:
        pytest.skip(f"--plain: no {min(needed)}")


def _asks_hub(item: pytest.Item) -> bool:
    return item.get_closest_marker("hub") is not None


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Skip a file that imports what is not there."""
    report = yield
    if report.outcome == "failed":
        _skip(report, str(report.longrepr), collector.config)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[Any]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Skip a test that imports what is not there, itself or by a fixture or a process."""
    report = yield
    if call.excinfo and report.outcome == "failed":
        _skip(report, f"{report.longrepr}\n{call.excinfo.value}", item.config)
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a complete run that skipped something."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if session.config.option.complete and reporter and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _skip(
    report: pytest.CollectReport | pytest.TestReport, said: str, config: pytest.Config
) -> None:
    missing = sorted({one or other for one, other in ABSENT.findall(said)} & EXTRAS.keys())
    if missing and not config.option.complete:
        report.outcome = "skipped"
        what = f"{missing[0]} is not installed (pip install .[{EXTRAS[missing[0]]}])"
        report.longrepr = (__file__, 1, f"Skipped: {what}")
