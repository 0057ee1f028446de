"""Networks whose rows see each other, or not, whole and cut: right against dense matrices."""

import pytest
import torch
from torch.testing import assert_close

import nakami
from checks import spread
from gauntlet import LOSSES, Reference, network
from gauntlet.losses import classes, numbers, zeros

NETWORKS = (
    "plain",
    "convolutional",
    "normalised by the batch",
    "the last rows mix",
    "pooled",
    "running sum",
    "sorted",
    "half sorted",
    "LSTM, time first",
    "attention, time first",
    "graph",
)
TARGETS = {
    "cross-entropy": classes,
    "cross-entropy, padded, weighted, sum": lambda z: classes(z, padding=5),
    "squared error": numbers,
    "own mean": numbers,
    "own sum": numbers,
    "own mean, padded": lambda z: classes(z, padding=5),
    "module, sum": numbers,
    "contrastive": zeros,
    "worst half": numbers,
    "spread": numbers,
}
ALL = [(name, kind) for name in NETWORKS for kind in TARGETS]


def prepared(name, kind):
    model, x = network(name)
    loss = LOSSES[kind].given
    y = TARGETS[kind](model(x).detach())
    return model, (x, y, loss)


def agrees(op, wanted):
    top = torch.linalg.eigvalsh(wanted)[-2:].flip(0)
    assert_close(op.dense(), wanted, rtol=1e-8, atol=1e-10)
    assert nakami.trace(op, 1e-9).value == pytest.approx(float(wanted.trace()), rel=1e-6)
    assert_close(nakami.eigh(op, 2, tol=1e-9).values, top, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(("name", "kind"), spread(NETWORKS, TARGETS, every=10))
def test_matrices_are_those_of_the_whole_batch(name, kind):
    model, (x, y, loss) = prepared(name, kind)
    reference = Reference(model)
    value = reference.value(x, y, loss)
    v = torch.randn(len(reference.point), 2, generator=torch.Generator().manual_seed(4)).double()
    for which in ("ggn", "hessian"):
        wanted = getattr(reference, which)(x, y, loss)
        op = getattr(nakami, which)(model, (x, y), loss)
        assert op.value == pytest.approx(value, rel=1e-10)
        agrees(op, wanted)
        cut = getattr(nakami, which)(model, (x, y), loss, memory_budget=4000)
        assert cut.value == pytest.approx(value, rel=1e-10)
        assert_close(cut @ v, wanted @ v, rtol=1e-8, atol=1e-10)


@pytest.mark.slow  # a row and a column at a time
@pytest.mark.parametrize("which", ["ggn", "hessian"])
@pytest.mark.parametrize(("name", "kind"), ALL)
def test_all_of_a_matrix_that_is_cut(name, kind, which):
    model, (x, y, loss) = prepared(name, kind)
    op = getattr(nakami, which)(model, (x, y), loss, memory_budget=4000)
    agrees(op, getattr(Reference(model), which)(x, y, loss))


@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize("name", ["plain", "pooled", "sorted"])
def test_two_batches_weigh_as_the_loss_weighs_their_examples(name, kind):
    model, (x, y, loss) = prepared(name, kind)
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
