"""Words are drawn with the font that ships, and with a system's where that lacks letters."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from PIL import ImageFont
from PIL.features import check_feature

from clip_gaze.drawing import canvas, typeface
from clip_gaze.drawing.canvas import Drawing, Words
from clip_gaze.errors import GazeError

JAPANESE = "日本の海"
ARMENIAN = "Երևան"  # DejaVu Sans has these letters, the font that ships does not
INTER = "A seascape by Paul Cézanne, łódź, Ωμέγα, Яблоко, Tượng, \u00d73 \u2212 10⁵ ÷ 2 “a” … €"


@pytest.fixture
def no_system_fonts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(typeface, "SYSTEM_FONTS", ())


def line(text: str, *, bold: bool = False) -> Drawing:
    """Return a drawing of one line of text."""
    return Drawing(600, 40, "", [Words(10, 25, text, 14, "#000", bold=bold)])


def drawn(text: str, *, bold: bool = False) -> bytes:
    """Return the pixels of a line of text."""
    return canvas.picture(line(text, bold=bold)).tobytes()


def test_the_fonts_and_their_licence_ship_beside_the_modules() -> None:
    """Where the tests run against the wheel, it is the wheel that holds them."""
    folder = Path(canvas.__file__).parent / "fonts"
    assert "SIL OPEN FONT LICENSE Version 1.1" in (folder / "OFL.txt").read_text(encoding="utf-8")
    for name, style in (("Inter-Regular.otf", "Regular"), ("Inter-Bold.otf", "Bold")):
        assert ImageFont.truetype(folder / name).getname() == ("Inter", style)
        assert (folder / name).stat().st_size <= 150_000


@pytest.mark.parametrize("bold", [False, True])
def test_what_the_shipped_font_has_is_drawn_alike_whatever_fonts_there_are(
    bold: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = drawn(INTER, bold=bold), canvas.width(INTER, 14, bold=bold)
    monkeypatch.setattr(typeface, "SYSTEM_FONTS", ())
    assert (drawn(INTER, bold=bold), canvas.width(INTER, 14, bold=bold)) == before


@pytest.mark.skipif(not check_feature("raqm"), reason="this machine cannot lay out the other way")
def test_it_is_drawn_alike_where_pillow_cannot_lay_out_complex_scripts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = drawn(INTER)
    monkeypatch.setattr(ImageFont.core, "HAVE_RAQM", False)
    typeface.shipped.cache_clear()
    assert drawn(INTER) == before


@pytest.mark.parametrize("bold", [False, True])
@pytest.mark.parametrize("letter", [*"éłđßœΩЯệ⁰¹²³⁴⁵⁶⁷⁸⁹÷—“”…€™№\u00d7\u2212\u2013\u2018\u2019"])
def test_the_shipped_font_has_letters_of_its_own(letter: str, bold: bool) -> None:
    inter = typeface.shipped(28, bold=bold)
    assert typeface.readable(letter, inter) == letter
    look = bytes(inter.getmask(letter))
    assert any(look)
    others = (typeface.NO_LETTER, *"?eldsoODQRAxX+-'\".,0123456789")
    assert look not in [bytes(inter.getmask(each)) for each in others]


def test_an_accent_may_be_a_character_of_its_own() -> None:
    assert drawn("ce\u0301zanne") == drawn("cézanne")


@pytest.mark.usefixtures("no_system_fonts")
def test_what_no_font_has_becomes_question_marks_and_one_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert drawn(f"é {JAPANESE}") == drawn("é ????")
    assert canvas.width(JAPANESE, 14) == canvas.width("????", 14)
    drawn(f"é {JAPANESE}")
    (warning,) = caplog.messages
    assert warning.startswith(f"'é {JAPANESE}' has letters that no font here has")
    assert ".svg" in warning


@pytest.mark.usefixtures("no_system_fonts")
def test_measuring_cutting_and_svg_warn_of_nothing(caplog: pytest.LogCaptureFixture) -> None:
    canvas.width(JAPANESE, 14)
    assert canvas.cut(JAPANESE, 14, 25).endswith("…")
    root = ET.fromstring(canvas.svg(line(JAPANESE)))
    assert JAPANESE in "".join(root.itertext())
    assert caplog.messages == []


@pytest.mark.usefixtures("no_system_fonts")
@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[31m\n\ud800", "a?[31m??"),
        ("zero\u200bwidth\u200d\ufeff", "zerowidth"),
        ("wide\u3000space", "wide space"),
        ("heart ♥\ufe0f", "heart ♥"),
        ("nobody's \ue000 \U000e1234", "nobody's ? ?"),
    ],
)
def test_what_nobody_sees_is_not_warned_of(
    text: str, shown: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert drawn(text) == drawn(shown)
    assert caplog.messages == []


@pytest.mark.usefixtures("no_system_fonts")
def test_a_letter_is_spelled_where_its_parts_are_there() -> None:
    assert drawn("ﬁne, 20㎡, \uff2dax") == drawn("fine, 20m2, Max")


def test_a_font_of_the_systems_draws_a_text_that_it_alone_has_letters_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The bold font stands for one that knows all letters, and another for one that knows none."""
    wide, narrow = typeface.shipped(28, bold=True), typeface.shipped(30, bold=True)
    monkeypatch.setattr(typeface, "SYSTEM_FONTS", ("missing", "narrow", "wide"))
    monkeypatch.setattr(
        typeface, "installed", lambda name, _: {"narrow": narrow, "wide": wide}.get(name)
    )
    has = typeface.has
    monkeypatch.setattr(typeface, "has", lambda font, letter: font is wide or has(font, letter))
    assert typeface.font_for(JAPANESE, 28, bold=False) is wide
    assert typeface.readable(JAPANESE, wide) == JAPANESE
    assert canvas.width(JAPANESE, 14) == wide.getlength(JAPANESE) / canvas.SCALE
    assert drawn(JAPANESE) != drawn("????")
    assert typeface.font_for("a seascape", 28, bold=False) is typeface.shipped(28, bold=False)
    assert caplog.messages == []


@pytest.mark.skipif(typeface.installed("DejaVuSans.ttf", 28) is None, reason="needs DejaVu Sans")
def test_dejavu_sans_draws_armenian(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(typeface, "SYSTEM_FONTS", ("DejaVuSans.ttf",))
    assert typeface.font_for(ARMENIAN, 28, bold=False).getname()[0] == "DejaVu Sans"
    assert drawn(ARMENIAN) != drawn("?????")
    assert canvas.cut(ARMENIAN, 14, canvas.width(ARMENIAN, 14)) == ARMENIAN
    assert caplog.messages == []


@pytest.mark.parametrize("name", ["a.webp", "a.jpg"])
def test_a_drawing_that_is_too_long_for_its_format_is_one_line(tmp_path: Path, name: str) -> None:
    drawing = Drawing(10, 40_000, "white", ())
    with pytest.raises(GazeError, match=r"80,000 pixels are more than \w+ can have"):
        canvas.write(drawing, tmp_path / name)
    assert list(tmp_path.iterdir()) == []
