"""Bad requests get one clear line and the right status; nothing of them reaches the model."""

from __future__ import annotations

import io
import struct
import zlib
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from demo.painter import paint
from serving import BOUNDARY, Served, form, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

KIND = f'multipart/form-data; boundary="{BOUNDARY}"'
PIXELS = 200 * 200


def encoded(kind: str, edge: int = 64) -> bytes:
    file = io.BytesIO()
    paint(0, edge).image.save(file, kind)
    return file.getvalue()


def bomb(edge: int) -> bytes:
    """Return a PNG that says it is large, and has no pixels at all."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    size = struct.pack(">IIBBBBB", edge, edge, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


JPEG = encoded("JPEG")
IMAGE = ("image", ("a.jpg", JPEG))
SURFACES = ("list", "surfaces")


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving(max_megapixels=PIXELS / 1e6) as server:
        yield server


BAD: list[tuple[str, list[Any], int, str]] = [
    ("gaze", [SURFACES], 400, "image is missing; add a picture file"),
    ("gaze", [("image", "text")], 400, "'image' should be a file"),
    ("gaze", [("image", ("a.jpg", b"")), SURFACES], 400, "a.jpg: is not a picture that is read"),
    ("gaze", [("image", ("a.jpg", b"text")), SURFACES], 400, "a.jpg: is not a picture that is"),
    ("gaze", [("image", ("a.jpg", JPEG[:800])), SURFACES], 400, "a.jpg: the picture is damaged"),
    ("gaze", [("image", ("a.png", bomb(201))), SURFACES], 413, "a.png: has more than 0.04 million"),
    ("gaze", [("image", ("a.png", bomb(9))), SURFACES], 400, "a.png: the picture is damaged or"),
    ("gaze", [IMAGE] * 21, 413, "at most 20 pictures go into one form"),
    ("gaze", [IMAGE, ("list", "surface")], 400, "no phrase list is called 'surface'; did you mean"),
    ("gaze", [IMAGE, ("list", "../surfaces")], 400, "no phrase list is called '../surfaces'"),
    ("gaze", [IMAGE, ("list", "")], 400, "no phrase list is called ''"),
    ("gaze", [IMAGE, ("list", "a\nb\x1b")], 400, "no phrase list is called 'a\\nb\\x1b'"),
    ("gaze", [IMAGE, ("phrase", "")], 400, "phrase is blank; write a phrase"),
    ("gaze", [IMAGE, ("phrase", " \n ")], 400, "phrase is blank; write a phrase"),
    ("gaze", [IMAGE, ("phrase", "a" * 301)], 413, "phrase is too long; at most 300 letters"),
    ("gaze", [IMAGE, ("phrase", "a" * 3000)], 413, "'phrase' is too long"),
    ("gaze", [IMAGE, *[("phrase", "a")] * 2001], 413, "too many phrases; send at most 2,000"),
    ("gaze", [IMAGE, *[("list", "sites")] * 2300], 413, "a form has at most 2,200 parts"),
    ("gaze", [IMAGE, ("top", "-1")], 400, "top should be a whole number, 0 for all phrases"),
    ("gaze", [IMAGE, ("top", "x")], 400, "top should be a whole number"),
    ("gaze", [IMAGE, ("top", "")], 400, "top should be a whole number"),
    ("gaze", [IMAGE, ("top", "1.5")], 400, "top should be a whole number"),
    ("gaze", [IMAGE, ("top", "²")], 400, "top should be a whole number"),
    ("gaze", [IMAGE, ("top", "9" * 5000)], 413, "'top' is too long"),
    ("gaze", [IMAGE, ("top", "9" * 500)], 400, "top should be a whole number"),
    ("gaze", [IMAGE, ("top", "1"), ("top", "1")], 400, "top is given more than once"),
    ("gaze", [IMAGE, ("corrected", "maybe")], 400, "corrected should be one of true, false"),
    ("gaze", [IMAGE, ("colour", "red")], 400, "'colour' should be one of list, phrase, top"),
    ("gaze", [IMAGE, ("file", ("a.jpg", JPEG))], 400, "'file' has a file; pictures are called"),
    ("gaze", [IMAGE, ("list", ("a.txt", b"x"))], 400, "'list' has a file; pictures are called"),
    ("see", [("phrase", "on canvas")], 400, "image is missing; add a picture file"),
    ("see", [IMAGE], 400, "phrase is missing; say what to look for in the picture"),
    ("see", [IMAGE, ("phrase", " ")], 400, "phrase is blank; write a phrase"),
    ("see", [IMAGE, IMAGE, ("phrase", "a")], 413, "one picture is looked at at once; here"),
    ("see", [IMAGE, *[("phrase", f"a{n}") for n in range(9)]], 400, "at most 8 phrases are looked"),
    (
        "see",
        [IMAGE, ("phrase", "a"), ("overlay", "1")],
        400,
        "overlay should be one of true, false",
    ),
    ("see", [IMAGE, ("phrase", "a"), ("quality", "x")], 400, "quality should be one of quick,"),
    ("see", [IMAGE, ("phrase", "a"), ("list", "x")], 400, "no phrase list is called 'x'"),
    ("see", [IMAGE, ("phrase", "a"), SURFACES, SURFACES], 400, "list is given more than once"),
    ("see", [IMAGE, ("phrase", "a"), SURFACES, ("against", "b")], 400, "list and against exclude"),
    ("see", [IMAGE, ("phrase", "a"), ("against", "a")], 400, "'a' has nothing to be weighed"),
    ("see", [IMAGE, ("phrase", "a"), ("against", "")], 400, "against is blank; write a phrase"),
    ("see", [IMAGE, ("phrase", "a"), ("top", "1")], 400, "'top' should be one of phrase, list,"),
    ("see", [("image", ("a", b"x")), ("phrase", "a")], 400, "a: is not a picture that is read"),
    ("compare", [IMAGE, SURFACES], 400, "2 pictures or more are wanted, not 1"),
    ("compare", [SURFACES], 400, "2 pictures or more are wanted, not 0"),
    ("compare", [IMAGE] * 7, 413, "at most 6 pictures are looked at at once"),
    ("compare", [IMAGE, IMAGE, ("phrase", "a")], 400, "a phrase needs others to be compared with"),
    ("compare", [IMAGE, ("image", ("b", b"x")), SURFACES], 400, "b: is not a picture that is read"),
    ("compare", [IMAGE, IMAGE, ("corrected", "true")], 400, "'corrected' should be one of list,"),
    ("card", [SURFACES], 400, "image is missing; add a picture file"),
    ("card", [IMAGE, IMAGE], 413, "one picture is looked at at once; here"),
    ("card", [IMAGE, ("see", "")], 400, "see is blank; write a phrase"),
    ("card", [IMAGE, ("see", "a"), ("see", "b")], 400, "see is given more than once"),
    ("card", [IMAGE, ("see_list", "tools")], 400, "see_list goes with see"),
    ("card", [IMAGE, ("see_quality", "fine")], 400, "see_quality goes with see"),
    ("card", [IMAGE, ("see", "a"), ("see_quality", "b")], 400, "see_quality should be one of"),
    ("card", [IMAGE, ("see", "a"), ("see_list", "b")], 400, "no phrase list is called 'b'"),
    ("card", [IMAGE, ("see", "a"), *2 * [("see_list", "tools")]], 400, "see_list is given more"),
    ("card", [IMAGE, ("top", "-1")], 400, "top should be a whole number"),
    ("card", [IMAGE, ("top", "0")], 400, "top should be a whole number, 1 to 20 on a card"),
    ("card", [IMAGE, ("top", "21")], 400, "top should be a whole number, 1 to 20 on a card"),
    ("card", [IMAGE, ("top", "1000")], 400, "top should be a whole number, 1 to 20 on a card"),
    ("card", [("image", ("a", b"x")), SURFACES], 400, "a: is not a picture that is read"),
]


@pytest.mark.parametrize(
    ("what", "parts", "status", "line"), BAD, ids=[f"{each[0]}-{each[3][:40]}" for each in BAD]
)
def test_a_bad_question_gets_one_clear_line(
    served: Served, what: str, parts: list[Any], status: int, line: str
) -> None:
    reply = served.post(f"/api/{what}", *parts)
    assert reply.error.startswith(line)
    assert reply.status == status


@pytest.mark.parametrize("kind", [None, "", "text/plain", "application/json", "image/jpeg"])
@pytest.mark.parametrize("what", ["gaze", "see", "compare", "card"])
def test_what_is_no_form_is_refused(served: Served, what: str, kind: str | None) -> None:
    reply = served.ask("POST", f"/api/{what}", b"{}", content_type=kind)
    assert (reply.status, reply.error) == (
        415,
        "send the picture as a form: multipart/form-data with a boundary",
    )


WHOLE = form(IMAGE, SURFACES)


@pytest.mark.parametrize(
    ("kind", "body", "status", "line"),
    [
        ("multipart/form-data", WHOLE, 415, "send the picture as a form"),
        ("multipart/form-data; boundary=", WHOLE, 415, "send the picture as a form"),
        (f"multipart/mixed; boundary={BOUNDARY}", WHOLE, 415, "send the picture as a form"),
        ("multipart/form-data; boundary=other", WHOLE, 400, "the form is malformed"),
        (f"multipart/form-data; boundary={'a' * 5000}", WHOLE, 400, "the form is malformed"),
        (KIND, b"", 400, "the form is cut short: its last boundary is missing"),
        (KIND, WHOLE[:-10], 400, "the form is cut short"),
        (KIND, b"no form at all", 400, "the form is malformed"),
        (KIND, WHOLE.replace(b"Content-Disposition", b"X"), 400, "a part of the form has no name"),
        (KIND, WHOLE.replace(b"name=", b"title="), 400, "a part of the form has no name"),
        (KIND, WHOLE.replace(b"surfaces", b"surf\xffaces"), 400, "'list' is not UTF-8 text"),
        (KIND, WHOLE.replace(b'"list"', b'"li\xffst"'), 400, "a name is not UTF-8 text"),
        (KIND, WHOLE.replace(b"surfaces", b"surf\0aces"), 400, "no phrase list is called 'surf\\"),
        (KIND, WHOLE.replace(b'"list"', b'"list"' + b"; x=y" * 5000), 400, "the form is mal"),
        (KIND, WHOLE.replace(b'"list"', b'"list"' + b"\r\nX-A: b" * 50), 400, "the form is mal"),
    ],
)  # fmt: skip
def test_a_malformed_form_is_refused(
    served: Served, kind: str, body: bytes, status: int, line: str
) -> None:
    reply = served.ask("POST", "/api/gaze", body, content_type=kind)
    assert reply.error.startswith(line)
    assert reply.status == status


def test_among_good_pictures_a_bad_one_is_a_result(served: Served) -> None:
    large = ("image", ("large.png", bomb(5000)))
    found = served.post("/api/gaze", IMAGE, large, SURFACES).json
    assert [each["status"] for each in found] == ["ok", "error"]
    assert found[1]["error"].startswith("large.png: has more than 0.04 million pixels")


def test_a_field_that_is_a_file_without_a_name_is_a_file(served: Served) -> None:
    (found,) = served.post("/api/gaze", ("image", ("", JPEG)), SURFACES).json
    assert found["image"] == "picture"


@given(body=st.binary(max_size=300), cut=st.integers(0, len(WHOLE)), at=st.integers(0, 300))
@settings(deadline=None, max_examples=100, suppress_health_check=list(HealthCheck))
def test_whatever_stands_in_a_form_the_answer_is_one_line_or_a_result(
    served: Served, body: bytes, cut: int, at: int
) -> None:
    for wild in (body, WHOLE[:cut] + body, WHOLE[:at] + body + WHOLE[at:]):
        reply = served.ask("POST", "/api/gaze", wild, content_type=KIND)
        if reply.status == 200:
            assert reply.json[0]["status"] == "ok"
        else:
            assert reply.status in (400, 413)
            assert reply.error
