"""Numbers as words and signs: never bare, never more digits than the spread allows.

Plain text throughout; the page raises the exponent of a power of ten.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import datetime

from nakami.results import Estimate, span

NBSP, MINUS = "\u00a0", "\u2212"
WORDS = (
    "no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
    "twelve",
)  # fmt: skip
ORDINALS = (
    "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth",
    "eleventh", "twelfth",
)  # fmt: skip
_WORD = re.compile(r"[^\s._/:-]*[\s._/:-]+|[^\s._/:-]+")
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(x: float, digits: int = 3) -> str:
    """A number with ``digits`` significant digits; 10 with a raised exponent when tiny."""
    if not math.isfinite(x):
        return "not finite"
    if float(x).is_integer() and abs(x) < 1e7:
        return whole(x)
    near = float(f"{x:.{digits}g}")
    if 1e-3 <= abs(near) < 1e7:
        return fixed(x, _places(near, digits))
    x = float(f"{x:.{min(digits, 2)}g}")  # 9.98e-6 is 1.0e-5, not 10.0e-6
    exponent = math.floor(math.log10(abs(x)) + 1e-9)
    return _times(fixed(_mantissa(x, exponent), min(digits, 2) - 1), exponent)


def known(x: float, digits: int = 3) -> str:
    """A number of a table; nothing where it is not known."""
    return number(x, digits) if math.isfinite(x) else ""


def pair(mean: float, spread: float, kind: str = "", sign: bool = False) -> str:
    """``mean ± spread kind``: spread with two digits, mean to the same place."""
    head, tail = split(mean, spread, sign)
    return NBSP.join(part for part in (head, tail, tail and kind) if part)


def split(mean: float, spread: float, sign: bool = False) -> tuple[str, str]:
    """The two halves of ``pair``: the mean, and ``± spread`` (empty if there is none)."""
    plus = "+" if sign and mean > 0 else ""
    if not math.isfinite(spread) or (spread == 0 and mean == 0):
        return plus + number(mean), ""
    size = max(abs(mean), spread)
    if size < 1e-3:
        exponent = math.floor(math.log10(size))
        mean, spread = _mantissa(mean, exponent), _mantissa(spread, exponent)
        places = max(1, min(_places(spread, 2), 5)) if spread > 0 else 1
        head, tail = fixed(mean, places), fixed(spread, places)
        return plus + head, _times(f"±{NBSP}{tail}", exponent)
    even = 0 if float(mean).is_integer() else _places(mean, 3)
    places = _places(spread, 2) if spread > 0 else even
    places = min(places, max(_places(mean, 6), 0)) if mean else places
    # "± 0.000000" would be untrue; what double precision rounds away is none
    if 1e-12 * abs(mean) < spread < 0.5 * 10.0**-places:
        return plus + fixed(mean, places), f"±{NBSP}{number(spread, 1)}"
    return plus + fixed(mean, places), f"±{NBSP}{fixed(spread, places)}"


def estimate(e: Estimate, kind: str = "") -> str:
    """An ``Estimate`` as ``mean ± sd``, with "at least" in front of a lower bound.

    One with an ``interval`` as ``low to high``, and ``± sd``.
    """
    if e.interval is not None:
        spread = split(e.mean, e.sd)[1]
        return NBSP.join(filter(None, (span(*e.interval), spread, spread and kind)))
    return f"{f'at least{NBSP}' if e.lower_bound else ''}{pair(e.mean, e.sd, kind)}"


def tallied(e: Estimate) -> str:
    """A mean count: ``11.3``; an estimate as ``about 12,900 (12,300 to 13,500)``.

    Of ends that are further apart than 1 to 2 no middle is told: ``between 900 and 2,400``.
    """
    if e.interval is None:
        return tally(e.mean)
    low, high = e.interval
    if high > 2 * low:
        return f"between {span(low, high).replace(' to ', ' and ')}"
    return f"about {rounded(e.mean, low, high)} ({span(low, high)})"


def rounded(mean: float, low: float, high: float) -> str:
    """A number to the digits that an interval of it shows, two of the distance of its ends."""
    unit = 10.0 ** (math.floor(math.log10(high - low)) - 1)
    return fixed(round(mean / unit) * unit, max(0, -round(math.log10(unit))))


def fixed(x: float, places: int) -> str:
    """A number with a fixed number of places, commas for thousands and a real minus sign."""
    text = f"{round(x, places):,.{max(0, places)}f}"
    return text.replace("-", "" if float(text.replace(",", "")) == 0 else MINUS)


def whole(x: float) -> str:
    """A whole number with commas for thousands."""
    return fixed(x, 0)


def spelled(n: int) -> str:
    """A whole number as a word up to twelve, then in figures."""
    return WORDS[n] if 0 <= n < len(WORDS) else whole(n)


def nth(n: int) -> str:
    """``third``, then from thirteen on ``13th``, ``21st``."""
    if n <= len(ORDINALS):
        return ORDINALS[n - 1]
    end = "th" if n % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"{whole(n)}{end}"


def about(mean: float) -> str:
    """A mean count in words: ``six``, ``about eleven``, or ``6.5`` where no whole number is near.

    No mean of 6.5 is called six.
    """
    n = round(mean)
    if mean == n:
        return spelled(n)
    return fixed(mean, 1) if mean < 10 and abs(mean - n) > 0.25 else f"about {spelled(n)}"


def power(x: float) -> str:
    """An end of an axis: ``0.001``, ``10⁻⁴``, ``0.0213``."""
    exponent = math.log10(x)
    if x < 1e-3 and abs(exponent - round(exponent)) < 1e-9:
        return f"10{str(round(exponent)).translate(_RAISED)}"
    return f"{x:.3g}" if x >= 1e-3 else number(x)


def tally(mean: float) -> str:
    """A mean count in figures, ``11.3``, without closing zeros: ``6.5``."""
    text = number(mean)
    return text.rstrip("0").rstrip(".") if "." in text and NBSP not in text else text


def ends(low: float, high: float) -> str:
    """Both ends of an interval with their signs: ``−310 to +420``."""
    pair = span(low, high).split(" to ")
    signed = (f"+{x}" if float(x.replace(",", "")) > 0 else x.replace("-", MINUS) for x in pair)
    return " to ".join(signed)


def listing(parts: Sequence[str]) -> str:
    """``a, b and c``."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def between(low: float, high: float) -> str:
    """``0.1 to 0.3``, or one number where both print alike."""
    return " to ".join(dict.fromkeys((number(low), number(high))))


def short(text: str, limit: int = 24) -> str:
    """A long name with its middle left out, between its words where they fill half the room.

    Words end in a space or one of ``. _ - / :``. The last and the first stay if they fit, then as
    many more of the end as fit, where layers tell their numbers.
    """
    if len(text) <= limit:
        return text
    words, head, tail, more = _WORD.findall(text), 0, 0, True
    while more:
        steps = [(head + 1, tail), (head, tail + 1)]
        order = steps if tail and not head else steps[::-1]
        fits = [ends for ends in order if len(_joined(words, *ends)) <= limit]
        more = bool(fits)
        head, tail = fits[0] if more else (head, tail)
    joined, half = _joined(words, head, tail), (limit - 1) // 2
    return joined if len(joined) > limit / 2 else f"{text[:half]}…{text[-half:]}"


def _joined(words: Sequence[str], head: int, tail: int) -> str:
    """So many words of the start and of the end."""
    return "".join((*words[:head], "…", *words[len(words) - tail :]))


def unique(names: Sequence[str]) -> list[str]:
    """Names with a number behind those that shortening made alike."""
    return [f"{n} ({i + 1})" if list(names).count(n) > 1 else n for i, n in enumerate(names)]


def date(iso: str) -> str:
    """``2026-11-20T...`` as ``20 November 2026``; other texts unchanged."""
    try:
        day = datetime.fromisoformat(iso)
    except ValueError:
        return iso
    return f"{day.day} {day:%B %Y}"


def seconds(s: float) -> str:
    """A duration in words."""
    if s < 90:
        return f"{fixed(s, 0 if s >= 10 else 1)}{NBSP}s"
    return f"{whole(s / 60)}{NBSP}min" if s < 5400 else f"{fixed(s / 3600, 1)}{NBSP}h"


def _places(x: float, digits: int) -> int:
    return max(0, digits - 1 - math.floor(math.log10(abs(x)))) if x else 0


def _mantissa(x: float, exponent: int) -> float:
    """``x / 10^exponent``, also where that power is none, or has lost digits, as a float."""
    return x * 1e100 / 10.0 ** (exponent + 100) if exponent < -300 else x / 10.0**exponent


def _times(mantissa: str, exponent: int) -> str:
    return f"{mantissa}{NBSP}×{NBSP}10{str(exponent).translate(_RAISED)}"
