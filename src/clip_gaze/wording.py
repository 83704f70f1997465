"""Put figures, and what they were made with, into words for people."""

from __future__ import annotations

import math
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

TIMES = "\N{MULTIPLICATION SIGN}"
_LARGE = 1e6
CLEAR = 0.0095  # what is shown as 1.0%
NO_WINNER = "no clear winner"
_RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def made_by(model: str, variant: str, templates: Sequence[str], *, corrected: bool = False) -> str:
    """Return model, variant, templates and correction as one line of text.

    >>> made_by("demo", "fp32", ["a painting {}"], corrected=True)
    'demo, fp32, "a painting {}", corrected'
    """
    quoted = (f'"{template}"' for template in templates)
    return ", ".join([model, variant, *quoted, *(["corrected"] if corrected else [])])


def meant(name: str, known: Sequence[str], least: float = 0.6) -> str:
    """Return a question after the name that is nearest to a wrong one, or "" if none is near.

    Args:
        name: the wrong one.
        known: the right ones.
        least: how near, from 0 to 1; see `difflib.get_close_matches`.

    >>> meant("Movemnts", ["artists", "movements"])
    "did you mean 'movements'? "
    """
    import difflib  # noqa: PLC0415 - only what has gone wrong needs it

    nearest = difflib.get_close_matches(name.lower(), known, n=1, cutoff=least)
    return f"did you mean {nearest[0]!r}? " if nearest else ""


def composed(text: str) -> str:
    """Return a text with its accents as they are typed; a Mac may keep those of names apart."""
    return unicodedata.normalize("NFC", text)


def counted(count: int, what: str) -> str:
    """Return a number of things.

    >>> counted(1, "picture"), counted(2000, "picture")
    ('1 picture', '2,000 pictures')
    """
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def lasted(seconds: float) -> str:
    """Return how long something took.

    >>> [lasted(seconds) for seconds in (0.04, 12.3, 600, 9000)]
    ['0.0 s', '12 s', '10 min', '2 h 30 min']
    """
    if seconds < 99.5:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def looked_at(count: int, failed: int, seconds: float) -> str:
    """Return what a run over several pictures ends with.

    >>> looked_at(600, 2, 12.3)
    'looked at 600 pictures in 12 s; 2 failed'
    """
    behind = f"; {failed:,} failed" if failed else ""
    return f"looked at {counted(count, 'picture')} in {lasted(seconds)}{behind}"


def lacking(what: str, package: str, extra: str) -> str:
    """Return what is said where an extra of this package was not installed.

    >>> lacking("Parquet", "pyarrow", "parquet")
    'Parquet needs pyarrow; install it with: pip install ".[parquet]" in the folder of clip-gaze'
    """
    # Double quotes, which every shell takes for such.
    where = f'pip install ".[{extra}]" in the folder of clip-gaze'
    return f"{what} needs {package}; install it with: {where}"


def per_cent(log_odds: float) -> str:
    """Return the probability of log-odds as per cents, never rounded to 0% or 100%.

    >>> [per_cent(value) for value in (-9, -3.0, 0, 3.0, 9)]
    ['<0.1%', '4.7%', '50%', '95%', '>99.9%']
    """
    return rounded(50 * (1 + math.tanh(log_odds / 2)))


def rounded(share: float) -> str:
    """Return per cents as text, never rounded to 0% or 100%.

    `words.js` and `report_data.js` do the same for the page and the report.

    >>> [rounded(value) for value in (0.01, 4.74, 50.2, 99.99)]
    ['<0.1%', '4.7%', '50%', '>99.9%']
    """
    if share < 0.1:
        return "<0.1%"
    if share > 99.9:
        return ">99.9%"
    tenths = math.floor(10 * share + 0.5)  # halves go up, as browsers have it
    return f"{tenths / 10:.1f}%" if tenths < 100 or share >= 99.5 else f"{math.floor(share + 0.5)}%"


def is_clear(probability: float) -> bool:
    """Return whether the first phrase of a list wins: with 1.0% at least, as that is shown.

    `words.js` and `report_data.js` do the same.

    >>> is_clear(0.0094), is_clear(0.0095)
    (False, True)
    """
    return probability >= CLEAR


def no_winner(phrase: str, probability: float) -> str:
    """Return what is said in place of a list whose first phrase does not win.

    >>> no_winner("by hans holbein", 0.004)
    'no clear winner; the first, with 0.4%: by hans holbein'
    """
    return f"{NO_WINNER}; the first, with {rounded(100 * probability)}: {phrase}"


def factor(difference: float) -> str:
    """Return the factor by which a difference of log-odds multiplies or divides the odds.

    >>> [factor(-math.log(value))[1:] for value in (2, 38.46, 1500, 3e12)]
    ['2', '38.5', '1,500', '10¹²']
    """
    sign = TIMES if difference >= 0 else "÷"
    log10 = abs(difference) / math.log(10)
    if log10 > math.log10(_LARGE) - 1e-9:  # exp() of a large difference would overflow
        return sign + "10" + str(round(log10)).translate(_RAISED)
    value = math.exp(abs(difference))
    return sign + (f"{value:.3g}" if value < 999.5 else f"{float(f'{value:.3g}'):,.0f}")


def first_line(error: BaseException) -> str:
    r"""Return what an error of another library says, in one line.

    >>> first_line(ValueError("no such node\nat graph.cc:12")), first_line(TimeoutError())
    ('no such node', 'TimeoutError')
    """
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def megabytes(size: int) -> str:
    """Return a number of bytes as megabytes.

    >>> megabytes(1_234_567_890)
    '1,234.6 MB'
    """
    return f"{size / 1e6:,.1f} MB"
