"""Reconstruction and topographic ICA against closed forms."""

import pytest
import torch
from torch.testing import assert_close

from nakami.dynamics import sheet_contrast
from nakami.results import UsageError
from nakami.training import Unsupervised, fit
from nakami.zoo.tica import ReconstructionICA, TopographicICA, distances, neighbourhoods


def drawn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def newton(module, steps=60):
    return torch.optim.LBFGS(module.parameters(), max_iter=steps, line_search_fn="strong_wolfe")


def test_square_and_orthonormal_the_reconstruction_vanishes_and_it_is_ica():
    model, x = ReconstructionICA(6, 6, cost=3.0).double(), drawn(20, 6)
    assert_close(model.weight @ model.weight.T, torch.eye(6, dtype=x.dtype), rtol=0, atol=1e-6)
    with torch.no_grad():
        model.weight.copy_(torch.linalg.qr(drawn(6, 6, seed=1)).Q)
    assert_close(model.reconstruct(x), x)
    ica = (x @ model.weight.T).cosh().log().sum(1)
    assert_close(model.objective(x), ica)
    with torch.no_grad():
        model.weight.mul_(1.1)
    assert (model.objective(x) - (x @ model.weight.T).cosh().log().sum(1) > 0.01).all()


def test_log_cosh_of_large_values_is_finite():
    model = ReconstructionICA(1, 1, cost=0.0).double()
    x = torch.tensor([[1e4]], dtype=torch.float64)
    assert_close(model.objective(x), 1e4 * model.weight.detach().abs()[0] - torch.tensor(2.0).log())


@pytest.mark.parametrize("tied", [True, False])
def test_the_topographic_objective_is_that_of_the_formula(tied):
    model = TopographicICA(5, (4, 3), cost=0.7, eps=0.01, tied=tied).double()
    x = drawn(6, 5)
    with torch.no_grad():
        model.weight.copy_(drawn(12, 5, seed=2))
        if not tied:
            model.back.copy_(drawn(12, 5, seed=3))
    w = model.weight if tied else model.weight / model.weight.norm(dim=1, keepdim=True)
    v = w if tied else model.back
    wanted = []
    for each in x:
        y = w @ each
        cost = (v.T @ y - each).square().sum()
        for r in range(4):
            for c in range(3):
                near = [
                    y[(r + i) % 4 * 3 + (c + j) % 3] ** 2 for i in (-1, 0, 1) for j in (-1, 0, 1)
                ]
                cost = cost + 0.7 * (0.01 + sum(near)).sqrt()
        wanted.append(cost)
    assert_close(model.objective(x), torch.stack(wanted))
    assert torch.autograd.gradcheck(model.objective, x.requires_grad_())


def test_both_matrices_free_have_no_minimum():
    model, x = TopographicICA(5, (4, 3), tied=False).double(), drawn(6, 5)
    w, v = model.weight.detach(), model.back.detach()

    def objective(c):
        y = x @ (w / c).T
        return (y @ (c * v) - x).square().sum(1) + 0.1 * model.pooled(y).sum(1)

    values = [float(objective(c).mean()) for c in (1, 10, 100)]
    assert values[0] > 2 * values[1] > 2 * values[2]


def test_neighbourhoods_are_squares_on_a_torus():
    near = neighbourhoods((5, 4), 3)
    assert near.sum(1).tolist() == [9] * 20
    assert near[0].nonzero().flatten().tolist() == [0, 1, 3, 4, 5, 7, 16, 17, 19]
    assert torch.equal(near, near.T)
    assert torch.equal(neighbourhoods((5, 4), 1), torch.eye(20))
    assert distances(5)[0].tolist() == [0, 1, 2, 2, 1]


def test_it_finds_independent_sources():
    sources = torch.distributions.Laplace(0.0, 0.5**0.5)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        s = sources.sample((4000, 4))
    turn = torch.linalg.qr(drawn(4, 4).float()).Q  # whitened already
    model = ReconstructionICA(4, 4, cost=1.0)
    x = s @ turn.T
    fit(Unsupervised(model, newton(model), model.objective), (x,), batch=4000, epochs=2)
    found = torch.nn.functional.normalize(model.weight.detach() @ turn).abs()
    assert (found.amax(1) > 0.99).all()
    assert sorted(found.argmax(1).tolist()) == [0, 1, 2, 3]
    started = torch.nn.functional.normalize(ReconstructionICA(4, 4).weight.detach() @ turn).abs()
    assert started.amax(1).min() < 0.9  # it was not so before


def test_energies_of_neighbours_go_together_where_variances_do():
    """Sources whose energies rise and fall with a field that is smooth along a ring."""
    n, length = 6000, 36
    field = torch.nn.functional.conv1d(
        torch.nn.functional.pad(drawn(n, 1, length).float(), (3, 3), "circular"),
        torch.ones(1, 1, 7) / 7**0.5,
    )[:, 0]
    x = drawn(n, length, seed=1).float() * (field / 2).exp()
    x = (x - x.mean(0)) / x.std(0)
    x = x @ torch.linalg.qr(drawn(length, length, seed=2).float()).Q
    model = TopographicICA(length, (6, 6), cost=0.3)

    def contrast():
        y = model.units(x).detach().square().double()
        return sheet_contrast(torch.corrcoef(y.T), (6, 6))

    before = contrast()
    fit(Unsupervised(model, newton(model), model.objective), (x,), batch=n, epochs=2)
    after = contrast()
    assert abs(before.difference) < 4 * before.spread
    assert after.difference > 5 * after.spread
    assert after.near > after.far


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ReconstructionICA(0, 3), "inputs must be a whole number from 1 on, got 0"),
        (lambda: ReconstructionICA(3, 3, cost=-1), "cost must be a number from 0 on, got -1"),
        (lambda: TopographicICA(3, (4, 4), side=2), "side must be odd, at most .* 4, got 2"),
        (lambda: TopographicICA(3, (4, 2), side=3), "side must be odd, at most .* 2, got 3"),
        (lambda: TopographicICA(3, 16), "sheet must be rows and columns, got 16"),
        (lambda: neighbourhoods((4, 4, 4), 3), r"sheet must be rows and columns, got \(4, 4, 4\)"),
        (lambda: neighbourhoods((4, 0), 1), r"sheet must be rows and columns, got \(4, 0\)"),
        (lambda: TopographicICA(3, (4, 4), eps=-1), "eps must be a number from 0 on, got -1"),
    ],
)
def test_wrong_use_is_refused_in_a_sentence(make, message):
    with pytest.raises(UsageError, match=message):
        make()
