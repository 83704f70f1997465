"""The examples of docs/embedding.md do what they say."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import clip_gaze

if TYPE_CHECKING:
    from collections.abc import Callable

    from PIL import Image

TEXT = (Path(__file__).parents[1] / "docs" / "embedding.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^ {4}(clip-gaze .*)$", TEXT, re.MULTILINE)
PLAIN, WINDOW, SERVICE = re.findall(r"^```python\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


@pytest.fixture
def folder(
    tmp_path: Path, picture: Callable[..., Image.Image], monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Return the working folder: a picture, and what the page's commands make."""
    picture().save(tmp_path / "painting.jpg")
    monkeypatch.chdir(tmp_path)
    for command in COMMANDS:
        words = shlex.split(command)[1:]
        words += [] if "--model" in words else ["--model", "demo"]  # the default must be fetched
        done = subprocess.run(
            [sys.executable, "-m", "clip_gaze", *words], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    return tmp_path


def run(source: str) -> dict[str, Any]:
    """Run an example, and return its names."""
    names: dict[str, Any] = {}
    exec(compile(source, "example", "exec", dont_inherit=True), names)
    return names


@pytest.fixture
def wanted(folder: Path) -> dict[str, list[Any]]:
    """Return the whole model's answer."""
    lists = {"movements": clip_gaze.MOVEMENTS, "surfaces": clip_gaze.SURFACES}
    with clip_gaze.Clip("demo") as clip:
        return clip.gaze(folder / "painting.jpg", lists, format_output=False)  # type: ignore[return-value]


def test_the_plain_example_answers(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(PLAIN)
    assert "'surface': ['on " in capsys.readouterr().out
    assert (folder / "another_bundle" / "manifest.json").exists()


def test_the_window_shows_the_answer(
    folder: Path, wanted: dict[str, list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With widgets that are made up: a real window needs a screen."""
    buttons: list[Callable[[], object]] = []
    chosen = [str(folder / "painting.jpg"), ""]
    shown: list[str] = []

    class Made:
        def __init__(self, *_: object, **options: Any) -> None:
            buttons.extend([options["command"]] if "command" in options else [])

        def pack(self, **_: int) -> None:
            """Take a place."""

        def set(self, text: str) -> None:
            shown.append(text)

        def mainloop(self) -> None:
            for _ in chosen[:]:
                buttons[0]()

    tkinter: Any = types.ModuleType("tkinter")
    tkinter.Tk = tkinter.StringVar = tkinter.Button = tkinter.Label = Made
    tkinter.filedialog = types.ModuleType("tkinter.filedialog")
    tkinter.filedialog.askopenfilename = lambda: chosen.pop(0)
    monkeypatch.setitem(sys.modules, "tkinter", tkinter)
    run(WINDOW)["clip"].close()
    answer, nothing = shown
    for name, best in wanted.items():
        assert f"{name}\n{best[0][0]} (" in answer
    assert "\n" not in nothing


def test_the_service_answers(folder: Path, wanted: dict[str, list[Any]]) -> None:
    import fastapi  # noqa: F401 - it is in the extra of tests alone
    from starlette.testclient import TestClient

    names = run(SERVICE)
    with TestClient(names["app"]) as client, names["clip"]:
        found = client.post("/gaze", content=(folder / "painting.jpg").read_bytes())
        wrong = client.post("/gaze", content=b"no picture")
    assert found.status_code == 200
    assert found.json().keys() == wanted.keys()
    for name, best in wanted.items():
        assert [phrase for phrase, _ in found.json()[name]] == [phrase for phrase, _ in best]
        assert [p for _, p in found.json()[name]] == pytest.approx([p for _, p in best], abs=1e-6)
    assert wrong.status_code == 422
    assert "is not a picture that is read here" in wrong.json()["detail"]
