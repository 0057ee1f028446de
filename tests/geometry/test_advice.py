"""Advice against dense grids of real trainings, and that the copies learn what a model would."""

import copy
import math

import numpy as np
import pytest
import torch
from torch import nn

import nakami
from nakami.geometry import AdviceEnding, AdviceNote, LimitEnding, learning_rate_report
from nakami.geometry.rate import _advice
from nakami.geometry.rate._advice import _outcomes
from nakami.geometry.rate._optimizers import make
from nakami.geometry.rate._trials import STEP, Found, Training, Trials, fastest
from nakami.operators import CurvatureOperator

SETTINGS = {"sgd": {}, "momentum": {"momentum": 0.9}, "adam": {}}


def blobs(seed, batches=40, size=32):
    """Four classes around centres, in batches."""
    g = torch.Generator().manual_seed(seed)
    centres = 0.8 * torch.randn(4, 10, generator=g)
    labels = torch.randint(4, (batches, size), generator=g)
    x = centres[labels] + torch.randn(batches, size, 10, generator=g)
    return list(zip(x, labels, strict=True))


def network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 4)
    )


def final(rate, name, batches, steps=150):
    """Log of the mean loss over the last fifteen steps of a real training."""
    model, losses = network(), []
    kind = torch.optim.Adam if name == "adam" else torch.optim.SGD
    optimizer = kind(model.parameters(), lr=rate, **SETTINGS[name])
    for step in range(steps):
        x, y = batches[step % len(batches)]
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    last = np.mean(losses[-15:])
    return math.log(last) if np.isfinite(last) else math.inf


@pytest.mark.parametrize("name", SETTINGS)
def test_the_advised_rate_trains_about_as_well_as_the_best_of_a_grid(name):
    batches = blobs(0)
    found = nakami.learning_rate(network(), batches[:32], "cross_entropy", name)
    assert found.advised is not None
    low, high = found.interval
    assert low <= found.advised <= high
    rates = found.advised * STEP ** np.arange(-6, 7)
    grid = [final(rate, name, batches) for rate in rates]
    assert final(found.advised, name, batches) <= min(grid) + 0.15
    assert min(grid) < grid[0] - 0.3
    assert min(grid) < grid[-1] - 0.3
    assert found.cost < 0.15 * 150 * 13


class Bowl:
    """Gradient descent on a quadratic loss, written out."""

    def __init__(self, rate, curvatures, offset=0.0):
        self.factors, self.curvatures = 1 - rate * curvatures, curvatures
        self.offset, self.losses = offset, []

    def step(self):
        at = self.factors ** len(self.losses)
        self.losses.append(float(self.curvatures @ at**2) + self.offset)
        return self.losses[-1]


CURVATURES = np.array([4.0, 1.0, 0.5, 0.2])


def bowl(start, offset=0.0):
    first = CURVATURES.sum() + offset
    return Trials(lambda rate: Bowl(rate, CURVATURES, offset), start, [first])


@pytest.mark.parametrize("start", [1e-4, 1e-2, 0.3, 4.0, 1e3])
def test_the_search_finds_the_best_rate_of_a_bowl_from_afar(start):
    trials = bowl(start)
    found = fastest(trials, 24, 1.0)

    def score(rate):
        run = Bowl(rate, CURVATURES)
        return np.mean(np.log([run.step() for _ in range(24)][16:]))

    rates = np.geomspace(0.01, 0.499, 400)
    best = min(score(rate) for rate in rates)
    assert score(trials.rate(found.best)) <= score(rates[-1] / STEP)
    assert abs(math.log(trials.rate(found.index) / rates[np.argmin([*map(score, rates)])])) < 0.8
    assert found.score <= best / 2
    assert found.unstable is None or trials.rate(found.unstable) > 0.5  # 2 / 4
    assert trials.steps == sum(len(t.losses) for t in trials.results())


def test_losses_that_are_not_positive_are_compared_by_difference():
    assert fastest(bowl(0.3, -20.0), 24, 1.0).best == fastest(bowl(0.3), 24, 1.0).best


class Reached(Bowl):
    """A loss that is 0 from some step on, the earlier the nearer its rate is to 0.1."""

    def __init__(self, rate):
        self.reached, self.losses = 4 + 6 * abs(math.log(rate / 0.1)), []

    def step(self):
        self.losses.append(max(0.0, 1 - len(self.losses) / self.reached))
        return self.losses[-1]


def test_a_loss_of_zero_is_the_best_of_all():
    found = fastest(trials := Trials(Reached, 0.01, [1.0]), 24, 1.0)
    assert trials.rate(found.low) <= 0.1 <= trials.rate(found.high)
    late = Trials(lambda rate: Bowl(rate, CURVATURES), 0.01, [CURVATURES.sum()])
    assert found.score < fastest(late, 24, 1.0).score
    assert not found.at_end
    assert trials.positive


def test_a_search_that_ends_on_the_way_is_doubted():
    class Endless(Bowl):
        def __init__(self, rate):
            self.rate, self.losses = rate, []

        def step(self):
            self.losses.append((1 + self.rate) ** (-0.01 * len(self.losses)))
            return self.losses[-1]

    assert fastest(Trials(Endless, 1e-3, [1.0]), 24, 1.0).at_end
    lower = Found(3.0, 3, 2.0, 3.0, -1.0, None, at_end=True, endless=False)
    said = _outcomes(Trials(Endless, 1e-3, [1.0]), lower, 24, 1.0)
    assert [note.kind for note in said["advice_notes"]] == [AdviceNote.AT_END]


UNBOUNDED = {
    "a mean": lambda z, t: -z.mean(),
    "a mean that begins above 0": lambda z, t: 1 - z.mean(),
    "a mean that stays above 0": lambda z, t: 1e9 - z.mean(),
    "a square": lambda z, t: -z.square().mean(),
    "a logarithm": lambda z, t: -(1 + z.abs()).log().mean(),
}


@pytest.mark.parametrize(
    ("loss", "optimizer"), [*((name, "sgd") for name in UNBOUNDED), ("a mean", "adam")]
)
def test_a_loss_without_a_lower_bound_has_no_best_rate(loss, optimizer):
    """At plain descent its mean falls in proportion to the rate, with no end."""
    generator = torch.Generator().manual_seed(0)
    model = nn.Linear(4, 1).double()
    x = torch.randn(9, 4, generator=generator, dtype=torch.float64)
    found = nakami.learning_rate(model, (x, x), UNBOUNDED[loss], optimizer)
    assert (found.advised, found.interval) == (None, None)
    assert found.outcome.kind is AdviceEnding.NO_END
    assert not found.converged
    start, end = (found.outcome.numbers[key] for key in ("start", "end"))
    assert start == pytest.approx(UNBOUNDED[loss](model(x).detach(), x).item())
    assert end < start
    assert "without a lower bound" in found.advice
    both = learning_rate_report(model, (x, x), UNBOUNDED[loss], optimizer, spectrum=False)
    assert both.rate == found
    assert both.limit.outcome.kind is not LimitEnding.FITTED


def test_a_faster_group_of_another_model_changes_the_unit_alone():
    model, data = network(), blobs(0, 2)
    own = {"params": list(model.parameters()), "lr": 0.01}
    other = {"params": list(nn.Linear(2, 2).parameters()), "lr": 1.0}
    stepping = [torch.optim.SGD(groups) for groups in ([own], [own, other])]
    alone, both = (nakami.rate_limit(model, data, "cross_entropy", each) for each in stepping)
    assert both.limits[0] == pytest.approx(alone.limit)
    assert both.limit == pytest.approx(100 * alone.limit)  # rates are those of the fastest group
    alone, both = (nakami.learning_rate(model, data, "cross_entropy", each) for each in stepping)
    assert both.advised == pytest.approx(100 * alone.advised, rel=1e-3)
    for a, b in zip(alone.trials, both.trials, strict=True):
        assert b.rate == pytest.approx(100 * a.rate, rel=1e-3)
        assert b.losses[:9] == pytest.approx(a.losses[:9], rel=1e-2)


def test_a_loss_that_is_not_positive_is_said():
    model, (x, y) = network(), blobs(0, 1)[0]
    plain = nn.functional.cross_entropy
    found = nakami.learning_rate(model, (x, y), lambda z, t: plain(z, t) - 9.0)
    assert found.outcome.kind is AdviceEnding.FASTEST_BY_SIZE
    assert "of its size" in found.advice
    assert "it is not positive, so no trial could show where it runs away" in found.advice


def test_no_advice_where_no_loss_falls():
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    x = torch.randn(8, 3)
    y = model(x).detach()  # nothing is left to learn
    y[0] += 1e-30
    model.requires_grad_(True)
    found = nakami.learning_rate(
        model, [(x, y + 0.0)], lambda z, t: (z * 0.0).square().mean() + 1.0
    )
    assert found.advised is None
    assert found.interval is None
    assert found.outcome.kind is AdviceEnding.NO_FALL
    assert found.advice.startswith("none: the loss fell in no trial of 21 steps")


@pytest.mark.parametrize("offset", [100.0, 1000.0])
def test_a_constant_in_the_loss_changes_no_rate_but_is_doubted(offset):
    model, (x, y) = network(), blobs(0, 1)[0]
    plain = nn.functional.cross_entropy
    rates = [
        nakami.learning_rate(model, (x, y), lambda z, t, c=c: c + plain(z, t))
        for c in (0.0, offset)
    ]
    assert rates[0].advised / 3 < rates[1].advised < rates[0].advised * 3
    notes = [{note.kind for note in found.notes} for found in rates]
    assert AdviceNote.LITTLE in notes[1] - notes[0]
    assert "it fell little: where a plateau comes first" in rates[1].advice
    assert "little" not in rates[0].advice


def test_a_loss_that_is_linear_in_the_outputs_has_no_known_limit():
    model, (x, y) = nn.Sequential(network(), nn.LogSoftmax(1)), blobs(0, 1)[0]
    with pytest.raises(ValueError, match=r"curved in the outputs .*NLLLoss.* pass \"cross_entropy"):
        nakami.rate_limit(model, (x, y), nn.NLLLoss())
    assert nakami.rate_limit(model, (x, y), "cross_entropy").limit < math.inf
    linear = lambda z, t: nn.functional.nll_loss(z, t)  # noqa: E731
    found = nakami.rate_limit(model, (x, y), linear)
    assert found.limit == math.inf
    none = "no limit is known: the Gauss-Newton matrix has no eigenvalue above 0"
    assert found.reason.startswith(none)
    assert "logits with cross_entropy" in found.reason
    downwards = lambda z, t: -nn.functional.cross_entropy(z, t)  # noqa: E731
    found = nakami.rate_limit(network(), (x, y), downwards)
    assert (found.limit, found.lambda_max) == (math.inf, 0.0)
    assert found.reason.startswith(none)


@pytest.mark.parametrize("name", ["momentum", "adam"])
def test_a_training_on_copies_goes_on_as_the_real_one(name):
    batches = blobs(1, 8)
    model = network()
    optimizer = make(name, dict(model.named_parameters()))
    optimizer.param_groups[0]["lr"] = 3e-3

    def steps(model, optimizer, some):
        for x, y in some:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()

    steps(model, optimizer, batches[:4])
    op = nakami.ggn(model, batches[4:], "cross_entropy")
    training = Training(optimizer, dict(model.named_parameters()), op)
    before = copy.deepcopy(model.state_dict())
    for _ in range(4):
        training.step()
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    steps(model, optimizer, batches[4:])
    for key, value in model.named_parameters():
        torch.testing.assert_close(training.copies[key], value.detach(), rtol=1e-4, atol=1e-6)


def test_groups_keep_their_ratio_and_memory_sets_the_length():
    model = network()
    groups = [{"params": model[0].parameters(), "lr": 0.1}, {"params": model[2].parameters()}]
    optimizer = torch.optim.SGD(groups, lr=0.02, momentum=0.75)
    op = nakami.ggn(model, blobs(0, 1), "cross_entropy")
    training = Training(optimizer, dict(model.named_parameters()), op, 0.5)
    assert [group["lr"] for group in training.optimizer.param_groups] == pytest.approx([0.5, 0.1])
    assert [group["lr"] for group in optimizer.param_groups] == [0.1, 0.02]
    for momentum, steps in ((0.0, 21), (0.75, 24), (0.9, 30)):
        sgd = torch.optim.SGD(model.parameters(), lr=0.1, momentum=momentum)
        found = nakami.learning_rate(model, blobs(0, 1), "cross_entropy", sgd)
        assert max(len(trial.losses) for trial in found.trials) == found.steps == steps


def test_the_gradient_at_the_start_is_taken_once(monkeypatch):
    """All trials begin with it: the cost that is told is what is made."""
    made, plain = [], CurvatureOperator.loss_and_gradient

    def counted(self, at):
        made.append(self.n_examples)
        return plain(self, at)

    monkeypatch.setattr(CurvatureOperator, "loss_and_gradient", counted)
    batches = blobs(0)[:4]
    found = nakami.learning_rate(network(), batches, "cross_entropy")
    steps = sum(len(trial.losses) for trial in found.trials)
    assert len(made) == 1 + steps - len(found.trials)
    assert found.cost == pytest.approx(len(made) + 5 / 3 + 4 / 3)
    first = {trial.losses[0] for trial in found.trials}
    assert first == {plain(*_at_start(batches))[0]}


def _at_start(batches):
    op = nakami.ggn(network(), batches[:1], "cross_entropy")
    return op, torch.cat([w.detach().reshape(-1) for w in op.weights.values()])


def test_the_interval_is_that_of_the_trials_where_the_advice_is_lowered(monkeypatch):
    """The best of the trials lies above an advice of a quarter of the rate that ran away."""

    def near_the_edge(trials, steps, lag):
        trials.score(0, 3)
        return Found(0.2, 0, -0.4, 0.3, -2.0, 1, at_end=False, endless=False)

    monkeypatch.setattr(_advice, "fastest", near_the_edge)
    found = nakami.learning_rate(network(), blobs(0)[:2], "cross_entropy", "momentum")
    start, margin = found.trials[0].rate, 10 ** (1 / 6)
    assert found.advised == pytest.approx(start * STEP / 4)
    assert AdviceNote.QUARTER in [note.kind for note in found.notes]
    ends = start * STEP**-0.4 / margin, start * STEP**0.3 / margin
    assert found.interval == pytest.approx((min(ends[0], found.advised), ends[1]))
    assert found.interval[1] > 1.2 * found.advised
