"""Rooms import what they may, heavy libraries are loaded late, and those of the export never."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from PIL import Image

    MakePicture = Callable[..., Image.Image]

SRC = Path(__file__).parents[1] / "src" / "clip_gaze"
# What a room, or a module at the root, may import beside itself; each room says so in its
# `__init__.py`. The package's own `__init__` and `__main__` may import everything.
VALUES = {"errors", "late", "results", "wording"}
ENGINE = {"analysis", "hub", "model", "pictures", "search", "store", "system", "texts", *VALUES}
ROOMS = {
    "errors": set(),
    "late": set(),
    "results": {"late"},
    "wording": set(),
    "store": {"errors", "late", "system"},
    "system": {"errors"},
    "model": {"system", *VALUES},
    "hub": {"model", "system", *VALUES},
    "texts": {"analysis", "model", "store", "system", *VALUES},
    "pictures": {"analysis", "model", "store", "system", *VALUES},
    "search": {"analysis", "pictures", "store", "system", *VALUES},
    "analysis": VALUES,
    "runtime": {"model", "pictures", "store", "system", *VALUES},
    "clip": {"runtime", *ENGINE},
    "kept": {"clip"},
    "gaze": {"kept", "pictures"},
    "drawing": {"pictures", "system", *VALUES},
    "output": {"analysis", "drawing", "pictures", "system", *VALUES},
    "web": {"clip", "drawing", "output", *ENGINE},
    "datasets": {"clip", "output", *ENGINE},
    "cli": {"clip", "datasets", "drawing", "gaze", "output", "web", *ENGINE},
}
EVERYTHING = {"__init__", "__main__"}
EXPORT_ONLY = {"torch", "torchvision", "transformers", "onnx", "onnxscript", "onnx_ir", "export"}


def name_of(path: Path) -> str:
    """Return a module's dotted name below the package: "store", "model.pins", "cli"."""
    parts = path.relative_to(SRC).with_suffix("").parts
    return ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in SRC.rglob("*.py")}


def imported(source: str) -> set[str]:
    """Return what a source text imports, anywhere in it: "numpy", "clip_gaze.store", ..."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are absolute"
            # A room's modules are imported from it by name.
            inside = {f"{node.module}.{alias.name}" for alias in node.names}
            known = {name for name in inside if name.removeprefix("clip_gaze.") in MODULES}
            found |= known | ({str(node.module)} if known != inside else set())
    return found


def own(source: str) -> set[str]:
    """Return which modules of the package a source text imports, by their names below it."""
    found = {name for name in imported(source) if name.split(".")[0] == "clip_gaze"}
    return {name.removeprefix("clip_gaze").removeprefix(".") or "__init__" for name in found}


def foreign(module: str, source: str) -> set[str]:
    """Return which imports of a module its room may not have."""
    room = module.split(".", maxsplit=1)[0]
    if room in EVERYTHING:
        return set()
    return {name for name in own(source) if name.split(".")[0] not in ROOMS[room] | {room}}


def test_each_module_stands_in_a_room() -> None:
    assert {name.split(".")[0] for name in MODULES} == ROOMS.keys() | EVERYTHING


def test_no_room_holds_more_than_thirteen_modules() -> None:
    folders = Counter(name.rpartition(".")[0] for name in MODULES)
    del folders[""]
    assert max(folders.values()) <= 13, folders


def test_the_map_names_each_module_of_a_room() -> None:
    text = (SRC.parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")
    lines = re.split(r"^ {6}(?=\S)", text.partition("## A map")[2], flags=re.MULTILINE)
    named = {line.partition("/")[0]: re.findall(r"`(\w+)`", line) for line in lines}
    absent = {
        name
        for name in MODULES
        if name.count(".") == 1
        and name != "cli.commands"
        and name.split(".")[1] not in named[name.split(".")[0]]
    }
    assert not absent


def test_rooms_import_what_they_may() -> None:
    wrong = {
        module: found
        for module, path in MODULES.items()
        if (found := foreign(module, path.read_text(encoding="utf-8")))
    }
    assert wrong == {}


@pytest.mark.parametrize(
    ("source", "wrong"),
    [
        ("from clip_gaze.pictures import load, encoder", {"pictures.load", "pictures.encoder"}),
        ("import clip_gaze.clip", {"clip"}),
        ("import clip_gaze", {"__init__"}),
        ("from clip_gaze import store, MOVEMENTS", {"__init__"}),
        ("if TYPE_CHECKING:\n    from clip_gaze.clip import Clip", {"clip"}),
        ("def late():\n    from clip_gaze.clip import Clip", {"clip"}),
        ("import numpy\nfrom clip_gaze.model import pins\nfrom clip_gaze.errors import E", set()),
    ],
)
def test_every_way_to_import_is_seen(source: str, wrong: set[str]) -> None:
    assert foreign("texts.phrases", source) == wrong


def test_no_module_imports_itself_by_a_detour() -> None:
    below = {name: own(path.read_text(encoding="utf-8")) for name, path in MODULES.items()}
    while below:
        free = {name for name, used in below.items() if not used & below.keys() - {name}}
        assert free, f"a circle of imports: {sorted(below)}"
        below = {name: used for name, used in below.items() if name not in free}


def using(library: str) -> set[str]:
    """Return the modules that import a library."""
    return {
        module
        for module, path in MODULES.items()
        if any(name.split(".")[0] == library for name in imported(path.read_text(encoding="utf-8")))
    }


def test_one_module_each_imports_onnxruntime_and_huggingface_hub() -> None:
    assert using("onnxruntime") == {"model.session"}
    assert using("huggingface_hub") == {"hub.http"}


def test_no_module_imports_what_the_export_needs() -> None:
    assert {name: found for name in EXPORT_ONLY if (found := using(name))} == {}


def test_nobody_prints_or_exits_below_the_command_line() -> None:
    for module, path in MODULES.items():
        if module.split(".")[0] in {"cli", "web", "__main__"}:
            continue
        calls = {
            ast.unparse(node.func)
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Call)
        }
        assert not {"print", "exit", "quit", "sys.exit", "os._exit", "input"} & calls, module


def fresh(code: str, *args: object) -> dict[str, list[str]]:
    """Run code in a process of its own and return what it prints last, which is JSON."""
    command = [sys.executable, "-c", code, *map(str, args)]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    answer: dict[str, list[str]] = json.loads(done.stdout.splitlines()[-1])
    return answer


IMPORT = """
import json, sys
opened = []
sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
before = set(sys.modules)
import clip_gaze
after_import, modules = list(opened), sorted(sys.modules.keys() - before)
clip_gaze.SURFACES
print(json.dumps({"opened": after_import, "modules": modules, "opened late": opened}))
"""


def test_importing_the_package_loads_next_to_nothing_and_reads_no_list() -> None:
    """A command that is stopped while it does so ends with a traceback."""
    found = fresh(IMPORT)
    own = {"clip_gaze", "clip_gaze.gaze", "clip_gaze.system", "clip_gaze.system.telemetry"}
    assert set(found["modules"]) <= {"__future__", *own}
    assert not [path for path in found["opened"] if "phrase_lists" in path]
    assert not [path for path in found["opened"] if path.endswith((".json", ".sqlite", ".onnx"))]
    assert [path for path in found["opened late"] if path.endswith("surfaces.txt")]


LIBRARY = """
import json, sys
import clip_gaze
picture, model = sys.argv[1:]
clip_gaze.gaze(picture, {"surface": clip_gaze.SURFACES}, model=model)
clip_gaze.probabilities(picture, clip_gaze.TOOLS, model=model)
with clip_gaze.Clip(model, "q4") as clip:
    list(clip.gaze_many([picture], {"sites": clip_gaze.SITES}))
print(json.dumps({"modules": sorted(sys.modules)}))
"""
COMMAND = """
import json, sys
from clip_gaze.cli import main
picture, model = sys.argv[1:]
for kind in ("text", "json"):
    try:
        main(["gaze", picture, "--model", model, "--list", "surfaces", "--format", kind])
    except SystemExit as end:
        assert not end.code, end.code
print()
print(json.dumps({"modules": sorted(sys.modules)}))
"""


@pytest.mark.parametrize("code", [LIBRARY, COMMAND], ids=["library", "command line"])
def test_the_main_job_never_imports_what_the_export_needs(
    code: str, tiny_model: Path, tmp_path: Path, picture: MakePicture
) -> None:
    picture().save(tmp_path / "picture.png")
    modules = set(fresh(code, tmp_path / "picture.png", tiny_model)["modules"])
    assert {"onnxruntime", "tokenizers"} <= modules  # the job was done
    assert not modules & EXPORT_ONLY


def test_a_question_with_known_phrases_loads_neither_a_tokenizer_nor_bars(
    tiny_model: Path, tmp_path: Path, picture: MakePicture
) -> None:
    for seed in range(2):
        path = tmp_path / f"{seed}.png"
        picture(seed=seed).save(path)
        modules = set(fresh(COMMAND, path, tiny_model)["modules"])
        # The first question has to encode its phrases.
        assert ("tokenizers" in modules) == (seed == 0)
    assert not {"tokenizers", "tqdm", "huggingface_hub"} & modules
    # The second time the picture is known too.
    modules = set(fresh(COMMAND, path, tiny_model)["modules"])
    unneeded = ("cli.commands.serve", "output.report", "drawing", "datasets.dataset", "hub.client")
    unneeded += ("search.gallery", "analysis.occlusion", "results.searches")
    libraries = {"onnxruntime", "PIL.Image", "shutil", "tempfile"}
    assert not {*libraries, *(f"clip_gaze.{name}" for name in unneeded)} & modules
