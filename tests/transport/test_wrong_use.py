"""What transport is given wrongly: one sentence, whose way out can be typed and then works."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from nakami import transport
from nakami.results import UsageError

from .test_sinkhorn import histograms

SHAPES = {"alone": (16,), "batch": (3, 16), "picture": (4, 4), "pictures": (3, 4, 4)}
GRIDS = {"alone": 16, "batch": 16, "picture": (4, 4), "pictures": (4, 4)}


def after_advice(call: Callable[..., Tensor], given: dict[str, Tensor], names: str) -> Tensor:
    """What the call gives once masses are what its refusal says to pass."""
    with pytest.raises(UsageError, match=names) as refusal:
        call(**given)
    advice = str(refusal.value).split("; pass ")[1].rstrip(".").split(" or ")[0]
    made = [eval(part, {}, dict(given)) for part in advice.split(" and ")]
    return call(**dict(zip(given, made, strict=True)))


def with_sums(shape: tuple[int, ...], axes: int, seed: int) -> Tensor:
    mass = torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return mass / mass.sum(tuple(range(-axes, 0)), keepdim=True)


@pytest.mark.parametrize("kind", SHAPES)
def test_advice_on_unequal_masses_works_for_every_shape(kind: str) -> None:
    grid = transport.Grid(GRIDS[kind])
    p, q = (with_sums(SHAPES[kind], len(grid.shape), seed) for seed in (0, 1))

    def value(p: Tensor, q: Tensor) -> Tensor:
        return transport.sinkhorn(p, q, grid, 0.1).value

    off = {"p": p, "q": q * (1 + 3e-5)}
    found = after_advice(value, off, r"q must have .* of p, got 1.00003, not 1; pass p / p.sum")
    torch.testing.assert_close(found, value(p, q), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("shape", [(4, 16), (4, 4, 4), (4, 1, 4, 4)])
def test_modules_speak_of_prediction_and_target(shape: tuple[int, ...]) -> None:
    a, b = (with_sums(shape, len(shape) - 1, seed) for seed in (0, 1))
    loss = transport.SinkhornLoss(transport.Grid((4, 4)), 0.05)
    off = {"target": b, "prediction": a * (1 - 3e-5)}
    text = "prediction must have the total mass of target, got 0.99997, not 1; pass target"
    torch.testing.assert_close(after_advice(loss, off, text), loss(a, b), rtol=1e-12, atol=1e-12)
    with pytest.raises(UsageError, match=r"prediction must be at least 0.*prediction.clamp_min"):
        loss(-a, b)
    with pytest.raises(UsageError, match=r"must have the type .* of target.*prediction.to\(targe"):
        loss(a.float(), b)
    with pytest.raises(UsageError, match=r"prediction must have as many histograms as target"):
        loss(a[:2], b[:3])


@pytest.mark.parametrize("name", ["entropic_cost", "lambda_divergence", "sinkhorn_divergence"])
def test_masses_made_in_float32_are_equal_in_float64(name: str) -> None:
    """Their sums differ by 1e-7; values and slopes are those of q scaled to the mass of p."""
    grid, loss = transport.Grid((6, 10)), getattr(transport, name)
    p, q = (histograms(4, 6, 10, seed=i) for i in (0, 1))
    q = q * torch.tensor([1 + 1e-7, 1 - 3e-7, 1 + 2e-6, 1], dtype=torch.float64).view(-1, 1, 1)
    scaled = q * (p.sum((1, 2)) / q.sum((1, 2))).view(-1, 1, 1)
    q.requires_grad_()
    scaled.requires_grad_()
    values = [loss(p, part, grid, 0.01, tolerance=1e-10) for part in (q, scaled)]
    torch.testing.assert_close(values[0], values[1], rtol=0, atol=1e-12)
    slopes = [
        torch.autograd.grad(v.sum(), part)[0] for v, part in zip(values, (q, scaled), strict=True)
    ]
    torch.testing.assert_close(slopes[0], slopes[1], rtol=0, atol=2e-7)
    if name != "entropic_cost":
        same = loss(p, p * (1 + 5e-6), grid, 0.01, tolerance=1e-10)
        assert float(same.abs().max()) < 1e-10  # unscaled: 1e-7


GRID, P, Q = transport.Grid(6), histograms(1, 6)[0], histograms(1, 6, seed=1)[0]
PAIR = torch.stack([P, Q])
BAD: list[tuple[Callable[[], Any], str]] = [
    (lambda: transport.sinkhorn(GRID, P, Q, 0.1),
     r"cost must be a matrix \(n, m\), got shape \(6,\); .* mind the order: masses, cost, reg"),
    (lambda: transport.sinkhorn(GRID, P[None], PAIR, 0.1), r"p must be a tensor .* the order"),
    (lambda: transport.sinkhorn(P, Q, 0.1, GRID), r"cost must be .* got 0.1; .* mind the order"),
    (lambda: transport.barycenter(GRID, PAIR, 0.1), r"masses must be a tensor .* the order"),
    (lambda: transport.sinkhorn(np.full(60, 1 / 60), Q, GRID, 0.1),
     r"p must be a tensor of masses, got ndarray of float64, shape \(60,\); pass torch.as_tensor"),
    (lambda: transport.barycenter([P, Q], GRID, 0.1), r"\(M, ...\), got list of 2; pass torch.sta"),
    (lambda: transport.sinkhorn(P, Q, GRID, 0.1, start=P), r"start must be a Coupling, got Tensor"),
    (lambda: transport.unbalanced(P, Q, GRID, 0.1, 1.0, start=(P, Q)), r"a Coupling, got tuple"),
    (lambda: transport.lambda_divergence(P, Q, GRID, 0.1, start=P), r"start must be a Coupling"),
    (lambda: transport.blur(-P, GRID, 0.1), r"q must be at least 0 everywhere"),
    (lambda: transport.barycenter(P, GRID, 0.1), r"must have shape \(M, 6\), or \(B, M, 6\), to"),
    (lambda: transport.barycenter(PAIR * torch.tensor([[1], [1.00002]]), GRID, 0.1),
     r"got 1 to 1.00002; pass masses / masses.sum\(-1, keepdim=True\)"),
    (lambda: transport.barycenter(PAIR, GRID, 0.1, torch.tensor([0.5, 0.500002])),
     r"weights must have sum 1, got 1.0000020\d+; pass weights / weights.sum"),
    (lambda: transport.Grid(None), r"shape must be a number or one for each axis, got None"),
    (lambda: transport.Grid(5, spacing=GRID), r"spacing must be a number or one for each axis"),
    (lambda: transport.Matrix([[0.0]]), r"cost must be a matrix, a Grid or Points, got \[\[0.0"),
    (lambda: transport.study(regs=0.1), r"regs must hold numbers, got 0.1; pass regs=\(0.01, 0.1"),
    (lambda: transport.study(regs=(0.1, 0.1)), r"two different numbers at least, got 0.1, 0.1"),
    (lambda: transport.study(shapes=None), r"shapes must be two of ring, .*\('ring', 'square'\)"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "text"), BAD)
def test_bad_input_is_refused_in_one_short_sentence(call: Callable[[], Any], text: str) -> None:
    with pytest.raises(UsageError, match=text) as refusal:
        call()
    assert len(str(refusal.value)) < 220


ODD: list[Any] = [None, -1, "a", [1, 2], torch.ones(3), torch.ones(2, 3, 4), np.ones(6), GRID, {}]
CALLS: list[tuple[Callable[..., Any], dict[str, Any], str]] = [
    (transport.sinkhorn, {"p": P, "q": Q, "cost": GRID, "reg": 0.1},
     "p q cost reg tolerance max_steps start memory_budget"),
    (transport.unbalanced, {"p": P, "q": Q, "cost": GRID, "reg": 0.1, "penalty": 1.0},
     "p q cost reg penalty start"),
    (transport.sinkhorn_divergence, {"p": P, "q": Q, "cost": GRID, "reg": 0.1}, "p q cost reg"),
    (transport.barycenter,
     {"masses": PAIR, "cost": GRID, "reg": 0.1, "kind": "lambda", "max_steps": 20},
     "masses cost reg weights kind tolerance max_steps entropy_floor memory_budget"),
    (transport.Grid, {"shape": 3}, "shape spacing power"),
    (transport.Points, {"x": torch.rand(6, 2)}, "x y power"),
]  # fmt: skip


@pytest.mark.parametrize(("function", "good", "names"), CALLS)
def test_nothing_odd_ends_in_a_traceback(
    function: Callable[..., Any], good: dict[str, Any], names: str
) -> None:
    """An odd argument is taken, or refused by us: any other error fails the test."""
    refused: list[str] = []
    for name in names.split():
        for value in ODD:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    function(**{**good, name: value})
                except UsageError as error:
                    refused.append(str(error))
    assert len(refused) >= 4 * len(names.split())
    assert all(re.match(r"[a-z_]+ (must|'|\[|\{|None|-1|tensor)", text) for text in refused)
