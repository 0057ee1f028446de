"""Networks of ours in Stable-Baselines3's DQN: weights, losses, random streams, going on."""

import copy
import random
from dataclasses import replace

import numpy as np
import pytest
import torch

from nakami import agents
from nakami.results import RunError, UsageError
from nakami.training import Training, fit
from nakami.zoo import mlp

pytest.importorskip("gymnasium")
pytest.importorskip("stable_baselines3")
pytest.importorskip("ale_py")

PLAN = agents.QPlan(batch=8, replay=200, warmup=32, play=8, updates=2, target=16)


def cartpole():
    return agents.game("CartPole-v1")


def network(seed=0):
    return mlp.make((4, 6, 2), generator=torch.Generator().manual_seed(seed))


def learner(net, plan=PLAN):
    from nakami.agents._stable_baselines import Learner

    return Learner(net, cartpole(), plan, torch.device("cpu"))


def test_its_values_are_those_of_our_network():
    net, x = network(), torch.randn(5, 4)
    inside = learner(net)
    for theirs in (inside.q_net, inside.q_net_target):
        torch.testing.assert_close(theirs(x), net(x), rtol=0, atol=0)


def short_games(ends, cut):
    """Games of bytes in a row that end after three moves, or are cut there, with rewards of 1."""
    import gymnasium

    class Short(gymnasium.Env):
        observation_space = gymnasium.spaces.Box(0, 255, (4,), np.uint8)
        action_space = gymnasium.spaces.Discrete(2)

        def reset(self, *, seed=None, options=None):
            self.moves = 0
            return np.full(4, 10, np.uint8), {}

        def step(self, action):
            self.moves += 1
            over = self.moves == 3
            return np.full(4, 50 * self.moves, np.uint8), 1.0, ends and over, cut and over, {}

    return Short()


@pytest.mark.parametrize(("ends", "cut"), [(True, False), (False, True), (True, True)])
def test_a_game_that_is_cut_goes_on_in_the_target_and_one_that_ended_does_not(ends, cut):
    from nakami.agents._stable_baselines import Learner

    inside = Learner(network(), short_games(ends, cut), PLAN, torch.device("cpu"))
    inside.played(32, 0)
    rows = inside.replay_buffer.sample(200)
    last = rows.next_observations[:, 0] == 150  # the state after the end, not that of the next game
    assert 0 < int(last.sum()) < 200
    assert (rows.next_observations[:, 0] > 10).all()
    assert torch.equal(rows.dones[:, 0] == 1, last & ends)


def test_bytes_of_any_shape_are_given_in_0_to_1():
    from nakami.agents._stable_baselines import Learner

    net = network()
    inside = Learner(net, short_games(True, False), PLAN, torch.device("cpu"))
    bytes_ = np.array([[0, 10, 100, 255]], np.uint8)
    with torch.no_grad():
        found = inside.policy.q_net(torch.from_numpy(bytes_))
        torch.testing.assert_close(found, net(agents.as_input(bytes_)), rtol=0, atol=0)
    assert inside.replay_buffer.observations.dtype == np.uint8


def test_its_loss_is_our_formula():
    net = network()
    inside = learner(net, replace(PLAN, updates=1))
    inside.played(32, 0)
    inside.q_net_target.load_state_dict(learner(network(1)).q_net_target.state_dict())
    np.random.seed(3)
    rows = inside.replay_buffer.sample(8)
    target = agents.bellman_target(
        rows.rewards[:, 0], rows.dones[:, 0], network(1)(rows.next_observations), PLAN.discount
    )
    wanted = agents.temporal_difference(net(rows.observations), rows.actions[:, 0], target)
    np.random.seed(3)
    inside.train(1, 8)
    assert inside.losses[-1] == pytest.approx(wanted.item(), rel=1e-6)


def test_the_network_holds_what_was_learned_and_random_streams_stay():
    net = network()
    before = copy.deepcopy(net.state_dict())
    streams = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()
    losses = fit(agents.QLearning(net, cartpole, PLAN), (torch.arange(32),), epochs=2, batch=16)
    assert all(0 < loss < 10 for loss in losses)
    assert all(not torch.equal(value, net.state_dict()[name]) for name, value in before.items())
    assert random.getstate() == streams[0]
    assert np.random.get_state()[1].tolist() == streams[1]
    assert torch.equal(torch.get_rng_state(), streams[2])


class Stopped(Exception):
    pass


def test_a_stopped_training_goes_on_to_the_same_bits(tmp_path, monkeypatch):
    monkeypatch.setattr("nakami.training._training.SECONDS", 0.0)
    plan = replace(PLAN, explore=0.01, explore_steps=1)  # the first move too has its share

    def trained(folder, progress=None):
        net = network()
        training = Training(folder, {"seed": 4}, {"all": 4}, progress=progress)
        method = agents.QLearning(net, cartpole, plan)
        training.run("all", method, lambda: (torch.arange(24),), batch=24)
        return net.state_dict()

    def stop(done, total, left, what):
        if done == 2:
            raise Stopped("after two epochs")

    whole = trained(tmp_path / "whole")
    with pytest.raises(Stopped, match="after two epochs"):
        trained(tmp_path / "parts", stop)
    for name, value in trained(tmp_path / "parts").items():
        assert torch.equal(value, whole[name]), name


def test_flags_of_cudnn_come_back():
    from nakami.agents._stable_baselines import apart

    cudnn = torch.backends.cudnn
    before = cudnn.deterministic, cudnn.benchmark
    with apart():  # as set_random_seed sets them where there is a GPU
        cudnn.deterministic, cudnn.benchmark = not before[0], not before[1]
    assert (cudnn.deterministic, cudnn.benchmark) == before


def test_moves_at_random_fall_from_one():
    plan = agents.QPlan(warmup=100, explore=0.1, explore_steps=900)
    found = [plan.randomness(step) for step in (0, 100, 550, 1000, 5000)]
    assert found == pytest.approx([1, 1, 0.55, 0.1, 0.1])


def test_the_rate_falls_to_nothing():
    plan = replace(PLAN, rate=0.1, rate_steps=64)
    inside = learner(network(), plan)
    rates = []
    for _ in range(3):
        inside.played(32, 0)
        rates.append(inside.policy.optimizer.param_groups[0]["lr"])
    assert rates == pytest.approx([0.1, 0, 0])
    assert PLAN.rate_at(10**9) == PLAN.rate


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rate": 0}, "rate must be a number above 0"),
        ({"warmup": 30, "play": 8}, "warmup must be a multiple of play, 8, got 30"),
        ({"discount": 1.5}, "discount must lie between 0 and 1"),
        ({"batch": 0}, "batch must be a whole number from 1 on"),
    ],
)
def test_wrong_plans_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        agents.QPlan(**options)


def test_what_does_not_fit_the_game_is_refused():
    with pytest.raises(UsageError, match="network must end in a linear layer of 2 outputs"):
        agents.QLearning(mlp.make((4, 6, 3)), cartpole, PLAN)
    with pytest.raises(UsageError, match="batch must be a multiple of play, 8"):
        fit(agents.QLearning(network(), cartpole, PLAN), (torch.arange(12),), epochs=1, batch=12)
    with pytest.raises(UsageError, match="name must be a game of Gymnasium, got 'NoGame-v7'"):
        agents.game("NoGame-v7")
    with pytest.raises(UsageError, match="name must be a game with a few actions"):
        agents.game("Pendulum-v1")
    with pytest.raises(RunError, match="nomodule:X-v0 needs a package that is not installed"):
        agents.game("nomodule:X-v0")
    with pytest.raises(UsageError, match="randomness must be a number from 0 to 1, got 5"):
        agents.play(None, cartpole(), 1, randomness=5)
    with pytest.raises(UsageError, match=r"Atari game .brakeout. is unknown.*breakout"):
        agents.atari("brakeout")
