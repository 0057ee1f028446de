"""The largest eigenvalue from below by few products."""

import pytest
import torch
from torch.testing import assert_close

from nakami.spectra import MatrixOperator, ritz


def symmetric(values, seed=0):
    gen = torch.Generator().manual_seed(seed)
    n = len(values)
    q = torch.linalg.qr(torch.randn(n, n, generator=gen, dtype=torch.float64))[0]
    return (q * values) @ q.T, q


SPECTRUM = torch.cat([torch.tensor([9.0, 6.0, 5.0]), torch.linspace(0.5, 0, 297)]).double()


@pytest.mark.parametrize("products", [1, 2, 3, 6])
def test_a_lower_bound_with_its_residual(products):
    a, _ = symmetric(SPECTRUM)
    found = ritz(a, products)
    v = found.vector
    assert found.n_products == products
    assert float(v.norm()) == pytest.approx(1)
    assert found.value == pytest.approx(float(v @ a @ v))
    assert found.residual == pytest.approx(float((a @ v - found.value * v).norm()), rel=1e-6)
    assert found.value <= 9 + 1e-12
    assert float((SPECTRUM - found.value).abs().min()) <= found.residual + 1e-12


def test_exact_where_the_space_is_spent():
    a, q = symmetric(torch.tensor([3.0, 3.0, -1.0]).double())
    found = ritz(a, 10)
    assert found.n_products == 2  # two different eigenvalues
    assert found.value == pytest.approx(3)
    assert_close(a @ found.vector, 3 * found.vector)
    assert q.shape == (3, 3)


def test_a_known_vector_saves_products():
    a, q = symmetric(SPECTRUM)
    warm = [9 - ritz(a, 2, start=q[:, 0], seed=seed).value for seed in range(5)]
    cold = [9 - ritz(a, 2, seed=seed).value for seed in range(5)]
    assert max(warm) < 0.1 < min(cold)


def test_what_grew_beside_the_known_vector_is_found():
    a, q = symmetric(SPECTRUM)
    grown = a + 40 * q[:, 40:41] @ q[:, 40:41].T  # orthogonal to the start
    for seed in range(5):
        assert ritz(grown, 4, start=q[:, 0], seed=seed).value > 30
    alone = MatrixOperator(a)
    assert ritz(alone, 4, start=q[:, 0]).value == pytest.approx(9, rel=1e-3)


def test_the_random_state_stays():
    a, _ = symmetric(SPECTRUM)
    before = torch.random.get_rng_state()
    first, again = ritz(a, 3, seed=1), ritz(a, 3, seed=1)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(first.vector, again.vector)
    assert not torch.equal(first.vector, ritz(a, 3, seed=2).vector)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"products": 0}, r"products must be a whole number from 1 on, got 0|products must"),
        ({"start": torch.ones(4)}, r"start must have shape \(3, p\)"),
        (
            {"start": torch.ones(3, 2)},
            r"start must have shape \(3,\), got \(3, 2\); pass a vector of 3",
        ),
        ({"op": torch.ones(2, 3)}, "square"),
        ({"seed": -1}, "seed must be a whole number"),
    ],
)
def test_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        ritz(**{"op": torch.eye(3), "products": 2, **settings})
