"""The Gaussian machine against quadrature, enumeration, and the law that its chain has to keep."""

import itertools
import math

import pytest
import torch
from torch.testing import assert_close

from nakami import sampling
from nakami.results import UsageError
from nakami.training import ContrastiveDivergence, fit
from nakami.zoo.gaussian_rbm import GaussianRBM
from nakami.zoo.rbm import contrastive_divergence, run_chain


def machine(visible=2, hidden=3, seed=0):
    gen = torch.Generator().manual_seed(seed)
    deviation = torch.rand(visible, generator=gen, dtype=torch.float64) + 0.5
    made = GaussianRBM(visible, hidden, deviation=deviation, dtype=torch.float64)
    with torch.no_grad():
        for p in (made.weight, made.visible_bias, made.hidden_bias):
            p.normal_(0, 0.7, generator=gen)
    return made


def all_hidden(n):
    return torch.tensor(list(itertools.product((0.0, 1.0), repeat=n)), dtype=torch.float64)


def test_its_density_is_a_mixture_of_normals_of_total_one():
    made = machine()
    side = torch.linspace(-14, 14, 561, dtype=torch.float64)
    grid = torch.cartesian_prod(side, side)
    with torch.no_grad():
        weights = -made.free_energy(grid)
        total = float(torch.logsumexp(weights, 0)) + 2 * math.log(float(side[1] - side[0]))
    assert total == pytest.approx(sampling.log_partition(made), abs=1e-9)


def test_its_conditionals_follow_from_its_energy():
    made = machine()
    h, v = all_hidden(3), torch.tensor([[0.3, -1.2]], dtype=torch.float64)

    def energy(v, h):
        square = ((v - made.visible_bias) ** 2 / (2 * made.deviation**2)).sum(-1)
        return square - h @ made.hidden_bias - ((h @ made.weight) * v / made.deviation).sum(-1)

    with torch.no_grad():
        share = torch.softmax(-energy(v, h), 0)
        assert_close(made(v)[0], share @ h)
        assert_close(made.free_energy(v)[0], -torch.logsumexp(-energy(v, h), 0))
    v = made.visible(h).detach().requires_grad_(True)  # the mean of a normal: no slope there
    (slope,) = torch.autograd.grad(energy(v, h).sum(), v)
    assert slope.abs().max() < 1e-12


def test_its_chain_keeps_its_law():
    made, gen = machine(), torch.Generator().manual_seed(1)
    h = all_hidden(3)
    with torch.no_grad():
        pull = h @ made.weight
        log = (
            h @ made.hidden_bias
            + (pull**2).sum(1) / 2
            + pull @ (made.visible_bias / made.deviation)
        )
        share = torch.softmax(log, 0)
        mean = share @ made.visible(h)
        square = share @ (made.visible(h) ** 2 + made.deviation**2)
        v = run_chain(made, torch.zeros(40_000, 2, dtype=torch.float64), 40, gen).model
    for found, exact in ((v, mean), (v**2, square)):
        assert ((found.mean(0) - exact).abs() < 4.5 * found.std(0) / 200).all()


def test_its_direction_is_the_gradient_where_the_chain_is_long():
    made, gen = machine(), torch.Generator().manual_seed(2)
    v = torch.tensor([[0.5, -0.5], [1.5, 0.2]], dtype=torch.float64)
    learned = [made.weight, made.visible_bias, made.hidden_bias]
    loss = made.free_energy(v).mean()
    gradient = torch.autograd.grad(loss, learned)
    h = all_hidden(3)
    pull = h @ made.weight
    log = h @ made.hidden_bias + (pull**2).sum(1) / 2 + pull @ (made.visible_bias / made.deviation)
    model = torch.autograd.grad(torch.logsumexp(log, 0), learned)
    rows = v.repeat(30_000, 1)
    found = contrastive_divergence(made, rows, 30, gen)
    for direction, data, rest, p in zip(found, gradient, model, learned, strict=True):
        assert direction.shape == p.shape
        assert_close(direction, -(data + rest), rtol=0, atol=0.03)


def test_two_clusters_are_learned():
    gen = torch.Generator().manual_seed(3)
    side = torch.randint(0, 2, (2000, 1), generator=gen).double() * 4 - 2
    x = side + torch.randn(2000, 2, generator=gen, dtype=torch.float64)
    made = GaussianRBM(2, 4, dtype=torch.float64)
    made.start_biases(x)
    with torch.no_grad():
        before = float(-made.free_energy(x).mean()) - sampling.log_partition(made)
        fit(ContrastiveDivergence(made, rate=0.01, decay=0.0), (x,), epochs=30, batch=100)
        after = float(-made.free_energy(x).mean()) - sampling.log_partition(made)
    best = -math.log(2 * math.pi * math.e) - math.log(2)  # two normals apart
    assert before < -5.5
    assert best - 0.25 < after < best + 0.05


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: GaussianRBM(2, 2, deviation=0.0),
            "deviation must be a finite number above 0, or 2 of them, got 0.0",
        ),
        (
            lambda: GaussianRBM(2, 2, deviation=torch.tensor([1.0, torch.inf])),
            "deviation must be a finite number above 0, or 2 of them, got .*inf",
        ),
        (
            lambda: sampling.log_partition(GaussianRBM(2, 26)),
            "model must have a side of at most 25 units, got 26",
        ),
        (
            lambda: sampling.Chains(GaussianRBM(2, 2), sampling.SuwaTodo()),
            "kernel must be BlockGibbs for visible units that are not binary, got SuwaTodo; leave",
        ),
        (
            lambda: fit(
                ContrastiveDivergence(GaussianRBM(2, 2)),
                (torch.tensor([[1.0, torch.nan]]),),
                epochs=1,
            ),
            "data must be finite, got 1 values that are not; leave these rows out",
        ),
    ],
)
def test_wrong_use(make, message):
    with pytest.raises(UsageError, match=message):
        make()
