"""Loss modules: the functions they stand for, reductions, shapes, and where a fit ends."""

from __future__ import annotations

import pytest
import torch

from nakami import transport
from nakami.results import UsageError

from .test_sinkhorn import histograms

GRID, REG = transport.Grid((4, 4)), 0.02


def test_they_are_the_functions_and_reductions() -> None:
    p, q = histograms(3, 4, 4), histograms(3, 4, 4, seed=1)
    tight = {"tolerance": 1e-10}
    each = transport.lambda_divergence(p, q, GRID, REG, **tight)
    loss = transport.LambdaDivergenceLoss(GRID, REG, reduction="none", **tight)
    torch.testing.assert_close(loss(q.reshape(3, 1, 4, 4), p.reshape(3, 16)), each)
    whole = transport.LambdaDivergenceLoss(GRID, REG, reduction="sum", **tight)(q, p)
    torch.testing.assert_close(whole, each.sum())
    debiased = transport.SinkhornLoss(GRID, REG, **tight)(q, p)
    torch.testing.assert_close(
        debiased, transport.sinkhorn_divergence(p, q, GRID, REG, **tight).mean()
    )
    plain = transport.SinkhornLoss(GRID, REG, debiased=False, **tight)(q, p)
    torch.testing.assert_close(plain, transport.entropic_cost(p, q, GRID, REG, **tight).mean())


@pytest.mark.parametrize("kind", ["lambda", "debiased", "plain"])
def test_a_fit_ends_at_the_target_or_at_its_blur(kind: str) -> None:
    """Descent from the uniform histogram; the entropic cost alone ends at K~ p."""
    target, grid, reg = histograms(1, 4), transport.Grid(4), 0.1
    if kind == "lambda":
        loss: torch.nn.Module = transport.LambdaDivergenceLoss(grid, reg, tolerance=1e-9)
    else:
        loss = transport.SinkhornLoss(grid, reg, debiased=kind == "debiased", tolerance=1e-9)
    logits = torch.zeros(1, 4, dtype=torch.float64, requires_grad=True)
    steps = torch.optim.LBFGS([logits], max_iter=40, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        steps.zero_grad()
        value: torch.Tensor = loss(logits.softmax(1), target)
        value.backward()
        return value

    steps.step(closure)
    found = logits.detach().softmax(1)
    blurred = transport.blur(target, grid, reg)
    wanted, other = (blurred, target) if kind == "plain" else (target, blurred)
    assert float((found - wanted).abs().sum()) < 2e-3
    assert float((found - other).abs().sum()) > 0.1


def test_wrong_arguments() -> None:
    loss = transport.LambdaDivergenceLoss(GRID, REG)
    good = torch.full((2, 4, 4), 1 / 16)
    with pytest.raises(UsageError, match=r"prediction must have 16 masses in each .*\(2, 15\)"):
        loss(torch.rand(2, 15), good)
    with pytest.raises(UsageError, match=r"target must be a tensor of masses"):
        loss(good, None)
    with pytest.raises(UsageError, match=r"reduction must be one of mean, sum, none, got 'max'"):
        transport.SinkhornLoss(GRID, REG, reduction="max")
    assert "|x - y|^2, reg=0.02" in repr(loss)
