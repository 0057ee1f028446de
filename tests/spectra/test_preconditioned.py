"""The scaled operator against its dense matrix, by products and by eigenvalues."""

import pytest
import torch
from torch.testing import assert_close

import nakami
from checks import check_operator
from nakami.spectra import Gram, MatrixOperator, Preconditioned


def parts(n=80, rows=12):
    gen = torch.Generator().manual_seed(0)
    root = torch.randn(rows, n, generator=gen, dtype=torch.float64)
    scale, shift = torch.rand(2, n, generator=gen, dtype=torch.float64)
    scale[3] = 0
    return root, scale, shift


@pytest.mark.parametrize("shifted", [False, True])
def test_products_and_eigenvalues(shifted):
    root, scale, shift = parts()
    op = Preconditioned(Gram(MatrixOperator(root.T)), scale, shift if shifted else None)
    dense = scale[:, None] * (root.T @ root) * scale + (torch.diag(shift) if shifted else 0)
    check_operator(op, dense)
    found = nakami.eigh(op, 2, tol=1e-10)
    assert_close(found.values, torch.linalg.eigvalsh(dense).flip(0)[:2])
    assert (op.root is None) == shifted
    if not shifted:
        assert found.method == "root"
        check_operator(op.root, root * scale)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s[:5], r"scale must have shape \(80,\), got \(5,\); pass one number for each"),
        (lambda s: -s, r"scale must be finite and not negative, got 79 values that are not"),
        (lambda s: s / 0, r"scale must be finite and not negative, got 80 values"),
    ],
)
def test_wrong_scales(change, message):
    root, scale, _ = parts()
    with pytest.raises(ValueError, match=message):
        Preconditioned(Gram(MatrixOperator(root.T)), change(scale))
