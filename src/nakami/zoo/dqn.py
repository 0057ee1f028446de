"""Deep Q-networks of 2013 and 2015: from the last four pictures of a game to a value per action.

Origin: Mnih et al., "Playing Atari with deep reinforcement learning", arXiv 1312.5602 (2013): 16
filters of 8x8 at stride 4, 32 of 4x4 at stride 2, 256 units; and "Human-level control through deep
reinforcement learning", Nature 518 (2015): 32 filters of 8x8 at stride 4, 64 of 4x4 at stride 2, 64
of 3x3 at stride 1, 512 units. ReLU behind all but the last layer. Of 84x84 pixels 9x9 places of 32
maps are left (2,592 values), or 7x7 of 64 (3,136). No output is squashed.

Deliberate differences: first weights ``N(0, 2 / inputs)`` (He et al. 2015), of the last layer
``N(0, 1 / inputs)``; four actions (Breakout) unless asked for otherwise.

Published, mean reward: Breakout 168 (2013, 10 million frames) and 401.2 ± 26.9 (2015), Pong 20 and
18.9 ± 1.3 (both papers' tables as repeated by others); ``reproductions/dqn_games.py`` has what
comes of far fewer frames.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Literal, TypeAlias

import torch
from torch import nn

from nakami.results import check_at_least, check_choice, check_sizes, wrong

from ._entry import Entry
from ._layers import layer, seeded

Year: TypeAlias = Literal["2013", "2015"]

CONVOLUTIONS = {  # filters, side, stride
    "2013": ((16, 8, 4), (32, 4, 2)),
    "2015": ((32, 8, 4), (64, 4, 2), (64, 3, 1)),
}
UNITS = {"2013": 256, "2015": 512}
LEAST = {"2013": 20, "2015": 36}  # pixels a side that leave one place


def make(
    shape: tuple[int, int, int] = (4, 84, 84),
    actions: int = 4,
    *,
    year: Year = "2015",
    generator: torch.Generator | None = None,
) -> nn.Sequential:
    """Modules ``conv1``, ``relu1``, ..., ``flatten``, ``linear``, ``hidden``, ``output``.

    Args:
        shape: Pictures, height and width; 36 pixels a side or more, 20 for that of 2013.
        actions: Number of outputs.
        year: Which of the two.
        generator: Source of the first weights; None: a fresh one with seed 0.

    Returns:
        A network ``(N, *shape) -> (N, actions)`` of pictures in 0..1; the default has 1,686,180
        parameters, that of 2013 677,172.
    """
    check_choice("year", year, list(CONVOLUTIONS), 'use "2015"')
    rule = f"be (pictures, height, width), {LEAST[year]} pixels or more on each side"
    check_sizes("shape", shape, 3, rule, "for example (4, 84, 84)")
    if min(shape[1:]) < LEAST[year]:
        raise wrong("shape", rule, tuple(shape), "for example (4, 84, 84)")
    check_at_least("actions", actions, 1, "pass actions=4")
    g, (maps, *sides) = seeded(generator), shape
    parts = OrderedDict[str, nn.Module]()
    for at, (filters, side, stride) in enumerate(CONVOLUTIONS[year], 1):
        parts[f"conv{at}"] = layer(nn.Conv2d, maps, filters, side, stride=stride, generator=g)
        parts[f"relu{at}"] = nn.ReLU()
        maps, sides = filters, [(n - side) // stride + 1 for n in sides]
    parts["flatten"] = nn.Flatten()
    sizes = (maps * sides[0] * sides[1], UNITS[year])
    parts["linear"] = layer(nn.Linear, *sizes, generator=g)
    parts["hidden"] = nn.ReLU()
    std = (1 / sizes[1]) ** 0.5
    parts["output"] = layer(nn.Linear, sizes[1], actions, std=std, generator=g)
    return nn.Sequential(parts)


ENTRY = Entry(
    make=make,
    input=(4, 84, 84),
    output=(4,),
    parameters=1_686_180,
    task="features",
    origin="Mnih et al. 2015; `year='2013'` for that of 2013",
    preprocessing="unit",
)
