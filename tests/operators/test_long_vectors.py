"""Vectors of many float32 parameters: lengths and products are taken in float64, part by part."""

import torch

from nakami.operators.autodiff import _strategies
from nakami.operators.autodiff._strategies import adjoint_gap, dot, forward_product, unit


def test_sums_are_those_of_float64(monkeypatch):
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, 1000, generator=generator)
    monkeypatch.setattr(_strategies, "SLICE", 96)
    one, other = a.double(), b.double()
    assert abs(dot(a, b) - float(one @ other)) <= 1e-13 * float(one.abs() @ other.abs())
    assert abs(dot(a, b, sizes=True) / float(one.abs() @ other.abs()) - 1) <= 1e-13
    size = float(one.abs() @ other.abs()) + float(one.abs() @ one.abs())
    wanted = abs(float(one @ other) - float(one @ one)) / size
    assert abs(adjoint_gap(a, b, a, a) - wanted) <= 1e-12


def test_random_vectors_are_the_same_in_parts(monkeypatch):
    like = torch.zeros(1000)
    whole = unit(like, torch.Generator().manual_seed(3))
    monkeypatch.setattr(_strategies, "SLICE", 320)
    parts = unit(like, torch.Generator().manual_seed(3))
    assert torch.equal(whole, parts)
    assert abs(float(parts.double().norm()) - 1) <= 1e-6


def test_a_length_that_float32_sums_wrong_refuses_no_route():
    weights = torch.ones(1 << 21)
    weights[0] = 1e4  # beside its square float32 loses the others, one by one
    near = float(weights.norm()) / float(weights.double().norm()) - 1
    assert abs(near) > 1.2e-4  # or this test shows nothing

    def function(flat):
        return (flat * weights).sum()[None]

    output, pull = torch.func.vjp(function, torch.ones(1 << 21))
    route, _, trial = forward_product(
        function, torch.ones(1 << 21), output, lambda u: pull(u)[0], lambda _, act: act(), 2, 1
    )
    assert route == "linearised"
    assert abs(float(trial.w.double().norm()) - 1) <= 1e-6
