"""Numbers as the page prints them."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest

from nakami.report.page._html import rich
from nakami.report.words import _numbers as num

NB = num.NBSP


@pytest.mark.parametrize(
    ("mean", "spread", "shown"),
    [
        (11.31, 2.75, f"11.3{NB}±{NB}2.8"),
        (61.4, 14.06, f"61{NB}±{NB}14"),
        (-2.125, 0.69, f"−2.12{NB}±{NB}0.69"),
        (1815.2, 113.0, f"1,815{NB}±{NB}113"),
        (0.0, 0.0, "0"),
        (2.0, math.nan, "2"),
        (7.06e-5, 2.3e-5, f"7.1{NB}±{NB}2.3{NB}×{NB}10⁻⁵"),
        (100.2213, 1e-14, f"100.221{NB}±{NB}0.000"),
    ],
)
def test_the_mean_stops_where_the_spread_stops(mean, spread, shown):
    assert num.pair(mean, spread) == shown


def test_a_sign_is_a_real_sign():
    assert num.pair(2.125, 0.69, "s.e.", sign=True) == f"+2.12{NB}±{NB}0.69{NB}s.e."
    assert num.number(-0.5) == "−0.500"
    assert num.fixed(-0.004, 2) == "0.00"


def test_plain_numbers_hold_no_markup():
    assert num.number(3.24e-6) == f"3.2{NB}×{NB}10⁻⁶"
    assert num.number(0.0123) == "0.0123"
    assert num.number(9.98e-4, 2) == "0.0010"
    assert num.number(9.98e-6) == f"1.0{NB}×{NB}10⁻⁵"
    assert num.number(150528.0) == "150,528"


def test_what_is_not_finite_is_said():
    assert [num.number(x) for x in (math.inf, -math.inf, math.nan)] == ["not finite"] * 3


def test_words():
    assert [num.spelled(n) for n in (1, 12, 13, 1200)] == ["one", "twelve", "13", "1,200"]
    assert [num.nth(n) for n in (1, 2, 12, 13, 21, 112, 300)] == [
        "first", "second", "twelfth", "13th", "21st", "112th", "300th",
    ]  # fmt: skip
    assert num.listing(["a", "b", "c"]) == "a, b and c"
    assert num.date("2026-11-20T10:00:00+00:00") == "20 November 2026"


@pytest.mark.parametrize(
    ("name", "limit", "expected"),
    [
        ("classification_head_final_projection", 24, "…head_final_projection"),
        ("classification_head_final_projection", 14, "…projection"),
        ("model.layers.11.mlp.down_proj", 24, "model.…11.mlp.down_proj"),
        ("encoder.layer.3.attention.output.dense", 18, "encoder.…dense"),
        ("the first 40 photographs of a folder", 24, "the first …of a folder"),
        ("stem", 24, "stem"),
        ("x" * 200, 24, "x" * 11 + "…" + "x" * 11),  # no words to stop at
        ("x" * 30 + ".a", 24, "x" * 11 + "…" + "x" * 9 + ".a"),
    ],
)
def test_names_are_shortened_between_words(name, limit, expected):
    assert num.short(name, limit) == expected
    assert len(num.short(name, limit)) <= limit


def test_the_page_escapes_a_text_and_raises_exponents_alone():
    assert rich(f"<b> {num.number(3.24e-6)}") == f"&lt;b&gt; 3.2{NB}×{NB}10<sup>−6</sup>"
    assert rich("|G|² of J⁻¹") == "|G|² of J⁻¹"


def test_a_small_spread_is_never_printed_as_zero():
    assert num.split(0.134113, 3e-8) == ("0.134113", "±\u00a03\u00a0×\u00a010⁻⁸")
    assert num.split(3.1e-6, 4.4e-8) == ("3.100", "±\u00a00.044\u00a0×\u00a010⁻⁶")
    assert num.split(0.134113, 0.0) == ("0.134", "±\u00a00.000")  # none at all


@pytest.mark.parametrize("x", [5e-324, 2e-310, -3.25e-309, 1.5e-301, 2.5e-5])
def test_numbers_down_to_the_smallest_that_there_is(x):
    digits = f"{Decimal(x):.1e}"
    mantissa, exponent = digits.split("e")
    raised = exponent.translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    shown = mantissa.replace("-", num.MINUS)
    times = f"{num.NBSP}×{num.NBSP}10{raised}"
    assert num.number(x) == f"{shown}{times}"
    assert num.pair(abs(x), abs(x)) == num.NBSP.join(
        (shown.strip(num.MINUS), "±", f"{shown.strip(num.MINUS)}{times}")
    )
