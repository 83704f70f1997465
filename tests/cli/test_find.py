"""The command `clip-gaze find`."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fsspec
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from clip_gaze import Clip
from clip_gaze.cli.main import main
from demo.painter import TRAINED, paint

if TYPE_CHECKING:
    from click.testing import Result

COUNT = 8


@pytest.fixture
def studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the working folder, which has a folder of pictures."""
    (tmp_path / "scans").mkdir()
    for seed in range(COUNT):
        paint(seed, 128).image.save(tmp_path / "scans" / f"{seed}.png")
    shutil.copy(tmp_path / "scans" / "5.png", tmp_path / "sketch.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words: Any) -> Result:
    return CliRunner().invoke(main, ["find", "--model", "demo", *map(str, words)])


def found(*words: Any) -> Any:
    """Return the JSON of a search that goes well."""
    done = run("--format", "json", *words)
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


def asked(answer: Any) -> list[tuple[str, str, bool]]:
    return [(term["text"], term["kind"], term["wanted"]) for term in answer["query"]]


@pytest.mark.usefixtures("studio")
def test_what_is_found_is_what_the_class_finds() -> None:
    answer = found("on wood", "sketch.png", "-cubism movement", "scans", "--top", 3)
    assert asked(answer) == [
        ("on wood", "words", True),
        ("sketch.png", "picture", True),
        ("cubism movement", "words", False),
    ]
    with Clip("demo", offline=True) as clip:
        expected = clip.find(
            ["on wood", Path("sketch.png")], sorted(Path("scans").iterdir()),
            without=["cubism movement"], top=3,
        )  # fmt: skip
    pairs = [(each["image"], each["similarity"]) for each in answer["images"]]
    assert pairs == [(hit.image, hit.similarity) for hit in expected.images]


@pytest.mark.usefixtures("studio")
@pytest.mark.parametrize(
    "words",
    [
        ["on wood", "-on wall paper", "sketch.png", "scans"],
        ["-on wall paper", "sketch.png", "on wood", "scans"],
        ["--like", "sketch.png", "--not", "on wall paper", "on wood", "scans"],
        ["on wood", "sketch.png", "--not", "on wall paper", "scans", "--min", "-0.9"],
        ["--min=-0.9", "on wood", "-on wall paper", "sketch.png", "--top", "0", "--", "scans"],
    ],
)
def test_a_query_can_be_spelled_in_several_ways(words: list[str]) -> None:
    first = found("on wood", "sketch.png", "--not", "on wall paper", "scans")
    answer = found(*words)["images"]
    assert [each["image"] for each in answer] == [each["image"] for each in first["images"]]
    assert answer[0]["similarity"] == pytest.approx(first["images"][0]["similarity"], abs=1e-6)


@pytest.mark.usefixtures("studio")
def test_a_word_that_is_a_file_is_a_picture_and_said_to_be_one() -> None:
    shutil.copy("sketch.png", "boats")
    done = run("boats", "scans", "--format", "json")
    assert asked(json.loads(done.stdout)) == [("boats", "picture", True)]
    assert "boats is a file here" in done.stderr
    assert asked(found("boats ", "scans")) == [("boats", "words", True)]


@pytest.mark.usefixtures("studio")
def test_a_picture_that_is_not_there_is_said_to_be_words() -> None:
    done = run("none.png", "scans", "--format", "json")
    assert asked(json.loads(done.stdout)) == [("none.png", "words", True)]
    assert "none.png: no such file" in done.stderr
    missing = run("--like", "none.png", "scans")
    assert missing.exit_code == 2
    assert "none.png: no such file" in missing.stderr


@pytest.mark.usefixtures("studio")
def test_without_a_folder_all_known_pictures_are_searched() -> None:
    here = found("on wood", "scans", "--top", 0)
    for words in (["on wood"], ["on wood", "all"]):
        everywhere = found(*words, "--top", 0)
        names = [Path(each["image"]).name for each in everywhere["images"]]
        assert names == [Path(each["image"]).name for each in here["images"]]
    Path(everywhere["images"][0]["image"]).unlink()
    done = run("on wood", "--top", 2)
    assert "1 nearer picture is gone or changed" in done.stderr
    assert Path(names[0]).name not in done.stdout


@pytest.mark.usefixtures("studio")
def test_templates_apply() -> None:
    plain, put = (found("wood", "scans", *more) for more in ([], ["--template", "on {}"]))
    assert put["templates"] == ["on {}"]
    assert [e["similarity"] for e in put["images"]] == pytest.approx(
        [e["similarity"] for e in found("on wood", "scans")["images"]]
    )
    assert put["images"] != plain["images"]


@pytest.mark.usefixtures("studio")
def test_text_json_lines_and_csv_say_the_same() -> None:
    rows = found("on wood", "scans", "--top", 3)["images"]
    lines = run("on wood", "scans", "--top", 3, "--format", "jsonl").stdout.splitlines()
    assert [json.loads(line) for line in lines] == rows
    table = run("on wood", "scans", "--top", 3, "--format", "csv").stdout
    cells = list(csv.DictReader(io.StringIO(table)))
    assert [(c["image"], float(c["similarity"])) for c in cells] == [
        (row["image"], row["similarity"]) for row in rows
    ]
    assert {cell["query"] for cell in cells} == {'"on wood"'}
    text = run("on wood", "scans", "--top", 3).stdout.splitlines()
    assert text[0] == '"on wood"  (8 pictures, demo, fp32)'
    assert [line.split() for line in text[1:]] == [
        [f"{row['similarity']:.3f}", row["image"]] for row in rows
    ]


@pytest.mark.usefixtures("studio")
def test_names_alone_have_zero_bytes_behind_them_and_are_said_to_be_of_what() -> None:
    rows = found("on wood", "harbour", "scans", "--top", 3)["images"]
    done = run("on wood", "harbour", "scans", "--top", 3, "-0")
    assert done.stdout.split("\0") == [*(row["image"] for row in rows), ""]
    assert f'"on wood" + "harbour" ({COUNT} pictures, demo, fp32)' in done.stderr


@pytest.mark.usefixtures("studio")
def test_words_may_have_colons() -> None:
    assert asked(found("art:: deco", "scans")) == [("art:: deco", "words", True)]
    assert run("art::deco", "scans", "--offline", "--not", "new::wave").exit_code == 0


@pytest.mark.parametrize("kind", ["symbolic", "hard"])
def test_a_file_is_no_copy_of_itself(kind: str, studio: Path) -> None:
    one, alias = studio / "scans" / "1.png", studio / "scans" / "alias.png"
    try:
        (alias.symlink_to if kind == "symbolic" else alias.hardlink_to)(one)
    except (OSError, NotImplementedError):
        pytest.skip("links cannot be made here")
    shutil.copy(studio / "scans" / "2.png", studio / "scans" / "copy.png")
    run("on wood", "scans/../scans")  # another path of each, in the store
    for place in ("scans", "all"):
        done = run("--duplicates", place, "--threshold", 1, "--format", "json")
        ((alike,),) = json.loads(done.stdout)["groups"]
        names = [Path(name).name for name in alike["images"]]
        assert sorted(names) == ["2.png", "copy.png"]
    answer = found("on wood", "scans", "--top", 0)["images"]
    names = sorted(Path(hit["image"]).name for hit in answer)
    assert names == sorted([*(f"{seed}.png" for seed in range(COUNT)), "copy.png"])


@pytest.mark.usefixtures("studio")
def test_a_folder_that_is_taken_as_words_is_named() -> None:
    done = run("on wood", "scans", "scans/1.png", "scans")
    assert done.exit_code == 0
    assert "scans is a folder here, and taken as words; name it last to search it" in done.stderr


def test_pictures_at_urls_are_searched_and_looked_for(studio: Path) -> None:
    fs = fsspec.filesystem("memory")
    for path in (studio / "scans").iterdir():
        fs.pipe_file(f"/found/{path.name}", path.read_bytes())
    try:
        answer = found("memory://found/5.png", "memory://found/", "--top", 1)
    finally:
        fs.rm("/found", recursive=True)
    assert asked(answer) == [("memory://found/5.png", "picture", True)]
    (best,) = answer["images"]
    assert best["image"].endswith("/found/5.png")
    assert best["similarity"] == pytest.approx(1)


def test_a_sheet_shows_the_pictures_in_their_order(studio: Path) -> None:
    pytest.importorskip("jinja2")
    rows = found("on wood", "scans", "--top", 4)["images"]
    done = run("on wood", "scans", "--top", 4, "-o", "sheet.html")
    assert done.stdout == ""
    page = (studio / "sheet.html").read_text(encoding="utf-8")
    assert re.findall(r'<a href="(\S+)"', page) == [row["image"] for row in rows]
    assert re.findall(r"<b>(\S+)</b>", page) == [f"{row['similarity']:.3f}" for row in rows]
    assert "&#34;on wood&#34;" in page
    assert "knows nothing of real art" in page


def test_a_drawn_sheet_is_a_picture(studio: Path) -> None:
    run("on wood", "scans", "--top", 4, "-o", "sheet.png")
    with Image.open(studio / "sheet.png") as image:
        assert len(np.unique(np.asarray(image.convert("L")))) > 100
    run("on wood", "scans", "--top", 4, "-o", "sheet.svg")
    assert (studio / "sheet.svg").read_text(encoding="utf-8").count("<image") == 4


@pytest.mark.usefixtures("studio")
def test_a_sheet_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("jinja2")
    shown: list[str] = []
    monkeypatch.setattr(webbrowser, "open", shown.append)
    run("on wood", "scans", "--open")
    run("on wood", "scans", "--open", "-o", "sheet.png")
    assert [address.rpartition("/")[2] for address in shown] == ["found.html", "sheet.png"]


@pytest.mark.usefixtures("studio")
def test_where_no_picture_is_like_another_it_says_so() -> None:
    done = run("--duplicates", "scans", "--threshold", 1)
    assert done.stdout.startswith(f"no near-equal pictures  ({COUNT} pictures, demo, fp32, ")


@pytest.mark.usefixtures("studio")
def test_duplicates_come_largest_group_first_and_nothing_is_deleted() -> None:
    pytest.importorskip("jinja2")
    for name, new in (("3.png", "a.png"), ("3.png", "b.png"), ("6.png", "c.webp")):
        with Image.open(f"scans/{name}") as image:
            image.save(f"scans/{new}", quality=95)
    shutil.copy("scans/3.png", "scans/d.png")
    before = sorted(Path("scans").iterdir())
    done = run("--duplicates", "scans")
    assert done.exit_code == 0, done.stderr
    assert done.stdout.splitlines()[0].startswith("2 groups of near-equal pictures")
    assert re.findall(r"^(\d) files", done.stdout, re.MULTILINE) == ["4", "2"]
    (table,) = [run("--duplicates", "scans", "--format", "csv").stdout]
    cells = list(csv.DictReader(io.StringIO(table)))
    assert [c["group"] for c in cells] == ["1"] * 4 + ["2"] * 2
    copies = {Path(c["image"]).name: Path(c["copy_of"]).name for c in cells if c["copy_of"]}
    assert "d.png" in copies or "d.png" in copies.values()
    lines = run("--duplicates", "scans", "--format", "jsonl").stdout.splitlines()
    whole = json.loads(run("--duplicates", "scans", "--format", "json").stdout)
    assert [json.loads(line)["group"] for line in lines] == whole["groups"]
    for out in ("sheet.html", "sheet.png"):
        assert run("--duplicates", "scans", "-o", out).exit_code == 0
        assert Path(out).stat().st_size > 1000
    assert sorted(Path("scans").iterdir()) == before


@pytest.mark.usefixtures("studio")
def test_bad_pictures_are_named_and_the_rest_is_searched() -> None:
    Path("scans/3.png").write_bytes(b"no picture")
    done = run("on wood", "scans", "--format", "json")
    assert done.exit_code == 1
    assert "scans/3.png" in done.stderr
    assert len(json.loads(done.stdout)["images"]) == COUNT - 1
    for path in Path("scans").iterdir():
        path.write_bytes(b"no picture")
    done = run("on wood", "scans")
    assert (done.exit_code, done.stdout) == (2, "")


@pytest.mark.usefixtures("studio")
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a harbour", "./gone"], "./gone: no such file or folder; check the name"),
        (["a harbour", Path("gone").absolute()], "gone: no such file or folder; check the name"),
        (["a harbour", "gone/"], "gone/: no such file or folder; check the name"),
        (["memory://somewhere/", "scans"], "is no picture; name it last, to search what is there"),
        ([], "say what to look for"),
        (["scans"], "say what to look for"),
        (["on wood", "--duplicates", "scans"], "no query"),
        (["on wood", "-0", "--format", "json"], "-0 prints names alone"),
        (["on wood", "-o", "answer.parquet"], ".html"),
        (["on wood", "-o", "sheet.html", "--format", "csv"], "leave out --format"),
        (["on wood", "-on wood", "scans"], "cancels itself out"),
        (["on wood", "--no-store"], "without a store"),
        (["on wood", "-x", "scans"], "No such option"),
    ],
)
def test_what_cannot_be_is_one_line(words: list[str], message: str) -> None:
    done = run(*words)
    assert done.exit_code == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_subjects_are_found_far_more_often_than_by_chance(tmp_path: Path) -> None:
    """Of 200 pictures with known subjects; against chance, and how often `gaze` is right."""
    genres, count = TRAINED["genres"], 200
    paintings = [paint(seed, 112) for seed in range(40_000_000, 40_000_000 + count)]
    shows = np.array([each.phrases["genres"] for each in paintings])
    images = [tmp_path / f"{at}.png" for at in range(count)]
    for path, painting in zip(images, paintings, strict=True):
        painting.image.save(path)
    with Clip("demo", offline=True) as clip:
        first = [clip.ranking({"": genres}).first(each)[""] for each in clip.encode_images(images)]
        precision = []
        for phrase in genres:
            hits = clip.find([phrase], images, top=10).images
            precision.append(np.mean([shows[int(Path(hit.image).stem)] == phrase for hit in hits]))
    chance = np.mean([np.mean(shows == phrase) for phrase in genres])
    named = np.mean(shows == np.array(first))
    assert np.mean(precision) > named
    assert min(precision) > chance
