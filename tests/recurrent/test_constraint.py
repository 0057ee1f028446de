"""The GRU's spectral constraint: exact, in place, no more than needed, in torch's trainings."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from scipy.linalg import svd as lapack
from torch import nn

from nakami.recurrent import SpectralConstraint, candidate_blocks, project, project_kernel
from nakami.recurrent._projection import SpectralBall
from nakami.results import RunError, UsageError, UsageTypeError


def nearest(matrix: np.ndarray, bound: float) -> np.ndarray:
    """The projection, from SciPy's decomposition."""
    u, s, vh = lapack(matrix)
    return (u * np.minimum(s, bound)) @ vh


def largest(matrix: torch.Tensor) -> float:
    return float(np.linalg.norm(matrix.detach().double().numpy(), 2))


def moving(n: int, steps: int, size: float, dtype: torch.dtype) -> tuple[torch.Tensor, Any]:
    """A matrix at the bound 1.8, and steps of low rank as training makes them."""
    generator = torch.Generator().manual_seed(n)
    draw = lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)  # noqa: E731
    start = torch.linalg.qr(draw(n, n)).Q + 0.7 * draw(n, n) / n**0.5
    moves = [draw(n, 3) @ draw(3, n) for _ in range(steps)]
    return start.to(dtype), [(size * move / move.norm()).to(dtype) for move in moves]


def test_projection_equals_scipys_and_lies_nearest() -> None:
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn(12, 12, generator=generator, dtype=torch.float64)
    found = project(matrix, 1.8)
    assert np.abs(found.numpy() - nearest(matrix.numpy(), 1.8)).max() < 1e-13
    for _ in range(100):  # no feasible matrix is nearer: the angle at the projection is obtuse
        other = torch.randn(12, 12, generator=generator, dtype=torch.float64)
        other *= 1.8 / torch.linalg.matrix_norm(other, 2)
        assert float(((matrix - found) * (other - found)).sum()) <= 1e-12
    assert torch.equal(project(found * 0.9, 1.8), found * 0.9)


@pytest.mark.parametrize(("n", "dtype", "most"), [(30, 0, 1e-12), (96, 1, 5e-5)])
def test_every_small_step_is_projected_as_by_a_full_decomposition(
    n: int, dtype: int, most: float
) -> None:
    kind = (torch.float64, torch.float32)[dtype]
    matrix, moves = moving(n, 25, 0.03, kind)
    ball, hows = SpectralBall(matrix), list[str]()
    for move in moves:
        matrix = matrix + move
        expected = nearest(matrix.double().numpy(), 1.8)
        true = largest(matrix)
        held = ball.hold(matrix, 1.8)
        hows.append(held.how)
        assert held.least * (1 - 1e-5) <= true <= held.most * (1 + 1e-5)
        assert np.abs(matrix.double().numpy() - expected).max() < most
    if n > 48:  # the first by a full decomposition, most of the others without
        assert hows.count("truncated") > 15


def test_nothing_is_decomposed_where_nothing_can_have_crossed() -> None:
    matrix, moves = moving(60, 40, 0.01, torch.float64)
    matrix *= 1.5 / torch.linalg.matrix_norm(matrix, 2)
    ball, hows = SpectralBall(matrix), list[str]()
    for move in moves:
        matrix = matrix + move
        kept = matrix.clone()
        held = ball.hold(matrix, 1.8)
        hows.append(held.how)
        assert held.least - 1e-12 <= largest(matrix) <= held.most + 1e-12
        assert held.most <= 1.8
        assert torch.equal(matrix, kept)
    assert hows.count("skipped") >= 30
    matrix[0, 0] = torch.nan
    with pytest.raises(RunError, match="not finite after this step; lower the learning rate"):
        ball.hold(matrix, 1.8)


def test_a_sudden_jump_and_a_tighter_bound_are_met() -> None:
    matrix, moves = moving(80, 3, 0.01, torch.float32)
    ball = SpectralBall(matrix)
    for move, scale, bound in zip(moves, (1.0, 40.0, 1.0), (1.8, 1.8, 0.6), strict=True):
        matrix = scale * matrix + move
        expected = nearest(matrix.double().numpy(), bound)
        ball.hold(matrix, bound)
        assert np.abs(matrix.numpy() - expected).max() < 5e-5


class Tunes(nn.Module):
    def __init__(self, hidden: int = 8, **options: Any):
        super().__init__()
        self.gru = nn.GRU(5, hidden, batch_first=True, **options)
        self.out = nn.Linear(hidden * (2 if options.get("bidirectional") else 1), 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.gru(x)[0])


def net(gain: float = 3.0, **options: Any) -> Tunes:
    torch.manual_seed(0)
    model = Tunes(**options)
    with torch.no_grad():
        for block in candidate_blocks(model):
            block.matrix.mul_(gain / largest(block.matrix))
    return model


def train(model: nn.Module, optimizer: torch.optim.Optimizer, steps: int, seed: int = 1) -> None:
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        x = torch.randn(4, 6, 5, generator=generator)
        optimizer.zero_grad()
        (5 * model(x) - x).square().mean().backward()
        optimizer.step()


def test_all_layers_and_directions_stay_within_the_bound_and_gates_are_free() -> None:
    model = net(num_layers=2, bidirectional=True)
    gates = model.gru.weight_hh_l1[:16].detach().clone()
    places = [p.data_ptr() for p in model.gru.parameters()]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3)
    constraint = SpectralConstraint(model, optimizer, delta=0.5)
    assert torch.equal(gates, model.gru.weight_hh_l1[:16])
    names = [f"gru.weight_hh_l{i}{d}" for i in (0, 1) for d in ("", "_reverse")]
    assert [record.name for record in constraint.blocks] == names
    for _ in range(6):
        train(model, optimizer, 1)
        for block in candidate_blocks(model):
            assert largest(block.matrix) <= 1.5 * (1 + 1e-5)
    assert constraint.count == 6
    assert all(sum(record.counts.values()) == 7 for record in constraint.blocks)
    assert max(record.highest for record in constraint.blocks) > 1.5
    assert places == [p.data_ptr() for p in model.gru.parameters()]
    assert all(a is b for a, b in zip(model.gru._flat_weights, model.gru.parameters(), strict=True))
    constraint.remove()
    for block in candidate_blocks(model):
        block.matrix.mul_(1.2)
    train(model, optimizer, 1)
    assert max(largest(block.matrix) for block in candidate_blocks(model)) > 1.6
    SpectralConstraint(model, optimizer)  # after remove() another one is welcome


def test_a_step_equals_the_optimizers_step_and_the_projection_after_it() -> None:
    model, optimizer = net(1.79), None
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    plain = copy.deepcopy(model)
    other = torch.optim.Adam(plain.parameters(), lr=0.05)
    SpectralConstraint(model, optimizer)
    for step in range(5):
        train(model, optimizer, 1, seed=step)
        train(plain, other, 1, seed=step)
        expected = plain.gru.weight_hh_l0.detach().clone()
        expected[16:] = torch.from_numpy(nearest(expected[16:].double().numpy(), 1.8))
        torch.testing.assert_close(model.gru.weight_hh_l0, expected, rtol=0, atol=1e-6)
        plain.gru.weight_hh_l0.data.copy_(expected)


def test_a_schedule_moves_the_bound_and_bad_ones_are_refused() -> None:
    model = net(1.79)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    constraint = SpectralConstraint(model, optimizer, schedule=lambda step: 0.2 + 0.3 * step)
    for step in range(4):
        assert constraint.bound == pytest.approx(1.8 - 0.3 * step)
        assert largest(candidate_blocks(model)[0].matrix) <= constraint.bound * (1 + 1e-5)
        train(model, optimizer, 1)
    with pytest.raises(
        UsageError, match="schedule must return a delta that lies above 0 and below"
    ):
        train(model, optimizer, 3)


def test_a_killed_training_ends_in_the_same_bits() -> None:
    def parts() -> tuple[Tunes, torch.optim.Optimizer, SpectralConstraint]:
        model = net(1.9, hidden=60)
        optimizer = torch.optim.RMSprop(model.parameters(), lr=0.003)
        return model, optimizer, SpectralConstraint(model, optimizer)

    model, optimizer, constraint = parts()
    train(model, optimizer, 4)
    saved = copy.deepcopy((model.state_dict(), optimizer.state_dict(), constraint.state_dict()))
    train(model, optimizer, 4, seed=2)
    assert constraint.blocks[0].counts["truncated"]
    again, second, kept = parts()
    again.load_state_dict(saved[0])
    second.load_state_dict(saved[1])
    kept.load_state_dict(saved[2])
    train(again, second, 4, seed=2)
    for a, b in zip(model.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)
    assert kept.count == 8
    assert kept.blocks == constraint.blocks
    with pytest.raises(UsageError, match=r"a SpectralConstraint's, of gru.weight_hh_l0, got dict"):
        kept.load_state_dict({})


@pytest.mark.parametrize("fused", [False, True])
def test_scaled_steps_that_are_skipped_and_averages_of_weights(fused: bool) -> None:
    model = net(1.79)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0, fused=fused)
    constraint = SpectralConstraint(model, optimizer)
    average = torch.optim.swa_utils.AveragedModel(model)
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    for factor in (1.0, float("inf"), 1.0):
        optimizer.zero_grad()
        scaler.scale(factor * model(torch.ones(2, 5, 5)).square().mean()).backward()
        scaler.step(optimizer)
        scaler.update()
        average.update_parameters(model)
        assert largest(candidate_blocks(average)[0].matrix) <= 1.8 * (1 + 1e-5)
    assert constraint.count == 2


def test_shared_cells_frozen_layers_and_other_optimizers() -> None:
    cell = nn.GRUCell(3, 4)
    model = nn.ModuleDict({"a": cell, "b": cell, "c": nn.GRU(3, 4)})
    assert [b.name for b in candidate_blocks(model)] == ["a.weight_hh", "c.weight_hh_l0"]
    with pytest.warns(UserWarning, match=r"does not hold c\.weight_hh_l0: left without"):
        SpectralConstraint(model, torch.optim.SGD(cell.parameters(), lr=0.1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    kept = SpectralConstraint(model, optimizer)
    with pytest.raises(
        UsageError, match="carry one SpectralConstraint, got a second one; call remove"
    ):
        SpectralConstraint(model, optimizer)
    assert "2 matrices, bound 1.8, largest sigma_1 " in repr(kept)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (nn.LSTM(3, 4), "hold an nn.GRU or nn.GRUCell, got LSTM; for a GRU of your own"),
        (nn.GRU(3, 4).half(), r"hold weight_hh_l0 in float32 or float64, got torch.float16"),
        (
            nn.utils.parametrizations.weight_norm(nn.GRU(3, 4), "weight_hh_l0"),
            "hold weight_hh_l0 as a parameter, got a tensor made anew each time",
        ),
    ],
)
def test_models_that_it_cannot_hold(model: nn.Module, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        candidate_blocks(model)


def test_wrong_arguments_are_named() -> None:
    model = nn.GRU(3, 4)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(UsageError, match=r"delta must lie above 0 and below 2, got 2; 0\.2 is"):
        SpectralConstraint(model, optimizer, delta=2)
    with pytest.raises(UsageTypeError, match="optimizer must be a torch optimizer, got GRU"):
        SpectralConstraint(model, model)  # type: ignore[arg-type]
    with pytest.raises(
        UsageTypeError, match=r"schedule must be a function, called as schedule\(step\), got 3"
    ):
        SpectralConstraint(model, optimizer, schedule=3)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="optimizer must hold a recurrent weight of the model"):
        SpectralConstraint(model, torch.optim.SGD([torch.zeros(1)]))
    with pytest.raises(UsageError, match="matrix must be finite"):
        project(torch.full((2, 2), torch.inf), 1.0)
    with pytest.raises(UsageError, match="bound must be a finite number above 0, got -1"):
        project(torch.eye(2), -1)
    with pytest.raises(UsageError, match=r"matrix must be float32 or float64, got torch\.bfloat16"):
        project(torch.eye(2).bfloat16(), 1)


@pytest.mark.parametrize("layout", ["keras", "torch", "linen"])
def test_kernels_of_other_frameworks(layout: str) -> None:
    whole = np.random.default_rng(0).normal(size=(4, 12))
    kernel = {"keras": whole, "torch": whole.T, "linen": whole[:, 8:]}[layout]
    expected = np.concatenate([whole[:, :8], nearest(whole[:, 8:], 0.9)], axis=1)
    expected = {"keras": expected, "torch": expected.T, "linen": expected[:, 8:]}[layout]
    kept = kernel.copy()
    np.testing.assert_allclose(project_kernel(kernel, 1.1), expected, atol=1e-13)
    np.testing.assert_array_equal(kernel, kept)
    with pytest.raises(UsageError, match=r"kernel must have shape \(H, 3 H\), .*got \(4, 5\)"):
        project_kernel(whole[:, :5])
