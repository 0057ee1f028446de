"""Exact values and successes of the frozen lake beside games that are played."""

import numpy as np
import pytest
import torch

from nakami import agents

pytest.importorskip("gymnasium")
pytest.importorskip("stable_baselines3")
pytest.importorskip("ale_py")


@pytest.fixture(scope="module")
def script(reproduction):
    return reproduction("frozen_lake")


@pytest.fixture(scope="module")
def known(script):
    return script.transitions(agents.game(script.GAME).unwrapped.P)


def test_moves_lead_somewhere_and_values_are_those_of_bellman(script, known):
    leads, over, rewards = known
    assert leads.sum(2) == pytest.approx(np.ones((16, 4)))
    assert over.nonzero()[0].tolist() == [5, 7, 11, 12, 15]  # four holes and the goal
    assert rewards.nonzero()[0].tolist() == [14, 14, 14]
    values = script.best_values(*known, 0.9)
    for state, action in ((0, 1), (10, 2), (14, 2)):
        wanted = 0.0
        for share, after, reward, ended in agents.game(script.GAME).unwrapped.P[state][action]:
            wanted += share * (reward + 0.9 * (0 if ended else max(values[after])))
        assert values[state, action] == pytest.approx(wanted, abs=1e-9)


def test_success_is_the_share_of_games_that_reach_the_goal(script, known):
    values = script.best_values(*known, 0.99)
    net = torch.nn.Sequential(torch.nn.Linear(16, 4, bias=False))
    with torch.no_grad():
        net[0].weight.copy_(torch.from_numpy(values.T))
    n, wanted = 300, script.success(values.argmax(1), *known)
    shares = [(wanted, net), (script.success_at_random(*known), None)]
    for share, player in shares:
        played = agents.play(player, agents.game(script.GAME), n).scores.mean()
        assert played == pytest.approx(share, abs=4 * (share * (1 - share) / n) ** 0.5)
    assert shares[1][0] < wanted < script.within_moves(*known)
