"""Target and loss of Q-learning against closed forms."""

import math

import pytest
import torch
from torch import nn

from nakami.agents import bellman_target, temporal_difference


def chain(updates, batch, discount, forget_end=False):
    """Values of six states in a row, left and right, learned by replay; a reward of 1 at the end.

    Step 0.1 on each error, the last 1,000 steps of a random walk, a target copied each 200 updates.
    """
    generator = torch.Generator().manual_seed(0)
    states, moves = torch.zeros(1000, dtype=torch.long), torch.zeros(1000, dtype=torch.long)
    at = 0
    for i in range(1000):
        states[i], moves[i] = at, torch.randint(2, (1,), generator=generator)
        at = max(0, at - 1) if moves[i] == 0 else at + 1
        at = 0 if at == 5 else at
    after = torch.where(moves == 1, states + 1, (states - 1).clamp_min(0))
    ended = (after == 5).float()
    values, target = nn.Embedding(6, 2), nn.Embedding(6, 2)
    for table in (values, target):
        nn.init.zeros_(table.weight)
    sgd = torch.optim.SGD(values.parameters(), 0.1 * batch)  # the loss is a mean
    for update in range(updates):
        if update * batch % 200 < batch:
            target.load_state_dict(values.state_dict())
        rows = torch.randint(1000, (batch,), generator=generator)
        over = torch.zeros(batch) if forget_end else ended[rows]
        with torch.no_grad():
            wanted = bellman_target(ended[rows], over, target(after[rows]), discount)
        sgd.zero_grad()
        temporal_difference(values(states[rows]), moves[rows], wanted).backward()
        sgd.step()
    return values.weight.detach()


def test_values_of_a_chain_are_powers_of_the_discount():
    found = chain(6_000, 5, 0.9)[:5, 1]
    wanted = 0.9 ** (4 - torch.arange(5.0))
    torch.testing.assert_close(found, wanted, rtol=0, atol=2e-2)


def test_the_check_can_fail():
    found = chain(600, 5, 0.8)[:5, 1]
    assert (found - 0.9 ** (4 - torch.arange(5.0))).abs().max() > 0.05


def test_the_target_is_the_formula_and_has_no_gradient():
    values = torch.tensor([[1.0, 3.0], [2.0, -1.0]], requires_grad=True)
    found = bellman_target(torch.tensor([0.5, 1.0]), torch.tensor([0, 1]), values, 0.9)
    assert found.tolist() == pytest.approx([0.5 + 0.9 * 3, 1.0])
    assert not found.requires_grad


@pytest.mark.parametrize(("error", "loss", "slope"), [(0.4, 0.08, 0.4), (-3.0, 2.5, -1.0)])
def test_errors_are_cut_in_the_gradient(error, loss, slope):
    values = torch.tensor([[7.0, error]], requires_grad=True)
    found = temporal_difference(values, torch.tensor([1]), torch.zeros(1))
    found.backward()
    assert math.isclose(found.item(), loss, rel_tol=1e-6)
    assert values.grad.tolist() == [[0.0, pytest.approx(slope)]]
