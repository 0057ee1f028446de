"""Every optimizer that observes runs the same checks; a new one is an entry of the list."""

import copy
import io
import pickle

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss

from nakami.results import NakamiWarning, RunError, UsageError
from observer_list import OBSERVERS, Rosenbrock, train

every = pytest.mark.parametrize("entry", OBSERVERS.values(), ids=OBSERVERS)


def drawn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def small(seed=0):
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.LayerNorm(5), nn.Linear(5, 3)).double()
    return net, drawn(30, 4), torch.arange(30) % 3


class Wave(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.ones(2, 2, dtype=torch.complex64))

    def forward(self, x):
        return self.w.real


def weights(net):
    return [p.detach().clone() for p in net.parameters()]


def equal(first, second):
    return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@every
def test_a_quadratic_is_descended_to_its_minimum(entry):
    settings, steps, share = entry.quadratic
    x = drawn(100, 4) * torch.tensor([0.3, 1.0, 3.0, 1.0]) + torch.tensor([0.0, 2.0, 0.0, 0.0])
    y = x @ drawn(4, 2, seed=1) + 0.1 * drawn(100, 2, seed=2)
    tilde = torch.cat([x, torch.ones(100, 1).double()], dim=1)
    least = float((tilde @ torch.linalg.lstsq(tilde, y).solution - y).square().mean())
    torch.manual_seed(0)
    net = nn.Linear(4, 2).double()
    start = float(mse_loss(net(x), y).detach())
    optimizer = entry.make(net, "mse", **settings)
    end = train(optimizer, net, x, y, mse_loss, steps, entry.batch)
    assert end - least < share * (start - least)
    assert end > least - 1e-12


@every
def test_rosenbrock(entry):
    if entry.rosenbrock is None:
        pytest.skip("has no matrix: the diagonal of K-FAC")
    settings, steps, loss = entry.rosenbrock
    net, x = Rosenbrock(), torch.ones(1, 2, dtype=torch.float64)
    end = train(entry.make(net, "mse", **settings), net, x, 0 * x, mse_loss, steps)
    assert 2 * end < loss


@every
def test_steps_stay_bounded_under_a_steady_gradient(entry):
    if not entry.steady:
        pytest.skip("needs noise in its gradients")
    torch.manual_seed(0)
    net, x = nn.Linear(3, 2).double(), drawn(8, 3)
    optimizer = entry.make(net, "mse")
    steady = [drawn(*p.shape, seed=i) for i, p in enumerate(net.parameters())]
    size = float(sum(g.square().sum() for g in steady)) ** 0.5
    longest = 0.0
    for t in range(entry.steady):
        before = weights(net)
        if getattr(optimizer, "due", t % 10 == 0 or entry.steady < 10):
            optimizer.observe(net(x), x.new_zeros(8, 2))
        for p, g in zip(net.parameters(), steady, strict=True):
            p.grad = g.clone()
        optimizer.step()
        if t % 10 == 0 or t > entry.steady - 10:
            moves = [b - p.detach() for b, p in zip(before, net.parameters(), strict=True)]
            along = float(sum((m * g).sum() for m, g in zip(moves, steady, strict=True)))
            assert along >= 0  # downhill
            longest = max(longest, float(sum(m.square().sum() for m in moves)) ** 0.5)
        if t % 50 == 49:
            with torch.no_grad():
                for p in net.parameters():
                    p.zero_()
    assert 0 < longest <= entry.bound * size


@every
def test_a_state_that_is_saved_and_loaded_goes_on_to_the_same_bits(entry):
    net, x, y = small()
    optimizer = entry.make(net, "cross_entropy")
    state = torch.get_rng_state()
    train(optimizer, net, x, y, cross_entropy, 11 if entry.groups else 1)
    assert torch.equal(torch.get_rng_state(), state)
    saved = pickle.loads(pickle.dumps((net.state_dict(), optimizer.state_dict())))
    train(optimizer, net, x, y, cross_entropy, 11 if entry.groups else 1)
    again, _, _ = small(seed=1)
    second = entry.make(again, "cross_entropy")
    again.load_state_dict(saved[0])
    second.load_state_dict(saved[1])
    train(second, again, x, y, cross_entropy, 11 if entry.groups else 1)
    assert equal(weights(net), weights(again))
    with pytest.raises(UsageError, match="state_dict must be a"):
        second.load_state_dict(torch.optim.SGD(net.parameters(), lr=1.0).state_dict())


@every
def test_a_group_has_settings_of_its_own_or_is_refused(entry):
    net, x, y = small()
    head = nn.Linear(3, 3).double()
    optimizer = entry.make(net, "cross_entropy")
    if not entry.groups:
        with pytest.raises(UsageError, match="parameter groups must be one, the model's"):
            optimizer.add_param_group({"params": head.parameters()})
        assert len(optimizer.param_groups) == 1
        return
    with pytest.raises(UsageError, match=r"lr must be a number from 0 on, got -1\.0"):
        optimizer.add_param_group({"params": head.parameters(), "lr": -1.0})
    optimizer.add_param_group({"params": head.parameters(), "lr": 0.0})
    before = weights(head), weights(net)
    train(optimizer, nn.Sequential(net, head), x, y, cross_entropy, 12)
    assert equal(weights(head), before[0])
    assert not equal(weights(net), before[1])


@every
def test_weights_without_a_gradient_stay(entry):
    net, x, y = small()
    before, optimizer = weights(net), entry.make(net, "cross_entropy")
    for _ in range(11 if entry.groups else 1):
        optimizer.zero_grad()
        z = net(x)
        optimizer.observe(z, y)
        cross_entropy(z, y).backward()
        net[0].weight.grad = net[0].bias.grad = None
        optimizer.step()
    assert equal(weights(net)[:2], before[:2])
    assert not equal(weights(net)[2:], before[2:])


@every
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_gradients_that_are_no_numbers_are_refused_or_stay_in_their_weight(entry, bad):
    net, x, y = small()
    optimizer = entry.make(net, "cross_entropy")
    train(optimizer, net, x, y, cross_entropy, 11 if entry.groups else 1)
    before = weights(net)
    z = net(x)
    optimizer.observe(z, y)
    cross_entropy(z, y).backward()
    net[3].weight.grad[0, 0] = bad
    if entry.spreads:
        with pytest.raises(RunError, match="met gradients that are not finite; lower lr, raise da"):
            optimizer.step()
        assert equal(weights(net), before)
        train(optimizer, net, x, y, cross_entropy, 1)
    else:
        optimizer.step()
    assert all(bool(w.isfinite().all()) for w in weights(net)[:-2])


@every
def test_sparse_and_complex_weights_are_refused(entry):
    table = nn.Sequential(nn.Embedding(5, 3, sparse=True)).double()
    before, optimizer = weights(table), entry.make(table, "cross_entropy")
    tokens = torch.tensor([1, 3])
    with pytest.raises(UsageError, match="gradients must be dense"):
        train(optimizer, table, tokens, tokens % 3, cross_entropy, 1)
    assert equal(weights(table), before)
    net = Wave()
    with pytest.raises(UsageError, match=r"float32 or float64, got torch\.complex64"):
        train(entry.make(net, "mse"), net, torch.zeros(2, 2), torch.zeros(2, 2), mse_loss, 1)


@every
def test_wrong_arguments_are_named(entry):
    for settings, message in entry.wrong:
        with pytest.raises(UsageError, match=message):
            entry.make(small()[0], "mse", **settings)


@pytest.mark.parametrize("name", ["KFAC", "VSGD", "HessianFree"])  # each has a step of its own
def test_a_compiled_step_is_the_step(name):
    entry, (net, x, y), steps = OBSERVERS[name], small(), 1
    own = copy.deepcopy(net)
    train(entry.make(own, "cross_entropy"), own, x, y, cross_entropy, steps)
    optimizer = entry.make(net, "cross_entropy")
    optimizer.step = torch.compile(optimizer.step, backend="eager")
    train(optimizer, net, x, y, cross_entropy, steps)
    assert equal(weights(net), weights(own))


@every
def test_a_closure_observes_and_its_loss_is_returned(entry):
    net, x, y = small()
    optimizer = entry.make(net, "cross_entropy")

    def closure():
        optimizer.zero_grad()
        z = net(x)
        optimizer.observe(z, y)
        loss = cross_entropy(z, y)
        loss.backward()
        return loss

    wanted = float(cross_entropy(net(x), y).detach())
    assert float(optimizer.step(closure).detach()) == wanted


def observed(entry, net, x, y, between=lambda net: None):
    """Weights after two steps, with something else done before each observation."""
    optimizer = entry.make(net, "cross_entropy")
    for _ in range(2):
        optimizer.zero_grad()
        outputs = net(x)
        between(net)
        optimizer.observe(outputs, y)
        cross_entropy(outputs, y).backward()
        optimizer.step()
    return weights(net)


@every
def test_copies_of_the_model_are_others(entry):
    """An average of the weights is a deep copy, hooks and all; so is a model that was saved."""
    net, x, y = small()
    wanted = observed(entry, copy.deepcopy(net), x, y)

    def copied(net):
        copy.deepcopy(net)(100 * x)
        kept = io.BytesIO()
        torch.save(net, kept)
        kept.seek(0)
        torch.load(kept, weights_only=False)(100 * x)

    assert equal(observed(entry, net, x, y, copied), wanted)
    optimizer = entry.make(net, "cross_entropy")
    net(x)
    rule = "outputs must come from the model that the optimizer was built with, got others; pass w"
    with pytest.raises(UsageError, match=rule):
        optimizer.observe(copy.deepcopy(net)(x), y)


@pytest.mark.parametrize("name", [name for name in OBSERVERS if name != "VSGD"])
def test_a_weight_that_is_trained_no_more_than_before_is_named_once(name):
    net, x, y = small()
    net[0].requires_grad_(False)
    optimizer = OBSERVERS[name].make(net, "cross_entropy")
    net[0].requires_grad_(True)
    before = net[0].weight.detach().clone()
    text = rf"0\.weight has a gradient since {type(optimizer).__name__} was built, which does not"
    with pytest.warns(NakamiWarning, match=text) as found:
        train(optimizer, net, x, y, cross_entropy, 2)
    assert len(found) == 1
    assert torch.equal(net[0].weight, before)
    net[0].requires_grad_(False)
    net[3].weight.requires_grad_(False)  # and one that is frozen since stays
    kept = weights(net)
    optimizer.zero_grad()
    train(optimizer, net, x, y, cross_entropy, 1)
    moved = [not torch.equal(a, b) for a, b in zip(kept, weights(net), strict=True)]
    assert moved == [False, False, True, True, False, True]
    assert [p.requires_grad for p in net.parameters()] == moved
