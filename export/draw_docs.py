"""Draw the pictures in docs/ that show answers of the demo model.

    python export/draw_docs.py [DOCS]

The command of its page makes each of them, of pictures that are painted here. Pages are
photographed with playwright and the Chromium of this machine.
"""

from __future__ import annotations

import contextlib
import html
import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click
from PIL import Image, ImageOps
from playwright.sync_api import sync_playwright

import command
from clip_gaze import Clip
from clip_gaze.drawing import canvas, card
from clip_gaze.pictures import neutral
from clip_gaze.system.paths import shipped
from clip_gaze.texts import phrases
from demo.painter import paint

if TYPE_CHECKING:
    from playwright.sync_api import Browser

FIRST_SEED = 30_000_000
PAINTED_SIZE = 640
ONE, TWO, PAINTING, CORRECTED = 7, 10, 10, 81
NEUTRAL_EDGE = 62
STUDIO = range(100, 220)
WORDS = ["boat", "chapel", "cliff", "garden", "harbour", "heath", "meadow", "mill", "orchard",
         "pond", "quarry", "river", "road", "sister", "storm", "valley", "window"]  # fmt: skip
RUN = [sys.executable, "-m", "clip_gaze"]
DEMO = str(shipped("models") / "demo" / "demo.jpg")

DRAWN = {
    "see.png": ["see", DEMO, "a seascape", "pop art movement", "--edge", "440"],
    "templates.png": ["see", DEMO, "a seascape", "--edge", "440", "--template",
                      "oil paint medium, {}", "--template", "{}, on canvas"],
    "compare.svg": ["compare", "one.jpg", "two.jpg", "--list", "movements", "--list",
                    "photography", "--top", "4"],
    "compare_edits.svg": ["compare", "painting.jpg", "--edits", "--list", "photography",
                          "--top", "3"],
}  # fmt: skip


@click.command(help=__doc__)
@click.argument("docs", type=click.Path(exists=True, file_okay=False), default="docs")
def main(docs: str) -> None:
    """Paint, run the commands, and photograph their pages."""
    folder = Path(docs).absolute()
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        raise click.ClickException("there is no Chromium; install it from your system's packages")
    names = {"one.jpg": ONE, "two.jpg": TWO, "painting.jpg": PAINTING}
    with (
        tempfile.TemporaryDirectory() as scratch,
        contextlib.ExitStack() as leaving,
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=program) as browser,
    ):
        leaving.callback(os.chdir, Path.cwd())
        os.chdir(scratch)
        for name, seed in names.items():
            paint(FIRST_SEED + seed, PAINTED_SIZE).image.save(name, quality=92)
        for name, words in DRAWN.items():
            _run(*words, "-o", str(folder / name))
            click.echo(name)
        _draw_neutral(folder / "neutral.png")
        _draw_corrected(folder / "corrected.png")
        _photograph_terminal(browser, folder / "terminal.png")
        _photograph_report(browser, folder / "report.png")
        _photograph_page(browser, folder / "serve.png")


def _run(*words: str) -> None:
    words = (*RUN, *words, "--model", "demo")
    if subprocess.run(words, check=False, stdout=subprocess.DEVNULL).returncode:  # noqa: S603 - this package
        raise click.ClickException("a command failed, as stands above")


def _draw_neutral(out: Path) -> None:
    """Draw the neutral pictures in rows, on one sheet."""
    step, columns, margin = NEUTRAL_EDGE + 6, 12, 6
    rows = -(-neutral.COUNT // columns)
    sheet = Image.new("RGB", (columns * step + margin, rows * step + margin), "#fafafa")
    for at, picture in enumerate(neutral.pictures()):
        small = picture.resize((NEUTRAL_EDGE, NEUTRAL_EDGE), Image.Resampling.BOX)
        sheet.paste(small, (margin + at % columns * step, margin + at // columns * step))
    sheet.save(out, optimize=True)
    click.echo(out.name)


def _draw_corrected(out: Path) -> None:
    """Draw the card that the page saves of a picture, with plain and corrected figures."""
    paint(FIRST_SEED + CORRECTED, PAINTED_SIZE).image.save("corrected.jpg", quality=92)
    lists = {name: phrases.load(name) for name in ("genres", "photography")}
    with Clip("demo", store=False) as clip:
        (result,) = clip.gaze_many(["corrected.jpg"], lists, 5, corrected=True)
    with Image.open("corrected.jpg") as image:
        canvas.write(card.draw(image, result), out)
    click.echo(out.name)


def _photograph_terminal(browser: Browser, out: Path) -> None:
    """Photograph what a terminal of 72 columns shows of a picture; needs a system with ptys."""
    import pty  # noqa: PLC0415 - not on Windows

    words = ["gaze", "painting.jpg", "-l", "movements,surfaces,painting_materials", "--top", "3"]
    screen, end = pty.openpty()
    environment = os.environ | {"COLUMNS": "72", "TERM": "xterm", "PYTHONIOENCODING": "utf-8"}
    subprocess.run(  # noqa: S603 - as above
        [*RUN, *words, "--model", "demo"], stdout=end, stderr=subprocess.DEVNULL, check=True,
        env=environment,
    )  # fmt: skip
    os.close(end)
    shown = b""
    with contextlib.suppress(OSError):  # how Linux says that there is no more
        while piece := os.read(screen, 4096):
            shown += piece
    os.close(screen)
    text = html.escape(shown.decode().replace("\r", ""))
    for code, tag in (("1", "<b>"), ("2", "<i>"), ("0", "</i></b>")):
        text = text.replace(f"\x1b[{code}m", tag)
    page = browser.new_page(viewport={"width": 780, "height": 400}, device_scale_factor=2)
    page.set_content(
        "<style>body{margin:0;background:#1c1d20}pre{margin:0;padding:22px 26px;color:#d8d8d4;"
        "font:15px/1.45 'DejaVu Sans Mono',monospace}b{color:#fff}i{font-style:normal;"
        f"color:#9a9a96}}</style><pre>$ clip-gaze {' '.join(words)}\n\n{text.rstrip()}</pre>"
    )
    page.locator("pre").screenshot(path=out)
    click.echo(out.name)


def _photograph_report(browser: Browser, out: Path) -> None:
    """Photograph a report of painted pictures, ranked by "tonalism movement"."""
    studio = Path("studio")
    studio.mkdir()
    draw = random.Random(FIRST_SEED)  # noqa: S311 - names of pictures
    for seed in STUDIO:
        name = f"{draw.randint(1865, 1925)}-{'-'.join(draw.sample(WORDS, 2))}-{seed}.jpg"
        shape = (draw.randint(240, 320), draw.randint(240, 320))
        image = paint(FIRST_SEED + seed, max(shape)).image
        ImageOps.fit(image, shape).save(studio / name, quality=92)
    (studio / "torn.jpg").write_bytes(b"")
    lists = ["movements", "surfaces", "genres", "painting_materials"]
    options = [word for name in lists for word in ("--list", name)]
    title = ("--title", "Pictures from the studio")
    command = [*RUN, "report", str(studio), *options, *title, "-o", "report.html"]
    subprocess.run([*command, "--model", "demo"], check=False)  # noqa: S603 - one picture is torn
    page = browser.new_page(viewport={"width": 1200, "height": 760})
    page.goto(Path("report.html").absolute().as_uri())
    page.get_by_label("Find a phrase").fill("tonalism")
    page.get_by_role("option", name="tonalism movement").first.click()
    page.get_by_label("Contact sheet").check(force=True)
    page.get_by_role("heading", level=1).click()  # leaves the search
    page.screenshot(path=out)
    click.echo(out.name)


def _photograph_page(browser: Browser, out: Path) -> None:
    """Photograph the served page with the heat map of a boat."""
    command = [*RUN, "serve", "--model", "demo", "--port", "0", "--no-open"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603 - as above
    try:
        assert server.stdout is not None  # noqa: S101 - it is a pipe
        page = browser.new_page(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
        page.goto(server.stdout.readline().split()[-1])
        pictures = [DEMO, *map(str, sorted(Path("studio").glob("*-1*.jpg"))[:5])]
        page.locator("input[type=file]").set_input_files(pictures)
        page.get_by_text("Ask about").click()
        for name in ("artists_by_training_prevalence", "surfaces", "genres", "painting_materials"):
            page.locator(f"#lists label[title={name}]").click()
        page.get_by_text("Ask about").click()
        page.locator("#save-json:enabled").wait_for(state="attached")
        page.locator(".row").filter(has_text="a seascape").click()
        page.locator("#map").wait_for()
        page.screenshot(path=out)
    finally:
        server.terminate()
        server.wait()
    click.echo(out.name)


if __name__ == "__main__":
    command.run(main)
