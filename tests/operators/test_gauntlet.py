"""Every kind of network with every kind of loss, whole and cut: right against dense matrices."""

import pytest
import torch
from torch.testing import assert_close

import nakami
from gauntlet import LOSSES, NETWORKS, Reference, network

BUDGETS = {"whole": None, "cut": 4000}
FEW = ("cross-entropy, padded, weighted, sum", "own sum", "contrastive")
COMBINATIONS = [
    pytest.param(
        name, kind, marks=[pytest.mark.slow] if "first" in name and kind not in FEW else []
    )
    for name in NETWORKS
    for kind in LOSSES
]


@pytest.mark.parametrize(("name", "kind"), COMBINATIONS)
def test_matrices_are_those_of_the_whole_batch(name, kind):
    model, x = network(name)
    loss, targets = LOSSES[kind]
    y = targets(model(x).detach())
    reference = Reference(model)
    value = reference.value(x, y, loss)
    for which in ("ggn", "hessian"):
        wanted = getattr(reference, which)(x, y, loss)
        top = torch.linalg.eigvalsh(wanted)[-2:].flip(0)
        for budget in BUDGETS.values():
            op = getattr(nakami, which)(model, (x, y), loss, memory_budget=budget)
            assert op.value == pytest.approx(value, rel=1e-10)
            assert_close(op.dense(), wanted, rtol=1e-8, atol=1e-10)
            assert nakami.trace(op, 1e-9).value == pytest.approx(float(wanted.trace()), rel=1e-6)
            assert_close(nakami.eigh(op, 2, tol=1e-9).values, top, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("kind", LOSSES)
@pytest.mark.parametrize("name", ["plain", "pooled", "sorted"])
def test_two_batches_weigh_as_the_loss_weighs_their_examples(name, kind):
    model, x = network(name)
    loss, targets = LOSSES[kind]
    y = targets(model(x).detach())
    reference, pair = Reference(model), [(x[:3], y[:3]), (x[3:], y[3:])]
    if kind in ("own mean, padded",):  # the first holds no target
        pair = [(x[:6], y[:6]), (x[6:], y[6:])]
    op = nakami.hessian(model, pair, loss)
    if name == "pooled" or kind in ("contrastive", "worst half", "spread"):
        shares, scale = [len(b) for b, _ in pair], 8  # each batch on its own, by its examples
    else:
        shares, scale = None, 1
    if shares is None:
        wanted = reference.hessian(x, y, loss)
        assert op.value == pytest.approx(reference.value(x, y, loss), rel=1e-10)
    else:
        sums = kind in ("own sum", "module, sum", "cross-entropy, padded, weighted, sum")
        if sums:
            shares, scale = [1, 1], 1
        elif "padded" in kind:
            shares, scale = [1, 2], 3  # targets of each
        each = zip(shares, pair, strict=True)
        wanted = sum(n * reference.hessian(a, b, loss) for n, (a, b) in each) / scale
    assert_close(op.dense(), wanted, rtol=1e-8, atol=1e-10)
