"""The API answers what the command line answers, bit for bit, whole and as a stream."""

from __future__ import annotations

import base64
import io
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from clip_gaze import Clip
from clip_gaze.analysis.defaults import QUALITIES
from clip_gaze.pictures.load import KINDS
from clip_gaze.texts import phrases
from demo.painter import paint
from serving import Served, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser

SHORT = ("painting_materials", "surfaces")
SEAS = ("a stormy sea", "a calm sea")


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving() as server:
        yield server


@pytest.fixture
def studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the working folder, with pictures: one turned by its EXIF data, one damaged."""
    for seed, name in enumerate(("one.jpg", "two.png")):
        paint(seed, 120).image.save(tmp_path / name)
    turned = Image.Exif()
    turned[0x0112] = 6
    paint(2, 120).image.crop((0, 0, 120, 80)).save(tmp_path / "turned.jpg", exif=turned)
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "one.jpg").read_bytes()[:900])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def upload(studio: Path, *names: str) -> list[Any]:
    return [("image", (name, (studio / name).read_bytes())) for name in names]


def told(command: str, *words: str, code: int = 0) -> Any:
    """Return the JSON that the command line writes with the demo model."""
    line = [sys.executable, "-m", "clip_gaze", command, *words, "--model", "demo"]
    done = subprocess.run(
        [*line, "--format", "json"], capture_output=True, text=True, encoding="utf-8", check=False
    )
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("more", [[], ["--corrected"]])
def test_gaze_is_the_command_lines_bit_for_bit(
    served: Served, studio: Path, more: list[str]
) -> None:
    names = ["one.jpg", "cut.jpg", "turned.jpg", "two.png"]
    lists = [word for name in SHORT for word in ("--list", name)]
    own = ["--phrase", "a boat ", "--phrase", "a fish", "--phrase", "a boat"]
    expected = told("gaze", *names, *lists, *own, "--top", "3", *more, code=1)
    parts = [
        *upload(studio, *names),
        *[("list", name) for name in SHORT],
        ("phrase", "a boat "),
        ("phrase", "a fish"),
        ("phrase", "a boat"),
        ("top", "3"),
        ("corrected", "true" if more else "false"),
    ]
    found = served.post("/api/gaze", *parts).json
    assert found == expected
    assert [each["status"] for each in found] == ["ok", "error", "ok", "ok"]
    assert list(found[0]["lists"]) == [*SHORT, "phrases"]


def test_gaze_without_a_question_asks_what_the_command_line_asks(
    served: Served, studio: Path
) -> None:
    found = served.post("/api/gaze", *upload(studio, "one.jpg")).json
    assert found == told("gaze", "one.jpg")
    assert tuple(found[0]["lists"]) == phrases.DEFAULTS
    assert all(len(scores) == 5 for scores in found[0]["lists"].values())


def test_gaze_is_what_clip_gives(served: Served, studio: Path) -> None:
    parts = [*upload(studio, "one.jpg"), ("list", "surfaces"), ("top", "0")]
    (found,) = served.post("/api/gaze", *parts).json
    assert served.clip is not None
    expected = served.clip.probabilities(studio / "one.jpg", phrases.load("surfaces"))
    scores = {each["phrase"]: each["probability"] for each in found["lists"]["surfaces"]}
    assert scores == dict(expected)


def test_a_table_is_the_command_lines_with_a_row_for_a_bad_picture(
    served: Served, studio: Path
) -> None:
    lists = [word for name in SHORT for word in ("--list", name)]
    for names, code in ((["one.jpg", "cut.jpg", "two.png"], 1), (["cut.jpg"], 2)):
        line = [sys.executable, "-m", "clip_gaze", "gaze", *names, *lists, "--model", "demo"]
        (studio / "a.csv").unlink(missing_ok=True)
        done = subprocess.run([*line, "-o", "a.csv"], capture_output=True, check=False)
        assert done.returncode == code
        # The mark is for files, which a spreadsheet may open.
        expected = (studio / "a.csv").read_bytes().removeprefix(b"\xef\xbb\xbf")
        parts = [*upload(studio, *names), *[("list", name) for name in SHORT]]
        found = served.post("/api/gaze", *parts, accept="text/csv")
        assert found.headers["content-type"] == "text/csv; charset=utf-8"
        assert found.body == expected


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("TEXT/CSV", "text/csv"),
        ("Text/Event-Stream; Q=0.5", "text/event-stream"),
        ("text/csv;q=0, application/json", "application/json"),
        ("text/csv; q=0.000", "application/json"),
        ("text/event-stream;q=0, */*", "application/json"),
        ("text/csv;q=0.5, application/json;q=0.6", "application/json"),
        ("text/csv;q=0.6, application/json;q=0.5, */*;q=0.1", "text/csv"),
        ("application/json, text/csv", "text/csv"),
        ("text/csv, */*", "text/csv"),
        ("*/*, application/json;q=0", "text/csv"),
        ("text/*", "text/csv"),
        ("text/csv;q=many", "text/csv"),
        ("text/csvs", "application/json"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "application/json"),
        (";q=, ,;;\xe9", "application/json"),
        ("", "application/json"),
        (None, "application/json"),
    ],
)
def test_a_client_gets_the_kind_of_answer_that_it_likes_best(
    served: Served, studio: Path, accept: str | None, kind: str
) -> None:
    parts = [*upload(studio, "one.jpg"), ("list", "surfaces"), ("top", "1")]
    reply = served.post("/api/gaze", *parts, accept=accept)
    assert reply.status == 200
    assert reply.headers["content-type"].partition(";")[0] == kind


def test_a_stream_brings_the_lists_one_after_the_other(served: Served, studio: Path) -> None:
    names = ["one.jpg", "cut.jpg", "two.png"]
    parts = [*upload(studio, *names), *[("list", name) for name in SHORT], ("top", "2")]
    events = served.stream("/api/gaze", *parts)
    whole = served.post("/api/gaze", *parts).json
    assert events[0] == ("queued", {"ahead": 0})
    assert events[-1] == ("done", {})
    assert [(event, data["index"]) for event, data in events if event == "picture"] == [
        ("picture", 1),
        ("picture", 0),
        ("picture", 2),
    ]
    for event, data in events:
        if event == "picture":
            assert data["result"] == whole[data["index"]]
    lists = [(data["list"], data["index"]) for event, data in events if event == "list"]
    assert lists == [(name, index) for name in SHORT for index in (0, 2)]
    for event, data in events:
        if event == "list":
            assert data["image"] == names[data["index"]]
            assert data["scores"] == whole[data["index"]]["lists"][data["list"]]


def test_a_stream_tells_of_phrases_that_are_encoded_for_the_first_time(
    served: Served, studio: Path
) -> None:
    own = [("phrase", f"a boat with {number} sails") for number in range(70)]
    parts = [*upload(studio, "one.jpg"), *own, ("list", "surfaces")]
    events = [data for event, data in served.stream("/api/gaze", *parts) if event == "encoding"]
    mine = [data for data in events if data["list"] == "phrases"]
    assert mine[-1] == {"list": "phrases", "done": 70, "total": 70}
    assert [data["done"] for data in mine] == sorted({data["done"] for data in mine})
    again = [event for event, _ in served.stream("/api/gaze", *parts)]
    assert "encoding" not in again


def test_a_stream_with_no_picture_that_can_be_read_still_ends(served: Served, studio: Path) -> None:
    events = served.stream("/api/gaze", *upload(studio, "cut.jpg"), ("list", "surfaces"))
    assert [event for event, _ in events] == ["queued", "picture", "done"]
    result = events[1][1]["result"]
    assert result["status"] == "error"
    assert result["error"].startswith("cut.jpg: the picture is damaged or cut short")


@pytest.mark.parametrize("quality", ["quick", "normal"])
def test_see_is_the_command_lines_bit_for_bit(served: Served, studio: Path, quality: str) -> None:
    asked = ["on canvas", "a red boat"]
    expected = told("see", "turned.jpg", *asked, "--quality", quality)
    parts = [*upload(studio, "turned.jpg"), *[("phrase", each) for each in asked]]
    found = served.post("/api/see", *parts, ("quality", quality)).json
    assert found == expected
    assert [each["list"] for each in found] == ["surfaces", "genres"]
    events = served.stream("/api/see", *parts, ("quality", quality))
    assert events[0] == ("queued", {"ahead": 0})
    assert events[-2:] == [("maps", {"maps": found}), ("done", {})]
    steps = [data for event, data in events if event == "progress"]
    assert steps[-1]["done"] == steps[-1]["total"] == found[0]["runs"]


def test_see_weighs_against_a_list_or_phrases(served: Served, studio: Path) -> None:
    parts = [*upload(studio, "one.jpg"), ("phrase", "on canvas"), ("quality", "quick")]
    expected = told("see", "one.jpg", "on canvas", "--list", "tools", "--quality", "quick")
    assert served.post("/api/see", *parts, ("list", "tools")).json == expected
    (studio / "own.txt").write_text("on wood\non glass\n", encoding="utf-8")
    expected = told("see", "one.jpg", "on canvas", "--phrases", "own.txt", "--quality", "quick")
    against = [("against", "on wood"), ("against", "on glass")]
    assert served.post("/api/see", *parts, *against).json == expected


def test_a_map_comes_with_its_colours_where_they_are_asked_for(
    served: Served, studio: Path
) -> None:
    parts = [*upload(studio, "one.jpg"), ("phrase", "on canvas"), ("quality", "quick")]
    (plain,) = served.post("/api/see", *parts).json
    (found,) = served.post("/api/see", *parts, ("overlay", "true")).json
    assert served.stream("/api/see", *parts, ("overlay", "true"))[-2][1] == {"maps": [found]}
    overlay = found.pop("overlay")
    assert found == plain
    assert overlay["limit"] == max(abs(value) for row in plain["grid"] for value in row)
    kind, _, coded = overlay["png"].partition(",")
    assert kind == "data:image/png;base64"
    with Image.open(io.BytesIO(base64.b64decode(coded))) as image:
        assert (image.format, image.mode) == ("PNG", "RGBA")
        small = np.asarray(image.resize((16, 16), Image.Resampling.BOX), np.float64)
    warm = np.where(np.array(plain["grid"]) > 0, 1, -1)
    strong = small[..., 3] > 60
    assert strong.any()
    assert ((small[..., 0] - small[..., 2]) * warm > 0)[strong].all()


def test_a_stream_that_can_bring_nothing_says_why(served: Served, studio: Path) -> None:
    events = served.stream("/api/see", *upload(studio, "cut.jpg"), ("phrase", "on canvas"))
    assert [event for event, _ in events] == ["queued", "error"]
    assert events[1][1]["error"].startswith("cut.jpg: the picture is damaged or cut short")


def test_compare_is_the_command_lines_bit_for_bit(served: Served, studio: Path) -> None:
    names = ["one.jpg", "cut.jpg", "two.png", "turned.jpg"]
    lists = [word for name in SHORT for word in ("--list", name)]
    expected = told("compare", *names, *lists, "--top", "3", code=1)
    parts = [*upload(studio, *names), *[("list", name) for name in SHORT], ("top", "3")]
    assert served.post("/api/compare", *parts).json == expected


# "on canvas" stands in two lists.
BOTH = [("list", "surfaces"), ("phrase", "on canvas"), ("phrase", "on ice")]


def test_a_card_is_a_png_that_names_the_model(served: Served, studio: Path) -> None:
    parts = [*upload(studio, "one.jpg"), ("list", "surfaces")]
    plain = served.post("/api/card", *parts, ("top", "19"))
    assert (plain.status, plain.headers["content-type"]) == (200, "image/png")
    with Image.open(io.BytesIO(plain.body)) as card:
        card.load()
        assert (card.format, card.mode) == ("PNG", "RGB")
    again = served.post("/api/card", *parts, ("top", "20"))
    assert again.body == plain.body
    seen = served.post("/api/card", *parts, ("see", "on canvas"))
    assert seen.status == 200
    assert seen.body != plain.body


@pytest.mark.parametrize(
    ("parts", "against"),
    [
        ([("list", "surfaces"), ("see", "on canvas")], "surfaces"),
        ([("phrase", "on canvas"), ("phrase", "on ice"), ("see", "on ice")], None),
        ([("phrase", "on ice"), ("see", "on ice")], "genres"),
        ([("list", "tools"), ("see", "on canvas")], "surfaces"),
        ([*BOTH, ("see", "on canvas")], "surfaces"),
        ([*BOTH, ("see", "on canvas"), ("see_list", "phrases")], None),
        ([*BOTH, ("see", "on canvas"), ("see_list", "surfaces")], "surfaces"),
        ([*BOTH, ("see", "on canvas"), ("see_list", "tools")], "tools"),
    ],
)
def test_a_cards_map_is_weighed_against_the_list_that_the_phrase_stands_in(
    served: Served,
    studio: Path,
    monkeypatch: pytest.MonkeyPatch,
    parts: list[Any],
    against: str | None,
) -> None:
    from clip_gaze.drawing import card

    drawn = []
    through = card.draw
    monkeypatch.setattr(card, "draw", lambda *a, **k: drawn.append(k["heat"]) or through(*a, **k))
    assert served.post("/api/card", *upload(studio, "one.jpg"), *parts).status == 200
    assert drawn[0].list == against
    assert drawn[0].image == "one.jpg"


@pytest.mark.parametrize(("quality", "runs"), QUALITIES.items())
def test_a_cards_map_has_the_quality_that_is_asked_for(
    served: Served, studio: Path, monkeypatch: pytest.MonkeyPatch, quality: str, runs: int
) -> None:
    from clip_gaze.drawing import card

    drawn = []
    through = card.draw
    monkeypatch.setattr(card, "draw", lambda *a, **k: drawn.append(k["heat"]) or through(*a, **k))
    parts = [*upload(studio, "one.jpg"), *BOTH, ("see", "on ice"), ("see_quality", quality)]
    assert served.post("/api/card", *parts).status == 200
    assert [heat.runs for heat in drawn] == [runs]


@pytest.fixture(scope="module")
def bundled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Return a server of a bundle with a shipped list and one that does not ship."""
    out = tmp_path_factory.mktemp("bundled") / "bundle"
    with Clip("demo", store=False) as clip:
        clip.bundle(out, {"surfaces": phrases.load("surfaces"), "seas": SEAS})
    with serving(model=out) as server:
        yield server


def test_of_a_bundle_its_lists_are_there_and_no_others(bundled: Served, studio: Path) -> None:
    found = bundled.get("/api/lists").json
    assert [(each["name"], each["phrases"], each["selected"]) for each in found] == [
        ("surfaces", 19, True), ("seas", 2, True),
    ]  # fmt: skip
    image = upload(studio, "one.jpg")
    (result,) = bundled.post("/api/gaze", *image).json
    assert list(result["lists"]) == ["surfaces", "seas"]
    (result,) = bundled.post("/api/gaze", *image, ("list", "seas")).json
    assert {score["phrase"] for score in result["lists"]["seas"]} == set(SEAS)
    (heat,) = bundled.post("/api/see", *image, ("phrase", SEAS[0]), ("list", "seas")).json
    assert heat["list"] == "seas"
    parts = (("see", SEAS[0]), ("see_list", "seas"), ("see_quality", "quick"))
    assert bundled.post("/api/card", *image, *parts).status == 200
    for path, more in (("gaze", ()), ("see", (("phrase", SEAS[0]),)), ("card", parts[:1])):
        field = "see_list" if path == "card" else "list"
        refused = bundled.post(f"/api/{path}", *image, *more, (field, "movements"))
        assert refused.status == 400
        assert refused.error == (
            "no phrase list is called 'movements' here; there are surfaces, seas"
        )
    described = bundled.get("/openapi.json").body.decode()
    assert '"seas"' in described
    assert '"movements"' not in described


def test_a_list_of_a_bundle_that_is_called_phrases_is_never_dropped(
    tmp_path: Path, studio: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lists = {"surfaces": phrases.load("surfaces"), phrases.OWN: SEAS}
    with Clip("demo", store=False) as clip:
        clip.bundle(tmp_path / "bundle", lists)
    image = upload(studio, "one.jpg")
    own, named = [("phrase", each) for each in lists["surfaces"][:2]], ("list", phrases.OWN)
    with serving(model=tmp_path / "bundle") as server:
        for path in ("gaze", "compare", "prompt", "card"):
            pictures = image * 2 if path == "compare" else image
            refused = server.post(f"/api/{path}", *pictures, named, *own)
            assert (refused.status, refused.error) == (
                400, "two phrase lists are called 'phrases'; send list or phrase, not both",
            )  # fmt: skip
        for parts, expected in (([named], SEAS), (own, lists["surfaces"][:2])):
            (result,) = server.post("/api/gaze", *image, *parts).json
            scores = result["lists"][phrases.OWN]
            assert {score["phrase"] for score in scores} == {*expected}
        asked = []
        assert server.clip is not None
        see = server.clip.see
        monkeypatch.setattr(server.clip, "see", lambda *a, **k: asked.append(a[2]) or see(*a, **k))
        parts = [("list", "surfaces"), ("see", SEAS[0]), ("see_list", phrases.OWN)]
        assert server.post("/api/card", *image, *parts).status == 200
        assert asked == [SEAS]
        described = server.get("/openapi.json").json["paths"]["/api/card"]["post"]["requestBody"]
    form = described["content"]["multipart/form-data"]["schema"]["properties"]
    assert form["see_list"]["enum"] == [*lists]


def test_the_page_of_a_bundle_offers_what_it_answers(bundled: Served, browser: Browser) -> None:
    page = browser.new_page()
    page.goto(f"http://{bundled.host}/")
    page.locator("#lists label").first.wait_for()
    names = page.locator("#lists label").evaluate_all("all => all.map((each) => each.title)")
    assert names == ["surfaces", "seas"]
    assert page.locator("#lists input:checked").count() == 2
    for gone in ("#own", "#prompting", "#finding"):
        assert not page.locator(gone).is_visible()
    # What a browser remembers of another model names lists that are not here.
    page.evaluate("localStorage.setItem('clip-gaze', JSON.stringify({ lists: ['movements'] }))")
    page.reload()
    page.locator("#lists label").first.wait_for()
    assert page.locator("#lists input:checked").count() == 2
    page.close()


def test_lists_are_those_that_ship(served: Served) -> None:
    found = served.get("/api/lists").json
    assert {each["name"]: each["phrases"] for each in found} == {
        name: len(phrases.load(name)) for name in phrases.names()
    }
    assert {each["name"] for each in found if each["selected"]} == set(phrases.DEFAULTS)


def test_models_are_those_that_ship_and_the_one_in_use_is_first(served: Served) -> None:
    found = served.get("/api/models").json
    assert [each["in_use"] for each in found] == [True] + [False] * (len(found) - 1)
    assert found[0]["name"] == "demo"
    assert found[0]["demo"] is True
    assert found[0]["note"].startswith("this is the demo model")
    assert found[0]["variant"] in found[0]["variants"]
    assert [each["note"] for each in found[1:]] == [None] * (len(found) - 1)


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"MPO", "PSD"}))
def test_each_kind_of_picture_is_read_from_memory(served: Served, kind: str) -> None:
    if kind == "HEIF":
        import pillow_heif

        pillow_heif.register_heif_opener()
    if kind == "AVIF" and ".avif" not in Image.registered_extensions():
        pytest.skip("Pillow reads AVIF since 11.3")
    file = io.BytesIO()
    paint(0, 64).image.save(file, kind)
    (found,) = served.post("/api/gaze", ("image", ("a", file.getvalue())), ("list", "tools")).json
    assert (found["image"], found["status"]) == ("a", "ok")


def test_a_kind_that_pillow_starts_a_program_for_is_not_read(served: Served) -> None:
    file = io.BytesIO()
    paint(0, 64).image.save(file, "EPS")
    reply = served.post("/api/gaze", ("image", ("a.eps", file.getvalue())), ("list", "tools"))
    assert reply.status == 400
    assert reply.error.startswith("a.eps: is not a picture that is read here")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../etc/passwd", "../../etc/passwd"),
        ("/etc/passwd", "/etc/passwd"),
        ("tinted\x1b[31m\x07.png", "tinted\ufffd[31m\ufffd.png"),
        ("a\u2028b.png", "a\ufffdb.png"),
        ("%22quoted%22.png", '"quoted".png'),
        ("<img src=x onerror=alert(1)>", "<img src=x onerror=alert(1)>"),
        ("été 絵.png", "été 絵.png"),
        ("", "picture"),
        ("  ", "picture"),
        ("a" * 500, "…" + "a" * 119),
    ],
)
def test_a_files_name_is_a_label_alone(served: Served, name: str, shown: str) -> None:
    file = io.BytesIO()
    paint(0, 64).image.save(file, "PNG")
    parts = [("image", (name, file.getvalue())), ("list", "tools")]
    (found,) = served.post("/api/gaze", *parts).json
    assert (found["image"], found["status"]) == (shown, "ok")
    reply = served.post("/api/gaze", ("image", (name, b"no picture")), ("list", "tools"))
    assert reply.error.startswith(f"{shown}: ")


def test_the_page_names_the_model_and_says_that_it_is_the_demo(served: Served) -> None:
    reply = served.get("/")
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    text = reply.body.decode("utf-8")
    assert "demo" in text
    assert "<script>" not in text
    assert "style=" not in text


def test_the_pages_files_are_those_of_the_package(served: Served) -> None:
    kinds = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
    from importlib import resources

    for file in (resources.files("clip_gaze.web") / "static").iterdir():
        reply = served.get(f"/static/{file.name}")
        assert (reply.status, reply.body) == (200, file.read_bytes())
        assert reply.headers["content-type"].split(";")[0] == kinds[file.name.split(".")[-1]]


def test_find_is_the_command_lines_bit_for_bit(served: Served, studio: Path) -> None:
    names = ["one.jpg", "two.png", "turned.jpg"]
    (studio / "scans").mkdir()
    for name in names:
        (studio / name).rename(studio / "scans" / name)
    query = ["on wood", "--like", "scans/two.png", "--not", "a boat", "--top", "2"]
    expected = told("find", *query, "scans")
    parts = [*upload(studio / "scans", *names), ("phrase", "on wood"), ("like", "1")]
    found = served.post("/api/find", *parts, ("without", "a boat"), ("top", "2")).json
    assert [f"scans/{each['image']}" for each in found["images"]] == [
        each["image"] for each in expected["images"]
    ]
    assert [e["similarity"] for e in found["images"]] == [
        e["similarity"] for e in expected["images"]
    ]
    assert [term["kind"] for term in found["query"]] == ["words", "picture", "words"]


def test_find_names_what_it_cannot_read_and_finds_the_rest(served: Served, studio: Path) -> None:
    parts = upload(studio, "one.jpg", "cut.jpg", "two.png")
    found = served.post("/api/find", *parts, ("phrase", "on wood")).json
    assert {each["image"] for each in found["images"]} == {"one.jpg", "two.png"}
    assert [each["image"] for each in found["unread"]] == ["cut.jpg"]
    for more, line in (
        ([], "phrase is missing"),
        ([("like", "3")], "like should be a picture's number, 0 to 2"),
        ([("like", "x")], "like should be"),
        ([("like", "1")], "cut.jpg"),
        ([("phrase", "on wood"), ("without", "on wood")], "cancels itself out"),
    ):
        reply = served.post("/api/find", *parts, *more)
        assert reply.status == 400
        assert line in reply.error


def test_prompt_is_the_command_lines_bit_for_bit(served: Served, studio: Path) -> None:
    lists = [word for name in SHORT for word in ("--list", name)]
    expected = told("prompt", "one.jpg", *lists, "--with", "a boat", "--style", "sd", "--free")
    parts = [
        *upload(studio, "one.jpg"),
        *[("list", name) for name in SHORT],
        ("with", "a boat"),
        ("style", "sd"),
        ("free", "true"),
    ]
    assert served.post("/api/prompt", *parts).json == expected
    events = served.stream("/api/prompt", *parts)
    assert events[0][0] == "queued"
    assert ("prompt", expected) in events
    assert events[-1] == ("done", {})
    steps = [data["done"] for name, data in events if name == "progress"]
    assert steps == sorted(steps)
    assert steps
    five = told("prompt", "one.jpg", "--without", "by ")
    assert served.post("/api/prompt", *upload(studio, "one.jpg"), ("without", "by ")).json == five
    for more, line in (
        ([("with", "a boat"), ("with", "a fish")], "with is given more than once"),
        ([("with", "boats " * 50)], "shorten"),
        ([("style", "x")], "style should be one of plain, sd"),
        ([("list", "surfaces"), ("without", "on ")], "no phrase is left"),
    ):
        reply = served.post("/api/prompt", *upload(studio, "one.jpg"), *more)
        assert reply.status == 400
        assert line in reply.error
