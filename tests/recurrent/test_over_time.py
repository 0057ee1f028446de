"""Spectra over time against dense derivatives of a loop written by hand."""

import numpy as np
import pytest
import torch
from torch import nn

from nakami.recurrent import StateMap, lyapunov, spectra_over_time
from nakami.recurrent._rollout import rolled
from nakami.results import NakamiWarning, UsageError

NETS = {
    "GRU": lambda: nn.GRU(2, 3),
    "two LSTMs": lambda: nn.LSTM(2, 3, num_layers=2),
    "RNN cell": lambda: nn.RNNCell(4, 3),
}


def by_hand(net, x, h):
    """``h_t`` from all inputs (t, I) and the flat first state, with torch's own layer."""
    if isinstance(net, nn.LSTM):
        parts = h.reshape(2, 2, 1, 3)
        out = net(x[:, None], (parts[0], parts[1]))[1]
        return torch.cat([part.flatten() for part in out])
    if isinstance(net, nn.RNNCell):
        for row in x:
            h = net(row[None], h[None])[0]
        return h
    return net(x[:, None], h[None, None])[1].flatten()


@pytest.mark.parametrize("name", NETS)
def test_values_are_those_of_a_loop_by_hand(name):
    torch.manual_seed(0)
    net = NETS[name]()
    before = {n: p.clone() for n, p in net.named_parameters()}
    size = StateMap(net).state_size
    x = torch.randn(2, 6, StateMap(net).input_size).double()
    start = torch.randn(2, size).double()
    found = spectra_over_time(net, x, [1, 4, 6], start=start)
    assert all(torch.equal(p, before[n]) for n, p in net.named_parameters())
    assert found.converged.all()
    net = net.double()
    for i in range(2):
        for t, steps in enumerate((1, 4, 6)):
            some = x[i, :steps]
            dense = torch.autograd.functional.jacobian(
                lambda x, h: by_hand(net, x, h), (some, start[i])
            )
            by_x, by_h = dense[0].reshape(size, -1), dense[1]
            wide = x.shape[2]
            each = {"state": by_h, "first input": by_x[:, :wide], "inputs": by_x}
            for source, matrix in each.items():
                wanted = torch.linalg.svdvals(matrix).numpy()
                got = found.of(source)[i, t]
                np.testing.assert_allclose(got[: len(wanted)], wanted, rtol=1e-9, atol=1e-14)
                assert np.isnan(got[len(wanted) :]).all()


def test_counts_ranks_and_exponents_of_a_linear_net_are_known():
    """``h -> diag(2, 1/2, 0) h + x``: values are powers, the exponents ln 2, -ln 2, none."""
    scale = torch.tensor([2.0, 0.5, 0.0]).double()
    net = StateMap(lambda x, h: scale * h + x, state_size=3, input_size=3)
    found = spectra_over_time(net, torch.randn(2, 5, 3), [1, 2, 5])
    np.testing.assert_allclose(found.of("state")[0], [[2, 0.5, 0], [4, 0.25, 0], [32, 1 / 32, 0]])
    assert [e.mean for e in found.above(1)] == [1, 1, 1]
    assert [e.mean for e in found.above()] == [2, 2, 1]
    powers = np.array([[2.0, 0.5], [4, 0.25], [32, 1 / 32]]) ** 2
    ranks = powers.sum(1) ** 2 / (powers**2).sum(1)
    assert [e.mean for e in found.effective_rank()] == pytest.approx(ranks)
    assert [e.mean for e in found.exponents()] == pytest.approx([np.log(2)] * 3)
    assert [e.mean for e in found.exponents(1)] == pytest.approx([-np.log(2)] * 3)
    assert np.isnan(found.exponents(2)[0].mean)
    # by all inputs: the sum of the squares of the powers before
    inputs = [np.sqrt(sum(2.0 ** (2 * j) for j in range(t))) for t in (1, 2, 5)]
    np.testing.assert_allclose(found.of("inputs")[0, :, 0], inputs)
    first = [row for row in found.rows() if row["source"] == "first input"]
    assert [row["largest"] for row in first] == pytest.approx([1, 2, 16])
    exponents = lyapunov(net, torch.randn(1, 200, 3), 2).exponents
    assert exponents == pytest.approx([np.log(2), -np.log(2)])  # the same numbers in the long run


def test_fewer_values_are_a_lower_bound_and_a_net_without_input_is_read():
    net = StateMap(lambda x, h: torch.sin(h), state_size=4, input_size=0)
    found = spectra_over_time(net, torch.zeros(1, 3, 0), [1, 3], 2, start=torch.ones(4) / 10)
    slope = np.cos(0.1)
    np.testing.assert_allclose(found.of("state")[0, 0], [slope, slope], rtol=1e-9)
    assert [e.lower_bound for e in found.above(0.5)] == [True, True]
    whole = spectra_over_time(net, torch.zeros(1, 3, 0), [1, 3], start=torch.ones(4) / 10)
    for few, every in zip(found.effective_rank(), whole.effective_rank(), strict=True):
        assert (few.lower_bound, every.lower_bound) == (True, False)
        assert (few.mean, every.mean) == pytest.approx((2, 4))
    bounds = ("above_1_lower_bound", "above_0.1_lower_bound", "effective_rank_lower_bound")
    assert [found.rows()[0][name] for name in bounds] == [False, True, True]
    assert not any(whole.rows()[0][name] for name in bounds)
    assert np.isnan(found.of("inputs")).all()
    assert np.isnan(found.rows()[-1]["largest"])


WRONG = {
    "steps": (
        {"steps": [2, 9]},
        r"steps must be rising .* 1 to 5, .* got \[2, 9\]",
    ),
    "falling": ({"steps": [3, 1]}, r"steps must be rising .* got \[3, 1\]"),
    "none": ({"steps": []}, r"steps must be .* got \[\]"),
    "k": ({"steps": [1], "k": 4}, "k must be .* got 4"),
    "budget": ({"steps": [5], "memory_budget": 99}, "memory_budget must leave room for the Jac"),
    "start": ({"steps": [5], "start": torch.zeros(2)}, "start must have shape"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_one_sentence(case):
    options, message = WRONG[case]
    with pytest.raises(UsageError, match=message):
        spectra_over_time(nn.GRU(2, 3), torch.zeros(1, 5, 2), **options)


def test_a_rollout_is_read_where_its_net_is():
    step_map = StateMap(nn.GRU(2, 3))
    step_map.device = torch.device("cpu", 0)  # it has no weights of its own that would say so
    assert rolled(step_map).device == torch.device("cpu", 0)


def test_a_step_with_another_derivative_is_warned_of():
    def step(x, h):  # states are rounded, with the derivative of what does nothing
        return x + h + ((4 * h).round() / 4 - h).detach()

    net = StateMap(step, state_size=2, input_size=2)
    with pytest.warns(NakamiWarning, match="is no derivative of the network"):
        found = spectra_over_time(net, torch.ones(1, 3, 2) / 3, [1, 3], start=torch.ones(2) / 3)
    np.testing.assert_allclose(found.of("state"), 1)
