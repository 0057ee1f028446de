"""Fixed points, exponents, growth and margins against closed forms and dense references."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.optimize import brentq
from torch import Tensor, nn

from nakami.recurrent import StateMap, fixed_points, growth, lyapunov, margins
from nakami.results import UsageError


def scalar_gru(weight: float, reset: float = 0.0) -> nn.GRUCell:
    """h' = h/2 + tanh(r w h)/2, r = sigmoid(reset h)."""
    cell = nn.GRUCell(1, 1).double()
    for parameter in cell.parameters():
        nn.init.zeros_(parameter)
    cell.weight_hh.data.copy_(torch.tensor([[reset], [0.0], [weight]], dtype=torch.float64))
    return cell


def test_a_scalar_grus_states_of_rest_are_the_roots_of_its_equation() -> None:
    for weight in (1.9, 2.1, 2.5):
        found = fixed_points(scalar_gru(weight), random_starts=16)
        assert found.converged
        assert found.residuals.max() < 1e-11
        if weight < 2:
            assert found.points.tolist() == [[0.0]]
            assert found.radii[0] == pytest.approx(0.5 + weight / 4)
            continue
        root = brentq(lambda h, w=weight: math.tanh(w * h / 2) - h, 0.05, 1)
        np.testing.assert_allclose(np.sort(found.points[:, 0]), [-root, 0, root], atol=1e-9)
        slope = 0.5 + weight / 4 * (1 - root**2)
        np.testing.assert_allclose(found.radii, [slope, slope, 0.5 + weight / 4], atol=1e-8)
        assert found.stable.tolist() == [True, True, False]
        assert found.unstable_directions.tolist() == [0, 0, 1]
        assert found.crossings == ("real",) * 3
        assert found.starts.sum() == 17


def test_another_state_of_rest_below_the_bound_is_found() -> None:
    found = fixed_points(scalar_gru(1.9, reset=10.0), random_starts=32)
    assert found.points.max() == pytest.approx(0.947, abs=5e-4)  # sigma_1 < 2, and 0 attracts too
    assert found.stable.sum() == 2


def test_fixed_points_of_a_net_with_input_are_fixed_and_their_eigenvalues_torchs() -> None:
    torch.manual_seed(0)
    unit = nn.LSTM(3, 4, num_layers=2).double()
    x = torch.randn(3).double()
    found = fixed_points(unit, x, random_starts=6)
    point = torch.from_numpy(found.points[0])
    state = (point[:8].reshape(2, 1, 4), point[8:].reshape(2, 1, 4))
    after = unit(x[None, None], state)[1]
    torch.testing.assert_close(torch.cat(after).reshape(-1), point, rtol=0, atol=1e-9)
    net = StateMap(unit)
    dense = torch.autograd.functional.jacobian(lambda h: net(x[None], h[None])[0], point)
    expected = np.sort(np.abs(np.linalg.eigvals(dense.numpy())))[::-1]
    np.testing.assert_allclose(np.abs(found.eigenvalues[0]), expected, atol=1e-8)
    assert found.errors.max() < 1e-8


def henon(_: Tensor, h: Tensor) -> Tensor:
    return torch.stack([1 - 1.4 * h[:, 0] ** 2 + h[:, 1], 0.3 * h[:, 0]], dim=1)


def test_exponents_and_fixed_points_of_the_henon_map() -> None:
    net = StateMap(henon, state_size=2)
    found = lyapunov(
        net,
        torch.zeros(16, 600, 0),
        start=torch.rand(16, 2, generator=torch.Generator().manual_seed(0)) / 10,
    )
    assert found.sum == pytest.approx(math.log(0.3), abs=1e-12)  # |det J| at every state
    first, error = found.exponents[0], found.standard_errors[0]
    assert abs(first - 0.4192) < 4 * error < 0.03
    assert found.kaplan_yorke == pytest.approx(1 + first / -found.exponents[1])
    assert found.converged
    assert found.steps == 8000
    points = np.sort(fixed_points(net, random_starts=20, scale=2).points[:, 0])
    root = math.sqrt(0.7**2 + 4 * 1.4)
    np.testing.assert_allclose(points, [(-0.7 - root) / 2.8, (-0.7 + root) / 2.8], atol=1e-9)


def test_exponents_of_a_driven_gru_are_those_of_its_jacobians_product() -> None:
    torch.manual_seed(3)
    unit = nn.GRU(2, 3).double()
    inputs = torch.randn(60, 2).double()
    found = lyapunov(unit, inputs, discard=0)
    net = StateMap(unit)
    states = net.run(inputs)[0]
    jacobians = net.jacobian(inputs, states[:-1])
    assert found.sum == pytest.approx(float(jacobians.det().abs().log().mean()), abs=1e-12)
    q = (
        torch.linalg.qr(
            torch.randn(1, 3, 2, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
        )
        .Q[0]
        .numpy()
    )
    logs = []
    for jacobian in jacobians.numpy():  # by NumPy, from the dense Jacobians
        q, r = np.linalg.qr(jacobian @ q)
        logs.append(np.log(np.abs(np.diag(r))))
    two = lyapunov(unit, inputs, 2, discard=0, seed=7)
    np.testing.assert_allclose(two.exponents, np.sort(np.mean(logs, axis=0))[::-1], atol=1e-12)
    with pytest.raises(UsageError, match="inputs must be longer than discard = 100 steps, got 60 "):
        lyapunov(unit, inputs)
    with pytest.raises(UsageError, match="k must be a whole number from 1 to 3"):
        lyapunov(unit, inputs, 4, discard=0)


def test_standard_errors_are_those_of_many_repeats() -> None:
    def noisy(x: Tensor, h: Tensor) -> Tensor:  # the exponent of a step is its input
        return x.exp() * h

    generator = torch.Generator().manual_seed(0)
    draws = torch.randn(12, 1, 160, 1, generator=generator, dtype=torch.float64)
    net = StateMap(noisy, state_size=1, input_size=1)
    runs = [lyapunov(net, draw, discard=0, start=torch.full((1,), 1e-300)) for draw in draws]
    spread = np.std([run.exponents[0] for run in runs])
    stated = np.mean([run.standard_errors[0] for run in runs])
    assert stated == pytest.approx(1 / math.sqrt(160), rel=0.2)
    assert stated == pytest.approx(spread, rel=0.5)
    drift = torch.linspace(-1, 1, 160, dtype=torch.float64)[:, None]
    slow = lyapunov(net, drift, discard=0)
    assert not slow.converged
    assert "which depend on each other (correlation 0.8" in slow.reason


def test_growth_is_the_largest_singular_value_of_the_product() -> None:
    torch.manual_seed(4)
    unit = nn.GRU(2, 6).double()
    unit.weight_hh_l0.data.mul_(4)
    inputs = torch.randn(25, 2).double()
    found = growth(unit, inputs, 8, 2, every=5)
    assert found.at.tolist() == [0, 5, 10, 15]
    net = StateMap(unit)
    jacobians = net.jacobian(inputs, net.run(inputs)[0, :-1])
    for row, t in enumerate(found.at):
        product = torch.linalg.multi_dot(list(jacobians[t : t + 8].flip(0)))
        expected = torch.linalg.svdvals(product)[:2].numpy()
        np.testing.assert_allclose(found.singular_values[row], expected, rtol=1e-8)
    assert found.converged.all()
    np.testing.assert_allclose(found.rates, np.log(found.singular_values) / 8)
    with pytest.raises(UsageError, match="inputs must be one sequence, got 2 sequences"):
        growth(unit, torch.zeros(2, 25, 2), 8)


def test_margins_are_numpys_and_their_sign_is_the_stability_of_rest() -> None:
    torch.manual_seed(5)
    model = nn.GRU(2, 5, num_layers=2, bias=False).double()
    model.weight_hh_l1.data.mul_(8)
    found = margins(model)
    for layer, one in enumerate(found):
        matrix = getattr(model, f"weight_hh_l{layer}").detach().numpy()[10:]
        assert one.sigma == pytest.approx(np.linalg.norm(matrix, 2))
        values = np.linalg.eigvals(0.5 * np.eye(5) + matrix / 4)
        assert one.radius == pytest.approx(np.abs(values).max())
        assert one.margin == pytest.approx(1 - one.radius)
        assert one.radius <= 0.5 + one.sigma / 4
    assert found[0].bound > 0 > found[1].margin
    rest = fixed_points(model, random_starts=0)  # only from 0, which is fixed
    assert rest.radii[0] == pytest.approx(max(one.radius for one in found))


def test_wrong_arguments_of_a_search_are_named() -> None:
    unit = nn.GRU(2, 3)
    with pytest.raises(UsageError, match=r"x must be 2 finite numbers, shape \(2,\), got \(3,\)"):
        fixed_points(unit, torch.zeros(3))
    with pytest.raises(UsageError, match=r"got \(2,\) with NaN or infinite entries; leave it out"):
        fixed_points(nn.GRU(2, 3), torch.full((2,), torch.nan))
    with pytest.raises(
        UsageError, match="states must be a tensor or numbers of one length, got str"
    ):
        fixed_points(nn.GRU(2, 3), states="h")
    with pytest.raises(UsageError, match="tol must be a number above 1e-14, got 0"):
        fixed_points(unit, tol=0)
    with pytest.raises(UsageError, match=r"states must have shape \(starts, 3\), got \(2,\)"):
        fixed_points(unit, states=torch.zeros(2))


def test_a_map_without_fixed_points_gives_an_empty_result() -> None:
    found = fixed_points(StateMap(lambda x, h: h + 1, state_size=2), random_starts=4)
    assert not found.converged
    assert found.reason.startswith("none of 5 starts settled in 60 Newton steps; pass states= of")
    assert found.points.shape == (0, 2)
    assert found.eigenvalues.shape == (0, 2)


def test_slow_units_do_not_hide_fixed_points() -> None:
    generator = torch.Generator().manual_seed(0)
    weight = 4 * torch.randn(12, 12, generator=generator, dtype=torch.float64) / 12**0.5
    fast = fixed_points(
        StateMap(lambda x, h: torch.tanh(h @ weight), state_size=12), random_starts=24
    )
    share = torch.logspace(0, -5, 12, dtype=torch.float64)  # of the way that a unit goes in a step

    def slowed(x: Tensor, h: Tensor) -> Tensor:
        return h + share * (torch.tanh(h @ weight) - h)

    slow = fixed_points(StateMap(slowed, state_size=12), random_starts=24, tol=1e-13)
    assert len(fast.points) == len(slow.points) == 3
    apart = np.abs(fast.points[:, None] - slow.points).max(axis=2)
    assert apart.min(axis=1).max() < 1e-6
    assert slow.starts.sum() >= 20  # a rule on the residual's length gets to half of that
