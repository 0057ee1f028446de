"""Machines with visible units of every kind: one path for all, against sums and quadrature."""

import itertools
import math

import pytest
import torch
from torch.testing import assert_close

from nakami import sampling
from nakami.results import UsageError
from nakami.training import ContrastiveDivergence, fit
from nakami.zoo.gaussian_rbm import GaussianRBM
from nakami.zoo.rbm import RBM
from nakami.zoo.softmax_rbm import SoftmaxRBM

SIDE = torch.linspace(-9, 9, 181, dtype=torch.float64)


def every(n):
    return torch.tensor(list(itertools.product((0.0, 1.0), repeat=n)), dtype=torch.float64)


def one_hot(groups, classes):
    places = torch.tensor(list(itertools.product(range(classes), repeat=groups)))
    return torch.nn.functional.one_hot(places, classes).flatten(1).double()


KINDS = {  # a machine, all its visible states, and log of the volume of each
    "binary": (lambda: RBM(4, 3, dtype=torch.float64), every(4), 0.0),
    "gaussian": (
        lambda: GaussianRBM(2, 3, deviation=torch.tensor([0.6, 1.1]), dtype=torch.float64),
        torch.cartesian_prod(SIDE, SIDE),
        2 * math.log(float(SIDE[1] - SIDE[0])),
    ),
    "softmax": (lambda: SoftmaxRBM(2, 3, 3, dtype=torch.float64), one_hot(2, 3), 0.0),
}


@pytest.fixture(params=KINDS)
def kind(request):
    make, states, volume = KINDS[request.param]
    made, gen = make(), torch.Generator().manual_seed(5)
    with torch.no_grad():
        for p in (made.weight, made.visible_bias, made.hidden_bias):
            p.normal_(0, 0.8, generator=gen)
    return made, states, volume


def law(made, states):
    return (-made.free_energy(states).detach()).softmax(0)


def test_log_z_is_the_sum_over_visible_states_too(kind):
    made, states, volume = kind
    total = float(torch.logsumexp(-made.free_energy(states), 0).detach()) + volume
    assert sampling.log_partition(made) == pytest.approx(total, abs=1e-9)


def test_conditionals_follow_from_the_energy(kind):
    made, v, _ = kind
    h, a = every(3), made.visible_bias
    own = (
        -((v - a) ** 2) / (2 * made.deviation**2) if isinstance(made, GaussianRBM) else v * a
    ).sum(1)
    seen = v / made.deviation if isinstance(made, GaussianRBM) else v
    joint = own[:, None] + (h @ made.hidden_bias)[None] + seen @ made.weight.T @ h.T
    assert_close(made.free_energy(v), -torch.logsumexp(joint, 1))
    assert_close(made(v), joint.softmax(1) @ h)
    assert_close(made.visible(h), joint.softmax(0).T @ v, rtol=1e-6, atol=1e-8)


def test_tempered_log_weights_lie_on_the_line_between_both_ends(kind):
    made, v, _ = kind
    v = v[:: max(1, len(v) // 50)]
    base = torch.linspace(-0.5, 0.7, v.shape[1], dtype=torch.float64)
    machine = sampling._machine.machine_of(made).at(1.0, base)
    own = machine.units.own
    for beta in (0.0, 0.3, 1.0):
        wanted = (1 - beta) * own(v, base).sum(1) + beta * own(v, made.visible_bias).sum(1)
        hidden = torch.nn.functional.softplus(beta * made.hidden_logit(v)).sum(1)
        assert_close(machine.at(beta).log_weight(v), wanted + hidden)
        many = machine.at(torch.full((len(v), 1), beta, dtype=torch.float64))
        assert_close(many.log_weight(v), wanted + hidden)


def test_annealing_finds_log_z_from_both_sides(kind):
    made, states, _ = kind
    gen = torch.Generator().manual_seed(2)
    exact = states[torch.multinomial(law(made, states), 400, replacement=True, generator=gen)]
    base = made.units.base(exact)
    found = sampling.annealed_importance_sampling(
        made, runs=400, temperatures=100, base=base, samples=exact, generator=gen
    )
    log_z = sampling.log_partition(made)
    assert abs(found.value - log_z) < 4 * found.standard_error < 0.2
    assert found.lower - 4 * found.lower_error < log_z < found.upper + 4 * found.upper_error
    likely = sampling.log_likelihood(made, exact, log_partition=found)
    assert_close(likely.examples, -made.free_energy(exact).detach() - found.value)


@pytest.mark.parametrize("how", ["chains", "tempering"])
def test_samples_have_the_law(kind, how):
    made, states, _ = kind
    gen, share = torch.Generator().manual_seed(3), law(made, states)
    if how == "chains":
        v = sampling.Chains(made, start=20_000, generator=gen).sweep(40)
    else:
        run = sampling.ParallelTempering(made, temperatures=4, chains=20_000, generator=gen)
        v = run.sweep(12)
    for found, wanted in ((v, share @ states), (v.square(), share @ states.square())):
        error = found.std(0) / len(v) ** 0.5
        assert ((found.mean(0) - wanted).abs() < 4.5 * error + 1e-9).all()
    pair = v[:, 0] * v[:, -1]
    assert abs(pair.mean() - share @ (states[:, 0] * states[:, -1])) < 4.5 * pair.std() / 141


def exact_gradient(made, v):
    """Of the mean of ``log p(v)``, by automatic differentiation of sums over the hidden states."""
    h, units = every(3), made.units
    drive = h @ made.weight
    log_z = torch.logsumexp(
        h @ made.hidden_bias + units.log_normaliser(made.visible_bias, drive), 0
    )
    value = -made.free_energy(v).mean() - log_z
    return dict(
        zip(
            dict(made.named_parameters()),
            torch.autograd.grad(value, list(made.parameters())),
            strict=True,
        )
    )


@pytest.mark.parametrize("sampler", ["none", "persistent", "tempered"])
def test_the_expected_step_is_the_gradient_of_the_exact_likelihood(kind, sampler):
    made, states, _ = kind
    gen, n = torch.Generator().manual_seed(4), 20_000
    v = states[torch.randint(len(states), (5,), generator=gen)]
    wanted, before = exact_gradient(made, v), {k: p.clone() for k, p in made.named_parameters()}
    samplers = {
        "none": {"k": 30},
        "persistent": {"sampler": sampling.Persistent(n, k=10)},
        "tempered": {"sampler": sampling.Tempered(n, 4, k=6)},
    }
    rates = dict.fromkeys(before, 1.0)
    method = ContrastiveDivergence(
        made, rate=rates, momentum=0.0, decay=0.0, generator=gen, **samplers[sampler]
    )
    rows = v.repeat(n // 5, 1) if sampler == "none" else v
    for _ in range(1 if sampler == "none" else 3):  # chains start at the data
        with torch.no_grad():
            for name, p in made.named_parameters():
                p.copy_(before[name])
        method.step([rows])
    for name, p in made.named_parameters():
        assert_close(p.detach() - before[name], wanted[name], rtol=0, atol=0.06)
        assert wanted[name].abs().max() > 0.06  # it can fail


def test_deviations_are_learned_after_the_rest():
    gen = torch.Generator().manual_seed(3)
    side = torch.randint(0, 2, (2000, 1), generator=gen).double() * 2 - 1
    x = 2 * side + 0.5 * torch.randn(2000, 2, generator=gen, dtype=torch.float64)
    made = GaussianRBM(2, 4, dtype=torch.float64)

    def likelihood():
        return float(-made.free_energy(x).detach().mean()) - sampling.log_partition(made)

    def learn(epochs, **options):
        method = ContrastiveDivergence(made, decay=0.0, **options)
        method.start((x,), gen)
        for _ in range(epochs):
            for rows in x.split(100):
                method.step((rows,))

    learn(15, rate=0.01)
    assert (made.deviation == 1).all()
    before, bias = likelihood(), made.visible_bias.clone()
    rates = dict.fromkeys(("weight", "visible_bias", "hidden_bias"), 0.01)
    learn(0, rate=rates)
    assert torch.equal(made.visible_bias, bias)
    learn(50, rate=rates | {"log_variance": 0.005}, k=5)
    assert ((made.deviation - 0.5).abs() < 0.1).all()
    assert likelihood() > before + 0.5


def test_choices_are_learned():
    values = torch.tensor([[0, 1, 2], [1, 2, 0], [2, 0, 1]])  # of 27, 3 occur
    v = torch.nn.functional.one_hot(values, 3).flatten(1).double()
    made = SoftmaxRBM(3, 3, 6, dtype=torch.float64)
    assert_close(made.units.base(v), torch.full((9,), -math.log(3), dtype=torch.float64))
    method = ContrastiveDivergence(made, rate=0.3, momentum=0.0, decay=0.0)
    method.start((v,), torch.Generator().manual_seed(0))
    for _ in range(500):
        method.step((v.repeat(30, 1),))
    found = sampling.log_likelihood(made, v, log_partition=sampling.log_partition(made))
    assert -math.log(3) - 0.1 < found.value < -math.log(3)  # at first -3.3


HALF = torch.full((2, 6), 0.5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: ContrastiveDivergence(RBM(2, 2), rate={"log_variance": 0.1}),
            "parameter in rate 'log_variance' is unknown; nearest: 'weight'",
        ),
        (
            lambda: ContrastiveDivergence(GaussianRBM(2, 2), rate={"log_variance": 0.0}),
            r"rate must be positive, got 0\.0; pass rate=0\.05",
        ),
        (lambda: ContrastiveDivergence(RBM(2, 2), rate={}), "rate must name a parameter, got"),
        (lambda: SoftmaxRBM(2, 1, 3), "classes must be a whole number from 2 on, got 1"),
        (
            lambda: fit(ContrastiveDivergence(SoftmaxRBM(2, 3, 2)), (HALF,), epochs=1),
            r"data must have one unit on in each group of 3, got sums from 1\.5 to 1\.5; pass",
        ),
        (
            lambda: sampling.Chains(SoftmaxRBM(2, 3, 2), start=HALF * 2 / 3),
            "start must have one unit on in each group of 3, got sums from 1 to 1",
        ),
        (
            lambda: sampling.stationary(GaussianRBM(2, 2)),
            "model must have binary visible units for tables of their states, got GaussianUnits",
        ),
        (
            lambda: sampling.Chains(RBM(6, 2), start=HALF),
            r"start must be zeros and ones, got 0\.5 to 0\.5; pass \(data > 0\.5\)",
        ),
    ],
)
def test_wrong_use(call, message):
    with pytest.raises(UsageError, match=message):
        call()
