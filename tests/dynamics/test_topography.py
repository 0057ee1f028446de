"""Tuning of filters that are known, and sheets with and without an order."""

import math

import pytest
import torch
from torch.testing import assert_close

from nakami.dynamics import orientation_tuning, sheet_contrast
from nakami.results import UsageError
from nakami.zoo.tica import distances


def gabor(angle, row, column, cycles=0.2, size=17, width=2.5):
    at = torch.arange(size, dtype=torch.float64)
    y, x = at[:, None] - row, at - column
    along = 2 * math.pi * cycles * (y * math.sin(angle) + x * math.cos(angle))
    return along.cos() * torch.exp(-(x**2 + y**2) / (2 * width**2))


def test_a_gabor_has_its_own_orientation_frequency_and_place():
    given = [(i * math.pi / 12, 7.0 + i % 3, 8.0) for i in range(12)]
    tuned = orientation_tuning(torch.stack([gabor(*each) for each in given]))
    assert_close(tuned.preferred, torch.tensor([a for a, _, _ in given], dtype=torch.float64))
    assert (tuned.frequency - 0.2).abs().max() < 0.05
    places = torch.tensor([[r, c] for _, r, c in given], dtype=torch.float64)
    assert (tuned.place - places).abs().max() < 0.2
    assert tuned.selectivity.min() > 0.5


def test_a_dot_and_rings_have_no_orientation():
    at = torch.arange(17, dtype=torch.float64) - 8
    r = (at[:, None] ** 2 + at**2).sqrt()
    dot = torch.zeros(17, 17, dtype=torch.float64)
    dot[8, 8] = 1
    rings = (1.2 * r).cos() * torch.exp(-(r**2) / 18)
    assert orientation_tuning(torch.stack([dot, rings])).selectivity.max() < 0.02


def test_the_selectivity_is_one_for_a_wide_grating_alone():
    bell = torch.hann_window(64, periodic=False, dtype=torch.float64)
    wave = (2 * math.pi * 0.25 * torch.arange(64, dtype=torch.float64)).cos()
    wide, narrow = torch.outer(bell, bell * wave), gabor(0.0, 8, 8, width=1.0)
    values = [float(orientation_tuning(w[None]).selectivity[0]) for w in (wide, narrow)]
    assert values[0] > 0.99 > 0.8 > values[1]


def test_an_ordered_sheet_is_told_from_a_shuffled_one():
    side = 6
    at = 2 * math.pi * torch.arange(side, dtype=torch.float64) / side
    alike = (at[:, None] - at).cos()
    alike = torch.kron(alike, torch.ones(side, side)) + torch.kron(torch.ones(side, side), alike)
    seen = sheet_contrast(alike, (side, side))
    apart = distances(side)
    rows = apart.repeat_interleave(side, 0).repeat_interleave(side, 1)
    steps = torch.maximum(rows, apart.repeat(side, side))
    assert_close(seen.near, float(alike[steps == 1].mean()))
    assert_close(seen.far, float(alike[steps >= 3].mean()))
    assert seen.difference > 10 * seen.spread
    order = torch.randperm(36, generator=torch.Generator().manual_seed(1))
    mixed = sheet_contrast(alike[order][:, order], (side, side))
    assert abs(mixed.difference) < 4 * mixed.spread


def test_pairs_that_have_no_value_are_left_out():
    alike = torch.rand(36, 36, generator=torch.Generator().manual_seed(0))
    alike[3] = alike[:, 3] = float("nan")
    assert math.isfinite(sheet_contrast(alike, (6, 6)).difference)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: orientation_tuning(torch.ones(3, 3)), r"filters must have shape \(K, H, W\)"),
        (lambda: orientation_tuning(torch.ones(2, 0, 3)), r"filters must have shape \(K, H, W\)"),
        (lambda: orientation_tuning(torch.full((1, 3, 3), torch.nan)), "filters must be finite"),
        (
            lambda: sheet_contrast(torch.ones(36, 36), (6, 6), shuffles=1),
            "shuffles must be .* 2 on",
        ),
        (
            lambda: sheet_contrast(torch.ones(36, 36), (6, 6), seed=-1),
            "seed must be a whole number",
        ),
        (lambda: sheet_contrast(torch.ones(9, 9), (9,)), "sheet must be rows and columns"),
        (lambda: sheet_contrast(torch.ones(9, 9), (3, 4)), "alike must have shape .* 3 x 4"),
        (lambda: sheet_contrast(torch.ones(9, 9), (3, 3)), "sheet must have units 3 steps apart"),
    ],
)
def test_wrong_use_is_refused_in_a_sentence(call, message):
    with pytest.raises(UsageError, match=message):
        call()
