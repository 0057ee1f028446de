"""Fixed points that searches from states miss: nets that have exactly one, which is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nakami.recurrent import StateMap, fixed_points
from nakami.recurrent._continuation import continued
from nakami.results import UsageError


def only_one(kind: type[nn.RNNBase], size: int, gain: float, seed: int) -> tuple[nn.Module, Tensor]:
    """A layer with one fixed point at input 0, and its h.

    ``h = f(W h + b)`` with f increasing in each entry and W skew has no two solutions: for their
    difference d and some ``D > 0``, ``d = D W d``, so ``d^T D^-1 d = d^T W d = 0``.
    """
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(size, size, generator=generator, dtype=torch.float64)
    skew = gain * (drawn - drawn.T) / math.sqrt(2 * size)
    point = torch.rand(size, generator=generator, dtype=torch.float64) * 1.6 - 0.8
    unit = kind(1, size).double()
    for parameter in unit.parameters():
        nn.init.zeros_(parameter)
    weight, bias = unit.weight_hh_l0.data, unit.bias_ih_l0.data
    if kind is nn.LSTM:  # gates of 1/2: c = tanh(W h + b), h = tanh(c) / 2
        point = point * 0.4
        weight[2 * size : 3 * size], needed = skew, (2 * point).atanh().atanh()
        bias[2 * size : 3 * size] = needed - skew @ point
    elif kind is nn.GRU:  # update gates of 0.9997: a slow net; reset gates of 1/2
        weight[2 * size :], bias[2 * size :] = 2 * skew, point.atanh() - skew @ point
        bias[size : 2 * size] = 8
    else:
        weight[:], bias[:] = skew, point.atanh() - skew @ point
    return unit, point


def test_a_point_that_the_starts_miss_is_found_by_continuation() -> None:
    unit, point = only_one(nn.RNN, 10, 40.0, 3)
    found = fixed_points(unit, random_starts=0)
    np.testing.assert_allclose(found.points, point[None].numpy(), atol=1e-10)
    assert found.converged
    assert found.starts.tolist() == [0]
    assert found.reason.startswith("1 fixed point, by continuation (")
    assert found.reason.endswith("; none of 1 starts settled in 60 Newton steps")
    slope = (1 - point**2)[:, None] * unit.weight_hh_l0.detach()
    expected = np.sort(np.abs(np.linalg.eigvals(slope.numpy())))[::-1]
    np.testing.assert_allclose(np.abs(found.eigenvalues[0]), expected, atol=1e-8)


@pytest.mark.parametrize("kind", [nn.GRU, nn.LSTM])
def test_gated_units_are_followed_too(kind, monkeypatch) -> None:
    unit, point = only_one(kind, 5, 6.0, 1)
    with monkeypatch.context() as patched:
        patched.setattr("nakami.recurrent._fixed_points._distinct", _nothing_at_first())
        found = fixed_points(unit, random_starts=0)
    assert found.reason.startswith("1 fixed point, by continuation (")
    np.testing.assert_allclose(found.points[0, :5], point.numpy(), atol=1e-9)
    state = torch.from_numpy(found.points[0])[:, None].T
    net = StateMap(unit)
    torch.testing.assert_close(net(torch.zeros(1, 1).double(), state), state, rtol=0, atol=1e-9)


def _nothing_at_first():
    """As if no start had settled."""
    return lambda points, near: (points[:0], torch.zeros(0, dtype=torch.int64))


def test_the_path_turns_back_on_the_way() -> None:
    # a = h / R(h) on the path; R small where h is near 0.3, so a rises, falls and rises again
    def rest(h: Tensor) -> Tensor:
        return 0.05 + 0.9 * torch.sigmoid(30 * (h - 0.3))

    def slope(h: Tensor) -> Tensor:
        s = torch.sigmoid(30 * (h - 0.3))
        return (27 * s * (1 - s))[..., None]

    h = np.linspace(0, 0.96, 400)
    a = h / rest(torch.from_numpy(h)).numpy()
    assert (np.diff(a) < 0).any()  # it can turn
    shifted = lambda x: rest(x + 0.2)  # noqa: E731
    moved = lambda x: slope(x + 0.2)  # noqa: E731
    for r, j in ((rest, slope), (shifted, moved)):
        path = continued(r, j, torch.zeros(1, dtype=torch.float64), 300)
        assert path.h is not None
        torch.testing.assert_close(r(path.h), path.h, rtol=0, atol=1e-9)


def test_where_it_may_lead_nowhere_it_is_asked_for(monkeypatch) -> None:
    def away(_: Tensor, h: Tensor) -> Tensor:
        return h + 1 + h**2

    net = StateMap(away, state_size=1)
    assert "continuation" not in fixed_points(net, random_starts=0).reason
    monkeypatch.setattr("nakami.recurrent._fixed_points.JACOBIANS", 60)
    found = fixed_points(net, random_starts=0, follow=True)  # a = h / (h + 1 + h^2) is at most 1/3
    assert not found.converged
    assert "and the continuation came to a = 0.33" in found.reason
    with pytest.raises((UsageError, TypeError), match=r"follow must be True or False, got 1\.5"):
        fixed_points(net, follow=1.5)


def test_states_at_rest_of_stacked_units_are_those_of_the_net() -> None:
    torch.manual_seed(0)
    for unit in (nn.GRU(2, 3, 2), nn.LSTM(2, 3, 2, proj_size=2), nn.RNN(2, 3, 2)):
        net, x = StateMap(unit), torch.randn(1, 2).double()
        found = fixed_points(net, x[0], random_starts=4)
        state = torch.from_numpy(found.points[:1])
        with torch.no_grad():
            long = net.run(x.expand(1, 400, -1))[:, -1]  # these weights are small: it attracts
        torch.testing.assert_close(state, long, rtol=0, atol=1e-8)
