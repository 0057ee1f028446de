"""Recurrent policies while they play Atari games (needs ale-py and gymnasium)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import torch
from _recurrent_drives import Drive, filled, part_of
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.functional import interpolate

from nakami.recurrent import StateMap

GAMES = {"pong": "Pong", "breakout": "Breakout", "spaceinvaders": "SpaceInvaders"}
FRAMES, SPAN = 1000, 20


def seen(frame: Tensor) -> Tensor:
    """The policy's picture of a frame (210, 160, 3): shape (1, 1, 80, 80), within 0 and 1."""
    grey = frame[35:195].double().mean(2)
    low, high = grey.min(), grey.max()
    bytes_ = ((grey - low) * (255 / (high - low).clamp_min(1)) + 0.5).floor()
    small = interpolate(bytes_[None, None], (80, 80), mode="bilinear", antialias=True)
    return small.round() / 255


class Policy(nn.Module):
    """Convolutions, a GRU, and logits of the actions."""

    def __init__(self, root: Path, name: str):
        super().__init__()
        stored = load_file(root / "atari-policies" / f"a3c_gru_{name}.safetensors")
        layers: list[nn.Module] = []
        for i in range(1, 5):
            conv = nn.Conv2d(1 if i == 1 else 32, 32, 3, stride=2, padding=1)
            layers += [filled(conv, part_of(stored, f"conv{i}")), nn.ELU()]
        self.look = nn.Sequential(*layers, nn.Flatten())
        self.gru = filled(nn.GRUCell(800, 256), part_of(stored, "gru"))
        weights = part_of(stored, "actor_linear")
        self.actor = filled(nn.Linear(256, len(weights["bias"])), weights)

    def at(self, state: Tensor) -> nn.Module:
        """Logits as a function of the picture alone, the state ``(1, 256)`` before it held."""
        return _Held(self, state)


class _Held(nn.Module):
    def __init__(self, policy: Policy, state: Tensor):
        super().__init__()
        self.look, self.gru, self.output = policy.look, policy.gru, policy.actor
        self.state = nn.Buffer(state)

    def forward(self, picture: Tensor) -> Tensor:
        x = self.look(picture)
        return self.output(self.gru(x, self.state.expand(len(x), -1)))


class Played(NamedTuple):
    """One game.

    Attributes:
        reward: In all. over: whether it came to its end. frames: pictures ``(1, 80, 80)``.
        fed: What the GRU was fed, ``(800,)`` each. states: its state after each, ``(1, 256)``.
    """

    reward: float
    over: bool
    frames: list[Tensor]
    fed: list[Tensor]
    states: list[Tensor]


@torch.no_grad()
def played(policy: Policy, env: Any, generator: torch.Generator, most: int, seed: int) -> Played:
    """A game of so many frames at most; actions are drawn from the policy."""
    frame, _ = env.reset(seed=seed)
    state, reward, over = torch.zeros(1, 256).double(), 0.0, False
    frames, fed, states = list[Tensor](), list[Tensor](), list[Tensor]()
    while len(fed) < most and not over:
        picture = seen(torch.from_numpy(frame))
        x = policy.look(picture)
        state = policy.gru(x, state)
        for kept, now in ((frames, picture[0]), (fed, x[0]), (states, state)):
            kept.append(now)
        action = torch.multinomial(policy.actor(state)[0].softmax(0), 1, generator=generator)
        frame, gain, ended, cut, _ = env.step(int(action))
        reward, over = reward + float(gain), ended or cut
    return Played(reward, over, frames, fed, states)


def environment(name: str) -> Any:
    """The game that a policy was trained on.

    Raises:
        ImportError: Without ale-py or gymnasium.
    """
    import ale_py
    import gymnasium

    gymnasium.register_envs(ale_py)
    return gymnasium.make(f"{GAMES[name]}-v4")


def game(root: Path, name: str) -> dict[str, Drive]:
    """A policy's GRU on what its convolutions see in one game of up to 1,000 frames.

    Actions are drawn from the policy with a seed.

    Raises:
        ImportError: Without ale-py or gymnasium.
    """
    env, policy = environment(name), Policy(root, name)
    found = played(policy, env, torch.Generator().manual_seed(0), FRAMES, 0)
    env.close()
    inputs = torch.stack(found.fed)
    states = StateMap(policy.gru).run(inputs)[0]
    starts = range(100, len(inputs) - SPAN, (len(inputs) - SPAN - 100) // 20)
    spans = [(inputs[t : t + SPAN], states[t]) for t in starts]
    check = {"reward": found.reward, "frames": len(inputs), "over": found.over}
    return {name: Drive(policy.gru, inputs[None], inputs.mean(0), spans, SPAN, 100, check)}
