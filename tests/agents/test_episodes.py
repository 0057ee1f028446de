"""Games played to their end."""

import numpy as np
import pytest
import torch

from nakami import agents
from nakami.zoo import dqn, mlp

pytest.importorskip("gymnasium")
pytest.importorskip("stable_baselines3")
pytest.importorskip("ale_py")


def test_scores_are_sums_of_rewards_and_repeat():
    game = agents.game("CartPole-v1")
    one, other = (agents.play(None, game, 5, seed=3, every=4) for _ in range(2))
    assert torch.equal(one.scores, other.scores)
    assert torch.equal(one.scores, one.lengths.double())  # 1 for each step
    assert one.states.shape == (-(-int(one.lengths.sum()) // 4), 4)


def test_numbered_states_are_rows_with_a_single_1():
    lake, cards = agents.game("FrozenLake-v1"), agents.game("Blackjack-v1")
    state, _ = lake.reset(seed=0)
    assert state.tolist() == [1] + [0] * 15
    assert agents.as_input(state).dtype == torch.float32
    state, _ = cards.reset(seed=0)  # sum of the hand, the card that is seen, whether an ace counts
    assert state.shape == cards.observation_space.shape
    assert int(state.sum()) == 3
    assert agents.play(mlp.make((16, 4)), lake, 2).lengths.max() <= 100


def test_each_part_of_a_network_stays_in_its_mode():
    net = torch.nn.Sequential(mlp.make((4, 3)), torch.nn.Dropout(), mlp.make((3, 2)))
    net.train()
    net[0].eval()
    modes = [part.training for part in net.modules()]
    one, other = (agents.play(net, agents.game("CartPole-v1"), 2).scores for _ in range(2))
    assert torch.equal(one, other)  # no dropout while it plays
    assert [part.training for part in net.modules()] == modes


def test_a_network_that_leans_against_the_pole_does_better_than_chance():
    net = mlp.make((4, 2))
    with torch.no_grad():
        for p in net.parameters():
            p.zero_()
        net[-1].weight[1] = torch.tensor([0.0, 0.0, 1.0, 1.0])  # to where it falls
    game = agents.game("CartPole-v1")
    leaned = agents.play(net, game, 5).scores.mean()
    assert leaned > 3 * agents.play(None, game, 5).scores.mean()
    assert agents.play(net, game, 5, randomness=1.0).scores.mean() < leaned / 3


def test_atari_is_what_the_network_takes_and_lives_are_episodes_in_training_alone():
    lives, whole = agents.atari("breakout", training=True), agents.atari("breakout")
    state, _ = whole.reset(seed=1)
    assert (state.shape, state.dtype) == ((4, 84, 84), np.uint8)
    x = agents.as_input(state)
    assert 0 < float(x.max()) <= 1
    assert dqn.make(year="2013")(x[None]).shape == (1, 4)
    found, game = (agents.play(None, each, 5, seed=1) for each in (lives, whole))
    first = int(game.lengths[0])
    assert int(found.lengths[:4].sum()) < first  # five lives are one game
    assert found.scores.max() < 5


@pytest.mark.parametrize("training", [True, False])
def test_a_ball_is_served_by_itself_at_each_life_of_a_training_alone(training):
    game, lengths = agents.atari("breakout", training=training), []
    game.reset(seed=3)
    for _ in range(3):
        steps, over = 0, False
        while not over and steps < 200:  # nothing is pressed
            _, _, over, _, _ = game.step(0)
            steps += 1
        lengths.append(steps)
        game.reset()
    assert all((steps < 60) == training for steps in lengths)


def test_rewards_are_cut_in_training_alone():
    seen = {}
    for training in (True, False):
        game = agents.atari("space_invaders", training=training)
        game.action_space.seed(0)
        game.reset(seed=1)
        rewards = set()
        for _ in range(300):
            _, reward, ended, _, _ = game.step(game.action_space.sample())
            rewards.add(reward)
            if ended:
                game.reset()
        seen[training] = rewards
    assert seen[True] == {0.0, 1.0}
    assert max(seen[False]) >= 5


def test_stable_baselines_shows_our_network_pictures_in_0_to_1():
    from nakami.agents._stable_baselines import Learner

    game, plan = agents.atari("breakout", training=True), agents.QPlan(replay=40, warmup=40)
    net = dqn.make(year="2013")
    inside = Learner(net, game, plan, torch.device("cpu"))
    inside.played(40, 0)
    pictures = inside.replay_buffer.observations[::10, 0]
    assert (pictures.dtype, pictures.max() > 1) == (np.uint8, True)
    with torch.no_grad():
        found = inside.q_net(torch.from_numpy(pictures))
        torch.testing.assert_close(found, net(agents.as_input(pictures)))
