"""Numbers as words and signs: never bare, never more digits than the spread allows."""

from __future__ import annotations

import math
from datetime import datetime

from markupsafe import Markup, escape

from nakami.results import Estimate

NBSP, MINUS = "\u00a0", "\u2212"
WORDS = [
    "no",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
]
ORDINALS = [
    "first",
    "second",
    "third",
    "fourth",
    "fifth",
    "sixth",
    "seventh",
    "eighth",
    "ninth",
    "tenth",
    "eleventh",
    "twelfth",
]
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(x: float, digits: int = 3) -> Markup:
    """A single number with ``digits`` significant digits; 10 with a raised exponent when tiny."""
    mantissa, power = _scientific(x, digits)
    return _power(mantissa, power) if power else Markup(mantissa)


def plain(x: float, digits: int = 3) -> str:
    """As ``number``, without markup (for descriptions and alternative texts)."""
    mantissa, power = _scientific(x, digits)
    return f"{mantissa}{NBSP}×{NBSP}10{str(power).translate(_RAISED)}" if power else mantissa


def pair(mean: float, spread: float, kind: str = "", sign: bool = False) -> Markup:
    """``mean ± spread kind``: spread with two digits, mean to the same place."""
    head, tail = split(mean, spread, sign)
    return head + (Markup(NBSP) + tail if tail else "") + (f"{NBSP}{kind}" if kind and tail else "")


def split(mean: float, spread: float, sign: bool = False) -> tuple[Markup, Markup]:
    """The two halves of ``pair``: the mean, and ``± spread`` (empty if there is none)."""
    plus = "+" if sign and mean > 0 else ""
    if not math.isfinite(spread) or (spread == 0 and mean == 0):
        return Markup(plus) + number(mean), Markup("")
    size = max(abs(mean), spread)
    if size < 1e-3:
        power = math.floor(math.log10(size))
        head, tail = (fixed(v / 10.0**power, 1) for v in (mean, spread))
        return Markup(f"{plus}{head}"), _power(f"±{NBSP}{tail}", power)
    even = 0 if float(mean).is_integer() else _places(mean, 3)
    places = _places(spread, 2) if spread > 0 else even
    places = min(places, max(_places(mean, 6), 0)) if mean else places
    return Markup(plus + fixed(mean, places)), Markup(f"±{NBSP}{fixed(spread, places)}")


def estimate(e: Estimate, kind: str = "") -> Markup:
    """An ``Estimate`` as ``mean ± sd``, with "at least" in front of a lower bound."""
    text = pair(e.mean, e.sd, kind)
    return Markup(f"at least{NBSP}") + text if e.lower_bound else text


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


def ordinal(n: int) -> str:
    """``1st``, ``2nd``, ``11th``, ..."""
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
    return f"{x:.3g}" if x >= 1e-3 else plain(x)


def tally(mean: float) -> str:
    """A mean count in figures, ``11.3``, without closing zeros: ``6.5``."""
    text = plain(mean)
    return text.rstrip("0").rstrip(".") if "." in text and NBSP not in text else text


def nth(n: int) -> str:
    """``third``, then from thirteen on ``13th``."""
    return ORDINALS[n - 1] if n <= len(ORDINALS) else ordinal(n)


def listing(parts: list[str], last: str = "and") -> str:
    """``a, b and c``."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} {last} {parts[-1]}"


def short(text: str, limit: int = 24) -> str:
    """A long name with its middle left out."""
    half = (limit - 1) // 2
    return text if len(text) <= limit else f"{text[:half]}…{text[-half:]}"


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


def kept_together(x: object) -> object:
    """Texts with no line end beside ±."""
    return x.replace(" ±", f"{NBSP}±").replace("± ", f"±{NBSP}") if isinstance(x, str) else x


def unbroken(text: str) -> Markup:
    """Text whose short words with a hyphen stay on one line."""
    words = [
        Markup('<span class="nb">{}</span>').format(w) if "-" in w and len(w) < 24 else escape(w)
        for w in text.split(" ")
    ]
    return Markup(" ").join(words)


def joined(*parts: str | Markup) -> Markup:
    """Parts put together, each escaped unless it is markup already."""
    return Markup("").join(escape(p) for p in parts)


def _scientific(x: float, digits: int) -> tuple[str, int]:
    if float(x).is_integer() and abs(x) < 1e7:
        return whole(x), 0
    if 1e-3 <= abs(x) < 1e7:
        return fixed(x, _places(x, digits)), 0
    power = math.floor(math.log10(abs(x)))
    return fixed(x / 10.0**power, min(digits, 2) - 1), power


def _places(x: float, digits: int) -> int:
    return max(0, digits - 1 - math.floor(math.log10(abs(x)))) if x else 0


def _power(mantissa: str, power: int) -> Markup:
    raised = str(power).replace("-", MINUS)
    return Markup(f"{mantissa}{NBSP}×{NBSP}10<sup>{raised}</sup>")
