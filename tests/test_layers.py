"""Imports point one way, heavy libraries are loaded late, and those of the export never."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from PIL import Image

    MakePicture = Callable[..., Image.Image]

SRC = Path(__file__).parents[1] / "src" / "clip_gaze"
MODULES = {path.stem: path for path in SRC.glob("*.py")}
# A module imports from the lines above its own alone.
LAYERS = [
    {"errors", "markup", "memory", "places", "results", "telemetry", "wording"},
    {"limits", "manifest", "whole"},
    {"drawing", "edits", "models", "phrases", "scoring", "verify"},
    {"images", "neutral", "occlusion", "opening"},
    {"hub", "session", "store", "thumbnails", "tokenizer"},
    {"fetch", "locate", "towers"},
    {"download"},
    {"pictures", "ranking", "texts"},
    {"see"},
    {"clip"},
    {"collect", "compare", "gaze", "maps", "render", "tables"},
    {"compare_text", "outputs"},
    {"chart", "draw"},
    {"card", "report"},
    {"page_address", "page_queue"},
    {"page_guard"},
    {"page_answer", "page_multipart"},
    {"page_forms"},
    {"page_jobs", "page_openapi"},
    {"page"},
    {"cli_options", "page_server"},
    {"cli_compare", "cli_gaze", "cli_lists", "cli_models", "cli_report", "cli_see", "cli_serve"},
    {"cli"},
    {"__init__", "__main__"},
]
LAYER = {module: at for at, layer in enumerate(LAYERS) for module in layer}
EXPORT_ONLY = {"torch", "torchvision", "transformers", "onnx", "onnxscript", "onnx_ir", "export"}


def imported(source: str) -> set[str]:
    """Return what a source text imports, anywhere in it: "numpy", "clip_gaze.store", ..."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level:
            found |= {f"clip_gaze.{node.module or alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module == "clip_gaze":
            found |= {f"clip_gaze.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(str(node.module))
    return found


def too_high(module: str, source: str) -> set[str]:
    """Return which imports of a module do not point down."""
    own = {name for name in imported(source) if name.split(".")[0] == "clip_gaze"}
    used = {[*name.split("."), "__init__"][1] for name in own}
    # A name that is no module comes from the package's __init__, which is above them all.
    return {name for name in used if LAYER.get(name, len(LAYERS)) >= LAYER[module]}


@pytest.mark.parametrize("module", sorted(MODULES))
def test_a_module_imports_from_layers_below_its_own(module: str) -> None:
    assert module in LAYER, f"{module} has no layer"
    assert too_high(module, MODULES[module].read_text(encoding="utf-8")) == set()


@pytest.mark.parametrize(
    ("source", "wrong"),
    [
        ("from clip_gaze import store, clip", {"store", "clip"}),
        ("import clip_gaze.tokenizer", {"tokenizer"}),
        ("import clip_gaze", {"__init__"}),
        ("from clip_gaze import MOVEMENTS", {"MOVEMENTS"}),
        ("from .gaze import gaze", {"gaze"}),
        ("from . import hub", {"hub"}),
        ("if TYPE_CHECKING:\n    from clip_gaze.clip import Clip", {"clip"}),
        ("def late():\n    from clip_gaze.clip import Clip", {"clip"}),
        (
            "import numpy\nfrom clip_gaze import verify\nfrom clip_gaze.errors import GazeError",
            set(),
        ),
    ],
)
def test_every_way_to_import_is_seen(source: str, wrong: set[str]) -> None:
    assert too_high("store", source) == wrong


def test_only_session_imports_onnxruntime() -> None:
    using = {
        module
        for module, path in MODULES.items()
        if any(
            name.split(".")[0] == "onnxruntime"
            for name in imported(path.read_text(encoding="utf-8"))
        )
    }
    assert using == {"session"}


@pytest.mark.parametrize("module", sorted(MODULES))
def test_no_module_imports_what_the_export_needs(module: str) -> None:
    names = imported(MODULES[module].read_text(encoding="utf-8"))
    assert not {name.split(".")[0] for name in names} & EXPORT_ONLY


@pytest.mark.parametrize("module", sorted(MODULES))
def test_nobody_prints_or_exits_below_the_command_line(module: str) -> None:
    if LAYER[module] >= LAYER["cli_options"]:
        return
    calls = [
        ast.unparse(node.func)
        for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
    ]
    assert not {"print", "exit", "quit", "sys.exit", "os._exit", "input"} & set(calls)


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
import clip_gaze
after_import, modules = list(opened), sorted(sys.modules)
clip_gaze.SURFACES
print(json.dumps({"opened": after_import, "modules": modules, "opened late": opened}))
"""


def test_importing_the_package_loads_no_library_and_reads_no_list() -> None:
    found = fresh(IMPORT)
    heavy = {"onnxruntime", "numpy", "PIL", "tokenizers", "huggingface_hub", "sqlite3", "tqdm"}
    assert not heavy & set(found["modules"])
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
