"""Bounds of residuals by random directions, against the residuals themselves."""

import pytest
import torch

from nakami.spectra import svd
from nakami.spectra._residuals import residual_bounds


def true(a, u, s, v):
    return (a @ v - u * s).norm(dim=0).maximum((a.T @ u - v * s).norm(dim=0))


def given(a, u, s, v):
    measured = lambda at: true(a, u[:, at], s[at], v[:, at])  # noqa: E731
    return residual_bounds(lambda x: a @ x, lambda x: a.T @ x, measured, (u, s, v))


@pytest.mark.parametrize("shape", [(130, 100), (100, 130)])
def test_bounds_hold_and_are_near(shape):
    for seed in range(10):
        torch.manual_seed(seed)
        a = torch.randn(shape, dtype=torch.float64)
        found = svd(a, method="dense")
        real = true(a, found.left, found.values, found.right)
        assert (found.residuals >= real * (1 - 1e-9)).all()
        assert found.residuals.median() < 4 * real.median()
        assert found.residuals.max() < 6 * real.max()


@pytest.mark.parametrize("size", [1e-9, 1e-3])
@pytest.mark.parametrize("side", ["left", "right", "value"])
def test_one_wrong_triplet_is_seen(size, side):
    torch.manual_seed(0)
    a = torch.randn(120, 90, dtype=torch.float64)
    u, s, vh = torch.linalg.svd(a, full_matrices=False)
    u, s, v = u.clone(), s.clone(), vh.T.clone()
    moved = {"left": u[:, 40], "right": v[:, 40], "value": s[40:41]}[side]
    moved += size * torch.randn_like(moved)
    bounds, real = given(a, u, s, v), true(a, u, s, v)
    assert real[40] > 1e3 * real[39]
    assert (bounds >= real * (1 - 1e-9)).all()
    assert bounds[40] < 5 * real[40]
    if size > 1e-7:
        assert bounds[40] == pytest.approx(float(real[40]))  # measured


def test_few_triplets_are_measured():
    torch.manual_seed(0)
    a = torch.randn(80, 70, dtype=torch.float64)
    found = svd(a, 60, method="dense")
    torch.testing.assert_close(
        found.residuals, true(a, found.left, found.values, found.right), rtol=0.05, atol=0
    )
