"""Games played to their end, with scores and the states seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nakami.results import check_at_least, check_seed, is_number, wrong
from nakami.training._evaluating import evaluating


@dataclass(frozen=True)
class Episodes:
    """What came of some games.

    Attributes:
        scores: Sum of the rewards of each game, without discount, ``(games,)`` float64.
        lengths: Steps of each game, ``(games,)``.
        states: Those that were kept, as a network takes them, ``(N, ...)``.
    """

    scores: Tensor
    lengths: Tensor
    states: Tensor


def as_input(state: np.ndarray) -> Tensor:
    """A state as a network takes it, float32; bytes in 0..1."""
    given = torch.from_numpy(np.asarray(state))
    return given.float() / 255 if given.dtype == torch.uint8 else given.float()


@torch.no_grad()
def play(
    network: nn.Module | None,
    game: Any,
    games: int,
    *,
    seed: int = 0,
    randomness: float = 0.0,
    every: int = 0,
) -> Episodes:
    """Play games to their end, each move the action of the largest output.

    Args:
        network: ``(1, ...) -> (1, actions)``, left as it was; None: all moves at random.
        game: As Gymnasium has it; the first game is seeded.
        games: How many.
        seed: Decides the games and the moves at random.
        randomness: Share of moves at random, 0 to 1.
        every: Keep each so many-th state; 0: none.
    """
    games = check_at_least("games", games, 1, "pass games=10")
    if not is_number(randomness) or not 0 <= randomness <= 1:
        raise wrong("randomness", "be a number from 0 to 1", randomness, "use 0.05")
    generator = torch.Generator().manual_seed(check_seed(seed))
    actions, scores, lengths = int(game.action_space.n), list[float](), list[int]()
    kept = list[Tensor]()
    weight = None if network is None else next(network.parameters(), None)
    device = torch.device("cpu") if weight is None else weight.device
    with evaluating(nn.Identity() if network is None else network):
        for index in range(games):
            state, _ = game.reset(seed=seed if index == 0 else None)
            score, steps, over = 0.0, 0, False
            while not over:
                if every and (sum(lengths) + steps) % every == 0:
                    kept.append(as_input(state).clone())
                at_random = torch.rand(1, generator=generator).item() < randomness
                if network is None or at_random:
                    action = int(torch.randint(actions, (1,), generator=generator))
                else:
                    action = int(network(as_input(state)[None].to(device)).argmax())
                state, reward, ended, cut, _ = game.step(action)
                score, steps, over = score + float(reward), steps + 1, ended or cut
            scores.append(score)
            lengths.append(steps)
    states = torch.stack(kept) if kept else torch.empty(0)
    return Episodes(torch.tensor(scores, dtype=torch.float64), torch.tensor(lengths), states)
