"""A network of ours inside Stable-Baselines3's DQN; imported where this is installed."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from stable_baselines3 import DQN
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import Tensor, nn

from ._plan import QPlan


class Body(BaseFeaturesExtractor):
    """All layers of a network but the last, as Stable-Baselines3 takes features.

    It is given numbers as they are stored: bytes become 0..1 here, as in ``as_input``, whatever
    their shape.
    """

    def __init__(self, observation_space: Any, layers: nn.Sequential, features: int):
        super().__init__(observation_space, features)
        self.layers = copy.deepcopy(layers)
        self.scale = 255 if observation_space.dtype == np.uint8 else 1

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x / self.scale)


class Learner(DQN):
    """DQN on a network of ours, with the loss of each round of updates.

    Args:
        network: Layers of which the last is linear, one output for each action.
        game: As Gymnasium has it.
        plan: How it is trained.
        device: Where.
    """

    def __init__(self, network: nn.Sequential, game: Any, plan: QPlan, device: torch.device):
        last = network[-1]
        body = {"layers": network[:-1], "features": last.in_features}
        super().__init__(
            "MlpPolicy",
            game,
            plan.rate,
            plan.replay,
            plan.warmup,
            plan.batch,
            gamma=plan.discount,
            train_freq=plan.play,
            gradient_steps=plan.updates,
            target_update_interval=plan.target,
            policy_kwargs={
                "features_extractor_class": Body,
                "features_extractor_kwargs": body,
                "net_arch": [],
                "normalize_images": False,
            },
            device=device,
        )
        # of what it is given, the share of steps left, a second call of learn makes another course
        self.plan = plan
        self.exploration_schedule = lambda _: plan.randomness(self.num_timesteps)
        self.lr_schedule = lambda _: plan.rate_at(self.num_timesteps)
        self.set_logger(Logger(None, []))
        self.losses: list[float] = []
        for net in (self.q_net, self.q_net_target):
            for mine, theirs in self._pairs(net, network):
                theirs.load_state_dict(mine.state_dict())

    def train(self, gradient_steps: int, batch_size: int = 100) -> None:
        """As DQN; the mean loss of these updates is noted."""
        super().train(gradient_steps, batch_size)
        self.losses.append(float(self.logger.name_to_value["train/loss"]))

    def played(self, steps: int, seed: int) -> list[float]:
        """Make so many steps, with their updates, from a new game on; the loss of each round."""
        self.losses.clear()
        self._last_obs = None
        self.set_random_seed(seed)
        self.exploration_rate = self.plan.randomness(self.num_timesteps)  # of the first move
        self.learn(steps, log_interval=None, reset_num_timesteps=False)
        return list(self.losses)

    def give_back(self, network: nn.Sequential) -> None:
        """Write the weights into the network."""
        for mine, theirs in self._pairs(self.q_net, network):
            mine.load_state_dict(theirs.state_dict())

    def state(self) -> dict[str, Any]:
        """All that the next step from a new game on depends on, beside the network's weights."""
        replay, parts = self.replay_buffer, {}
        rows = replay.size()
        for name in REPLAY:
            parts[name] = torch.from_numpy(getattr(replay, name)[:rows].copy())
        counts = {name: int(getattr(self, name)) for name in COUNTS}
        return {
            "target": self.q_net_target.state_dict(),
            "optimizer": self.policy.optimizer.state_dict(),
            "replay": {**parts, "pos": int(replay.pos), "full": bool(replay.full)},
            "counts": counts,
        }

    def take_up(self, network: nn.Sequential, state: dict[str, Any]) -> None:
        """Go on from what ``state`` gave."""
        for mine, theirs in self._pairs(self.q_net, network):
            theirs.load_state_dict(mine.state_dict())
        self.q_net_target.load_state_dict(state["target"])
        self.policy.optimizer.load_state_dict(state["optimizer"])
        parts, replay = state["replay"], self.replay_buffer
        for name in REPLAY:
            getattr(replay, name)[: len(parts[name])] = parts[name].numpy()
        replay.pos, replay.full = parts["pos"], parts["full"]
        for name, value in state["counts"].items():
            setattr(self, name, value)

    @staticmethod
    def _pairs(net: Any, network: nn.Sequential) -> tuple[tuple[nn.Module, nn.Module], ...]:
        return (network[:-1], net.features_extractor.layers), (network[-1], net.q_net[0])


REPLAY = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")
COUNTS = ("num_timesteps", "_n_calls", "_n_updates", "_episode_num")


@contextmanager
def apart() -> Iterator[None]:
    """Random streams and cuDNN's flags, which Stable-Baselines3 sets, are as before afterwards."""
    python, numbers, cudnn = random.getstate(), np.random.get_state(), torch.backends.cudnn
    flags = cudnn.deterministic, cudnn.benchmark
    try:
        with torch.random.fork_rng():
            yield
    finally:
        cudnn.deterministic, cudnn.benchmark = flags
        random.setstate(python)
        np.random.set_state(numbers)
