"""The report on a network against dense eigenvalues, its parts, and meanfield."""

import copy
import math

import pytest
import torch
from torch import nn

import nakami
from curvatures import Dense, case
from nakami.geometry import LimitOptions, learning_rate_report
from nakami.geometry.rate import _eigenvalues
from nakami.results import NakamiWarning, UsageError
from nakami.theory import meanfield


def network():
    generator = torch.Generator().manual_seed(0)
    model = nn.Sequential(nn.Linear(12, 40), nn.Tanh(), nn.Linear(40, 3)).double()
    for p in model.parameters():
        p.data.normal_(0, 0.3, generator=generator)
    x = torch.randn(24, 12, generator=generator, dtype=torch.float64)
    y = torch.randint(0, 3, (24,), generator=generator)
    return model, x, y


def halves(x, y):
    return [(x[:12], y[:12]), (x[12:], y[12:])]


def test_parts_are_those_of_the_library():
    model, x, y = network()
    options, given = LimitOptions(tol=1e-6), (model, halves(x, y), "cross_entropy", "momentum")
    found = learning_rate_report(*given, options=options)
    limit = nakami.rate_limit(*given, options=options)
    assert found.limit.limit == pytest.approx(limit.limit)
    assert found.rate.advised == pytest.approx(nakami.learning_rate(*given).advised)
    assert found.limit.noise.n_batches == 2
    assert found.batch == 12
    e = found.eigenvalues
    assert e.largest == pytest.approx(limit.lambda_max, rel=1e-5)
    assert (e.exact, e.parameters) == (True, 12 * 40 + 40 + 120 + 3)
    assert set(e.error) == {0.0}


@pytest.mark.parametrize("dense", [1024, 1])
def test_count_by_decade_against_all_eigenvalues(monkeypatch, dense):
    monkeypatch.setattr(_eigenvalues, "DENSE", dense)
    model, x, y = network()
    op = Dense(model, x, y, nn.CrossEntropyLoss())
    values = torch.linalg.eigvalsh(op.own(op.fisher()))
    e = learning_rate_report(model, (x, y), "cross_entropy").eigenvalues
    points, kept = torch.tensor(e.points).double(), values[values > 1e-9]
    normal = torch.distributions.Normal(kept.log10(), e.width)
    wanted = normal.log_prob(points.log10()[:, None]).exp().sum(1)
    error = 6 * torch.tensor(e.error) + 0.03 * float(wanted.max())
    if dense > 1:
        error = torch.tensor(1e-6)
        assert e.above == pytest.approx(float((values > e.points[0]).sum()), abs=1e-6)
    assert bool(((torch.tensor(e.count) - wanted).abs() <= error).all())
    assert e.exact is (dense > 1)


@pytest.mark.parametrize("loss", [nn.MSELoss(), nn.MSELoss(reduction="sum")])
def test_theory_of_squared_error(loss):
    model, x, _ = network()
    y = torch.zeros(24, 3).double()
    found = learning_rate_report(model, (x, y), loss, "nesterov", spectrum=False)
    order = meanfield.describe(model, x).order
    wanted = meanfield.learning_rate(order, 24, loss.reduction, momentum=0.9, nesterov=True)
    assert found.theory.limit[1] == pytest.approx(wanted.limit)
    assert found.theory.high > found.theory.low
    assert found.eigenvalues is None
    assert found.limit.noise is None  # one batch


def test_theory_of_cross_entropy_and_of_adam():
    model, x, y = network()
    bounds = meanfield.cross_entropy_bounds(
        meanfield.describe(model, x).order, model(x).softmax(1).detach().numpy()
    )
    found = learning_rate_report(model, (x, y), "cross_entropy", spectrum=False)
    assert found.theory.limit == pytest.approx((bounds.limit_low, bounds.limit_high))
    adam = learning_rate_report(model, (x, y), "cross_entropy", "adam", spectrum=False)
    assert adam.theory.limit is None
    assert adam.theory.low == pytest.approx(bounds.lower)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("cnn", "convolutions share weights"),
        ("bernoulli", "squared error and plain cross-entropy"),
        ("tokens", "one floating input an example"),
    ],
)
def test_what_theory_does_not_cover_is_said(name, words):
    model, x, y, loss = case(name)
    found = learning_rate_report(model, (x, y), loss, spectrum=False)
    assert found.theory is None
    assert words in found.why_not


def test_theory_of_another_view_or_of_frozen_layers_is_refused():
    model, x, y = network()
    for view in ({"select": lambda z: 3 * z}, {"forward": lambda m, x: 3 * m(x)}):
        found = learning_rate_report(
            nakami.View(model, **view), (x, y), "cross_entropy", spectrum=False
        )
        assert found.theory is None
        assert "without forward= or select=" in found.why_not
    model[0].weight.requires_grad_(False)
    found = learning_rate_report(model, (x, y), "cross_entropy", spectrum=False)
    assert found.theory is None
    assert "'0.weight' is not" in found.why_not


def test_theory_gives_no_limit_where_parameters_step_at_several_rates():
    model, x, y = network()
    first, last = list(model[0].parameters()), list(model[2].parameters())
    kinds = {
        "several": [{"params": first, "lr": 1.0}, {"params": last, "lr": 0.01}],
        "some": [{"params": last, "lr": 1.0}],
        "one": [{"params": first, "lr": 1.0}, {"params": last, "lr": 1.0}],
    }
    for name, groups in kinds.items():
        found = learning_rate_report(
            model, (x, y), "cross_entropy", torch.optim.SGD(groups), spectrum=False
        )
        assert (found.theory.limit is None) == (name != "one")


def test_nothing_is_touched():
    model, x, y = network()
    model.train()
    before, state = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    learning_rate_report(model, halves(x, y), "cross_entropy", "adam")
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    assert model.training
    assert all(p.grad is None for p in model.parameters())


def test_wrong_use_before_the_work():
    model, x, y = network()
    with pytest.raises(UsageError, match="loss 'mze' is unknown"):
        learning_rate_report(model, (x, y), "mze")
    with pytest.raises(UsageError, match="optimizer 'adm' is unknown"):
        learning_rate_report(model, (x, y), "mse", "adm")
    with pytest.raises(UsageError, match=r"the targets of a batch must be classes from 0 to 2"):
        learning_rate_report(model, (x, y + 1), "cross_entropy")
    with pytest.raises(UsageError, match="the loss must be finite"):
        learning_rate_report(model, (x, torch.full((24, 3), math.inf)), "mse")


@pytest.mark.parametrize(
    ("work", "dense", "samples"),
    [
        (3e5, 80, None),
        (3e5, 60, 18),
        (3e5, 40, 12),
        (1.0, 80, 12),
        (5e6, 20, 12),
        (3e6, 20, 12),
        (1.0, 20, 12),
    ],
)
def test_eigenvalues_of_the_first_batches_where_all_take_too_long(
    monkeypatch, work, dense, samples
):
    """24 examples of 3 outputs in batches of 12, 6 and 6; 36, 54 and 72 rows."""
    monkeypatch.setattr(_eigenvalues, "DENSE", dense)
    monkeypatch.setattr(_eigenvalues, "WORK", work)
    monkeypatch.setattr(_eigenvalues, "MOST", math.inf)
    model, x, y = network()
    batches = [(x[:12], y[:12]), (x[12:18], y[12:18]), (x[18:], y[18:])]
    e = learning_rate_report(model, batches, "cross_entropy").eigenvalues
    count = e.n_samples or 24
    assert (e.n_samples, e.exact) == (samples, dense > 20)  # a gradient on one takes some 3,600
    op = Dense(model, x[:count], y[:count], nn.CrossEntropyLoss())
    values = torch.linalg.eigvalsh(op.own(op.fisher()))
    assert e.largest == pytest.approx(float(values[-1]), rel=1e-3)
    if e.exact:
        wanted = float((values > e.points[0]).sum())
        assert e.above == pytest.approx(wanted, abs=0.5)
    else:
        few = _eigenvalues.FEW if work == 5e6 else _eigenvalues.FEWEST
        assert (e.n_probes, e.steps) == few[::-1]
        assert e.largest / e.points[0] == pytest.approx(10 ** (3.5 if work == 5e6 else 2.5))
        above = float((values > e.points[0]).sum())
        assert e.above == pytest.approx(above, rel=0.35)


def test_eigenvalues_are_left_out_where_nothing_is_near_a_minute(monkeypatch):
    monkeypatch.setattr(_eigenvalues, "DENSE", 20)
    monkeypatch.setattr(_eigenvalues, "WORK", 5e5)
    model, x, y = network()
    batches = [(x[:12], y[:12]), (x[12:], y[12:])]
    with pytest.warns(NakamiWarning, match="all eigenvalues lie is left out, .* about 3 minutes"):
        found = learning_rate_report(model, batches, "cross_entropy")
    assert found.eigenvalues is None


def test_rows_that_mix_examples_are_counted_as_products(monkeypatch):
    """A row of a network with batch statistics is a pass over the whole batch, not one example."""
    model, x, y = network()
    mixed = nn.Sequential(model[0], nn.BatchNorm1d(40).double(), *model[1:])
    view = nakami.View(mixed, batch_statistics=True)
    ways = [
        _eigenvalues.Way(nakami.ggn(net, (x, y), "cross_entropy"), True, 64, 5)
        for net in (model, view)
    ]
    rows = 24 * 3
    assert [way.passes for way in ways] == pytest.approx([rows, rows * 5 / 3 * 24])
    monkeypatch.setattr(_eigenvalues, "WORK", 1.0)
    monkeypatch.setattr(_eigenvalues, "MOST", math.inf)
    monkeypatch.setattr(_eigenvalues, "FEWEST", (8, 2))
    op = nakami.ggn(view, (x, y), "cross_entropy")
    assert _eigenvalues._affordable(op)[1:] == (False, 8, 2)
    assert _eigenvalues._affordable(nakami.ggn(model, (x, y), "cross_entropy")).exact
