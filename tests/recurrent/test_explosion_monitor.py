"""The monitor of explosions: its numbers against dense ones, its episodes, no trace."""

import copy
import math
import warnings

import pytest
import torch
from torch import nn
from torch.autograd.functional import jacobian
from torch.testing import assert_close

from nakami.recurrent import ExplosionMonitor, StateMap
from nakami.recurrent.explosion._backward_growth import _directions, backward_growth
from nakami.recurrent.explosion._witness import Witness
from nakami.results import NakamiWarning, UsageError

KINDS = (nn.RNN, nn.GRU, nn.LSTM)


def layer(kind, **options):
    torch.manual_seed(0)
    return kind(4, 5, **options)


def trained(model, optimizer, steps, scale=1.0, x=None):
    """Weights after some steps on the square of the outputs."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(12, 3, 4, generator=generator).to(next(model.parameters()).dtype)
    for _ in range(steps):
        optimizer.zero_grad()
        (scale * model(x)[0].square().mean()).backward()
        optimizer.step()
    return [p.detach().clone() for p in model.parameters()]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("begun", [False, True])
def test_growth_is_that_of_the_jacobians_by_autograd(kind, begun):
    net, length = layer(kind).double(), 4
    x = torch.randn(13, 3, 4, dtype=torch.float64)
    size = 10 if kind is nn.LSTM else 5
    begin = torch.randn(3, size, dtype=torch.float64) if begun else torch.zeros(3, size).double()
    parts = tuple(part[None].contiguous() for part in begin.split(5, dim=1))
    hx = (parts if kind is nn.LSTM else parts[0]) if begun else None
    witness = Witness(net, 2)
    net(x, hx)
    found = backward_growth(net, witness.seen[""], length)["l0"]
    assert found.shape == (3, 2)
    step_map = StateMap(net)
    states = step_map.run(x.transpose(0, 1), begin)
    v = _directions(size, 6).view(3, 2, size)
    for window in range(3):
        for example in range(2):

            def rolled(h, window=window, example=example):
                for t in range(window * length, (window + 1) * length):
                    h = step_map(x[t, example][None], h[None])[0]
                return h

            dense = jacobian(rolled, states[example, window * length])
            wanted = math.log(math.sqrt(size) * float((dense.T @ v[window, example]).norm()))
            assert float(found[window, example]) == pytest.approx(wanted, abs=1e-9)


def test_stacks_and_both_directions_are_read_layer_by_layer():
    net = layer(nn.GRU, num_layers=2, bidirectional=True, batch_first=True).double()
    x = torch.randn(2, 8, 4, dtype=torch.float64)
    witness = Witness(net, 4)
    net(x)
    found = backward_growth(net, witness.seen[""], 4)
    assert list(found) == ["l0", "l0_reverse", "l1", "l1_reverse"]
    first = nn.GRU(4, 5, bidirectional=True, batch_first=True).double()
    first.load_state_dict({k: v for k, v in net.state_dict().items() if "l0" in k})
    middle = first(x)[0].detach()
    alone = nn.GRU(10, 5).double()  # the second layer backwards, on what the first one gives
    named = {k: net.state_dict()[f"{k}_l1_reverse"] for k in ("weight_ih", "weight_hh", "bias_ih")}
    named["bias_hh"] = net.state_dict()["bias_hh_l1_reverse"]
    alone.load_state_dict({f"{k}_l0": v for k, v in named.items()})
    seen = Witness(alone, 4)
    alone(middle.flip(1).transpose(0, 1))
    assert_close(found["l1_reverse"], backward_growth(alone, seen.seen[""], 4)["l0"])


def test_packed_sequences_are_read_at_their_longest():
    net = layer(nn.GRU).double()
    tunes = [torch.randn(n, 4, dtype=torch.float64) for n in (3, 8, 6)]
    witness = Witness(net, 1)
    net(nn.utils.rnn.pack_sequence(tunes, enforce_sorted=False))
    assert torch.equal(witness.seen[""].inputs, tunes[1][:, None])
    net.eval()(tunes[0])
    assert witness.seen[""].inputs.shape[0] == 8


@pytest.mark.parametrize("kind", [*KINDS, nn.GRUCell])
def test_the_update_is_the_norm_of_the_step_over_that_of_the_matrix(kind):
    net = layer(kind)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    monitor = ExplosionMonitor(net, optimizer, limit=10)
    for _ in range(3):
        name, weight = next((n, p) for n, p in net.named_parameters() if "weight_hh" in n)
        before = weight.detach().double().numpy().copy()
        out = net(torch.randn(3, 4)) if kind is nn.GRUCell else net(torch.randn(6, 3, 4))[0]
        optimizer.zero_grad()
        out.square().mean().backward()
        optimizer.step()
        moved = weight.detach().double().numpy() - before
        wanted = (moved**2).sum() ** 0.5 / (before**2).sum() ** 0.5
        assert monitor.history[-1].update == pytest.approx(wanted, rel=1e-4)
        assert monitor.history[-1].name == name


def test_it_warns_once_for_each_episode():
    net = layer(nn.GRU)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.0)
    heard = []
    monitor = ExplosionMonitor(net, optimizer, limit=0.5, on_warning=heard.append)
    for step in range(1, 80):
        for p in net.parameters():
            p.grad = p.detach().clone()
        optimizer.param_groups[0]["lr"] = 0.6 if step in (5, 6, 9, 29, 60) else 0.001
        optimizer.step()
    assert [reading.step for reading in heard] == [5, 60]  # 29 is within 20 steps of 9
    assert monitor.warned == heard
    assert [r.step for r in monitor.history if r.above] == [5, 6, 9, 29, 60]
    assert heard[0].update == pytest.approx(0.6, rel=1e-5)


def test_the_warning_says_what_moved_and_what_to_do():
    net = nn.ModuleDict({"unit": layer(nn.LSTM)})
    optimizer = torch.optim.SGD(net.parameters(), lr=1e4)
    ExplosionMonitor(net, optimizer)
    with pytest.warns(NakamiWarning) as caught:
        trained(net["unit"], optimizer, 1)
    text = str(caught[0].message)
    assert text.startswith("Optimizer step 1: unit.weight_hh_l0 moved by ")
    assert "(limit 0.12). Gradients may explode in the next steps; lower the rate" in text


def test_growth_above_its_limit_warns_too():
    net = layer(nn.RNN)
    nn.init.orthogonal_(net.weight_hh_l0, gain=3)
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-6)
    monitor = ExplosionMonitor(net, optimizer, growth_limit=-1.0, every=2, length=3)
    with pytest.warns(NakamiWarning, match="a backward signal grows by .* nats over 3 steps in"):
        trained(net, optimizer, 4)
    read = [reading.growth for reading in monitor.history]
    assert [value is None for value in read] == [True, False, True, False]
    assert [reading.warned for reading in monitor.history] == [False, True, False, False]
    assert monitor.warned[0].growth_name == "weight_hh_l0"


@pytest.mark.parametrize("kind", KINDS)
def test_it_leaves_no_trace_on_the_training(kind):
    def run(watched):
        net = layer(kind, num_layers=2, dropout=0.5)
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
        torch.manual_seed(3)
        if watched:
            monitor = ExplosionMonitor(net, optimizer, growth_limit=1e3, every=1, length=5)
        weights = trained(net, optimizer, 4)
        if watched:
            assert all(reading.growth is not None for reading in monitor.history)
            monitor.remove()
        return net, optimizer, weights, torch.get_rng_state()

    bare, watched = run(False), run(True)
    assert all(torch.equal(a, b) for a, b in zip(bare[2], watched[2], strict=True))
    assert torch.equal(bare[3], watched[3])
    assert [p.grad.tolist() for p in bare[0].parameters()] == [
        p.grad.tolist() for p in watched[0].parameters()
    ]
    assert bare[1].state_dict().keys() == watched[1].state_dict().keys()
    net, optimizer = watched[:2]
    left = (net._forward_hooks, net._forward_hooks_with_kwargs)
    assert not any(
        (*left, optimizer._optimizer_step_pre_hooks, optimizer._optimizer_step_post_hooks)
    )


def test_a_resumed_monitor_goes_on_alike():
    def started():
        net = layer(nn.GRU)
        return net, torch.optim.SGD(net.parameters(), lr=0.5)

    net, optimizer = started()
    heard = []
    monitor = ExplosionMonitor(net, optimizer, limit=1e-3, on_warning=heard.append)
    trained(net, optimizer, 3)
    stored = copy.deepcopy(monitor.state_dict())
    weights = copy.deepcopy(net.state_dict())
    trained(net, optimizer, 3)

    again, stepping = started()
    again.load_state_dict(weights)
    resumed = ExplosionMonitor(again, stepping, limit=1e-3, on_warning=heard.append)
    resumed.load_state_dict(stored)
    trained(again, stepping, 3)
    assert resumed.state_dict() == monitor.state_dict()
    assert len(heard) == len(monitor.warned) == 1
    assert repr(resumed).startswith("ExplosionMonitor(1 matrix, limit 0.001, 6 steps, last")
    with pytest.raises(UsageError, match=r"state must be an ExplosionMonitor's, got \['count'\]"):
        resumed.load_state_dict({"count": 1})


def test_what_is_not_finite_or_begins_at_zero():
    net = layer(nn.RNN)
    nn.init.zeros_(net.weight_hh_l0)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    monitor = ExplosionMonitor(net, optimizer)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trained(net, optimizer, 1)
    assert monitor.history[-1].update == 0
    with pytest.warns(NakamiWarning, match="weight_hh_l0 moved by inf of its norm"):
        trained(net, optimizer, 1, scale=math.nan)
    assert monitor.history[-1].update == math.inf


def test_a_step_that_a_scaler_leaves_out_is_not_read():
    net = layer(nn.GRU)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, fused=True)
    monitor = ExplosionMonitor(net, optimizer)
    optimizer.found_inf = torch.tensor(1.0)
    trained(net, optimizer, 1)
    assert (monitor.count, list(monitor.history)) == (0, [])


def test_wrong_arguments_are_refused_by_a_sentence():
    net = layer(nn.GRU)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for change, text in {
        "limit": "limit must lie above 0, got 0; 0.12 is the default.",
        "every": "every must be a whole number from 1 on, got 0; 20 is the default.",
        "length": "length must be a whole number from 1 on, got 0; 20 is the default.",
    }.items():
        with pytest.raises(UsageError) as error:
            ExplosionMonitor(net, optimizer, **{change: 0})
        assert str(error.value) == text
    with pytest.raises(UsageError, match="growth_limit must be a number or None, got 'high'"):
        ExplosionMonitor(net, optimizer, growth_limit="high")
    with pytest.raises(UsageError, match="on_warning must be a function, called as on_warning"):
        ExplosionMonitor(net, optimizer, on_warning=3)
    with pytest.raises(UsageError, match="optimizer must be a torch optimizer, got float"):
        ExplosionMonitor(net, 0.1)
    with pytest.raises(UsageError, match=r"model must hold an nn\.RNN, nn\.GRU, nn\.LSTM or"):
        ExplosionMonitor(nn.Linear(2, 2), optimizer)
    with pytest.raises(UsageError, match="model must be a torch module, got str"):
        ExplosionMonitor("gru", optimizer)
    with pytest.raises(UsageError, match="optimizer must hold a recurrent weight of the model"):
        ExplosionMonitor(layer(nn.GRU), optimizer)
    cell = nn.GRUCell(4, 5)
    stepping = torch.optim.SGD(cell.parameters(), lr=0.1)
    with pytest.raises(UsageError, match="cells in a loop of your own are not seen"):
        ExplosionMonitor(cell, stepping, growth_limit=1.0)
    made = nn.utils.parametrizations.weight_norm(layer(nn.GRU), "weight_hh_l0")
    with pytest.raises(UsageError, match="model must hold weight_hh_l0 as a parameter"):
        ExplosionMonitor(made, torch.optim.SGD(made.parameters(), lr=0.1))
