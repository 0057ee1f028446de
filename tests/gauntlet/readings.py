"""What is read of a network, its data and its loss, beside what it should be."""

import pytest
import torch
from torch.testing import assert_close

import nakami

from .reference import first_tensor


def close(found, wanted):
    """Within the rounding of float64 sums, of the size of the whole."""
    assert_close(found, wanted, rtol=1e-8, atol=1e-9 * float(wanted.abs().max()) + 1e-14)


def vectors(size):
    """Two random ones: another matrix has other products, with certainty."""
    gen = torch.Generator().manual_seed(4)
    return torch.randn(size, 2, generator=gen, dtype=torch.float64)


def matrix(kind):
    def read(case):
        op = getattr(nakami, kind)(case.view, case.data(), case.loss.given)
        wanted = getattr(case.truth, kind)()
        assert op.value == pytest.approx(case.truth.value(), rel=1e-10)
        close(op.dense(), wanted)
        v = vectors(len(wanted))
        close(op @ v, wanted @ v)

    return read


def trace(case):
    op = getattr(nakami, case.curvature)(case.view, case.data(), case.loss.given)
    wanted = case.wanted().trace()
    found = nakami.trace(op, 1e-9)
    assert float(found.value) == pytest.approx(float(wanted), rel=1e-6, abs=1e-9)


def eigenvalues(case):
    op = getattr(nakami, case.curvature)(case.view, case.data(), case.loss.given)
    wanted = torch.linalg.eigvalsh(case.wanted())
    top = wanted[-2:].flip(0)
    found = nakami.eigh(op, 2, tol=1e-9).values
    assert_close(found, top, rtol=1e-6, atol=1e-8 * float(wanted.abs().max()))


def cut(case):
    """Under a budget that holds few rows at a time."""
    build = getattr(nakami, case.curvature)
    op = build(case.view, case.data(), case.loss.given, memory_budget=4000)
    assert op.value == pytest.approx(case.truth.value(), rel=1e-10)
    wanted = case.wanted()
    v = vectors(len(wanted))
    close(op @ v, wanted @ v)


def gradient(case):
    op = getattr(nakami, case.curvature)(case.view, case.data(), case.loss.given)
    close(op.gradient(), case.truth.gradient())


def elsewhere(case):
    """The loss, its gradient and the matrix at other weights."""
    op = getattr(nakami, case.curvature)(case.view, case.data(), case.loss.given)
    noise = torch.randn(len(case.truth.point), generator=torch.Generator().manual_seed(5))
    point = case.truth.point + 0.1 * noise.double()
    value, slope = op.loss_and_gradient(point)
    assert value == pytest.approx(float(case.truth.total(point)), rel=1e-10)
    close(slope, torch.func.grad(case.truth.total)(point))
    close(op.moved(point).dense(), getattr(case.truth, case.curvature)(point))


def root(case):
    op = nakami.fisher(case.view, case.data(), case.loss.given)
    rows = op.root.dense()
    close(rows.T @ rows, case.truth.fisher())
    wanted = torch.linalg.eigvalsh(case.truth.fisher())[-1]
    assert float(torch.linalg.eigvalsh(op.kernel.dense())[-1]) == pytest.approx(
        float(wanted), rel=1e-8
    )


def rate(case):
    found = nakami.rate_limit(case.view, case.data(), case.loss.given, "sgd")
    wanted = float(torch.linalg.eigvalsh(case.wanted())[-1])
    assert found.lambda_max == pytest.approx(wanted, rel=1e-3)
    assert found.limit == pytest.approx(2 / wanted, rel=1e-3)


def by_input(case):
    x, inputs = case.one()
    op = nakami.jacobian(case.view, x)
    close(op.dense(), case.moves(inputs))


def by_parameters(case):
    x, inputs = case.one()
    op = nakami.jacobian(case.view, x, wrt="parameters")
    close(op.dense(), case.truth.by_parameters(inputs))


def singular_values(case):
    x, inputs = case.one()
    wanted = torch.linalg.svdvals(case.moves(inputs))[:2]
    op = nakami.jacobian(case.view, x)
    found = nakami.svd(op, len(wanted), tol=1e-9, vectors=False).values
    assert_close(found, wanted, rtol=1e-6, atol=1e-8 * float(wanted[0]))


def xray(case):
    x, inputs = case.all()
    run = nakami.xray(case.view, x, stages=["output"])
    assert len(run.spectra) == len(inputs)
    for spectrum, one in zip(run.spectra, inputs, strict=True):
        wanted = torch.linalg.svdvals(case.moves(one))
        found = torch.as_tensor(spectrum.values)
        assert_close(found, wanted, rtol=1e-6, atol=2e-7 * float(wanted[0]))


OF_LOSSES = {
    "fisher": matrix("fisher"),
    "empirical fisher": matrix("empirical_fisher"),
    "ggn": matrix("ggn"),
    "hessian": matrix("hessian"),
    "trace": trace,
    "eigenvalues": eigenvalues,
    "cut": cut,
    "gradient": gradient,
    "elsewhere": elsewhere,
    "root": root,
    "rate": rate,
}
OF_INPUTS = {
    "by input": by_input,
    "by parameters": by_parameters,
    "singular values": singular_values,
    "x-ray": xray,
}
__all__ = ["OF_INPUTS", "OF_LOSSES", "close", "first_tensor"]
