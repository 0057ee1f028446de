"""Recurrent policies while they play Atari games (needs ale-py and gymnasium)."""

from __future__ import annotations

from pathlib import Path

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


def game(root: Path, name: str) -> dict[str, Drive]:
    """A policy's GRU on what its convolutions see in one game of up to 1,000 frames.

    Actions are drawn from the policy with a seed.

    Raises:
        ImportError: Without ale-py or gymnasium.
    """
    import ale_py
    import gymnasium

    gymnasium.register_envs(ale_py)
    stored = load_file(root / "atari-policies" / f"a3c_gru_{name}.safetensors")
    layers: list[nn.Module] = []
    for i in range(1, 5):
        conv = nn.Conv2d(1 if i == 1 else 32, 32, 3, stride=2, padding=1)
        layers += [filled(conv, part_of(stored, f"conv{i}")), nn.ELU()]
    look = nn.Sequential(*layers, nn.Flatten())
    gru = filled(nn.GRUCell(800, 256), part_of(stored, "gru"))
    weights = part_of(stored, "actor_linear")
    actor = filled(nn.Linear(256, len(weights["bias"])), weights)
    generator = torch.Generator().manual_seed(0)
    env = gymnasium.make(f"{GAMES[name]}-v4")
    frame, _ = env.reset(seed=0)
    state, reward, fed, over = torch.zeros(1, 256).double(), 0.0, list[Tensor](), False
    while len(fed) < FRAMES and not over:
        x = look(seen(torch.from_numpy(frame)))
        state = gru(x, state)
        fed.append(x[0])
        action = torch.multinomial(actor(state)[0].softmax(0), 1, generator=generator)
        frame, gain, ended, cut, _ = env.step(int(action))
        reward, over = reward + float(gain), ended or cut
    env.close()
    inputs = torch.stack(fed)
    states = StateMap(gru).run(inputs)[0]
    starts = range(100, len(fed) - SPAN, (len(fed) - SPAN - 100) // 20)
    spans = [(inputs[t : t + SPAN], states[t]) for t in starts]
    check = {"reward": reward, "frames": len(fed), "over": over}
    return {name: Drive(gru, inputs[None], inputs.mean(0), spans, SPAN, 100, check)}
