"""Deep Q-learning of the pole on a cart: a kept library trains a network of ours.

Stable-Baselines3's DQN (``agents.QLearning``) on Gymnasium's ``CartPole-v1``: a reward of 1 for
each step that the pole stands, 500 at most. Scores are those of whole games without moves at
random, by seeds that no training sees; beside them games of random moves. Weights are kept on the
way: the page draws the score over the training, and below it the singular values of the Jacobian
of the values by the state. ``--set game=NAME`` takes another game of Gymnasium's, of states in
numbers, or one of yours, ``module:NAME``.

Origin: Mnih et al., "Human-level control through deep reinforcement learning", Nature 518 (2015).

Deliberate differences: a perceptron for four numbers in place of pictures; Adam, whose rate falls
to 0; 128 updates after each 256 steps, before which the target network is the network again.
Published for this game: nothing was read.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import torch
from torch import Tensor, nn

from nakami import agents, dynamics
from nakami.agents import QPlan
from nakami.data import Examples
from nakami.results import wrong
from nakami.training import Training
from nakami.zoo import mlp

from ..results import Lines, counted
from ._examples import DataFiles
from ._facts import mean_fact
from ._settings import POSITIVE, Bounds
from ._subject import Network, Recipe

STATES, LOOKS = 16, 10


@dataclass(frozen=True)
class CartPoleSettings(QPlan):
    """What decides the weights, beside the seed; ``agents.QPlan`` has the rest.

    Attributes:
        rate_steps: Steps in which the rate falls evenly to 0; none: it stays.
        game: Its name, as Gymnasium's ``make`` takes it.
        hidden: Units of each hidden layer.
        epochs: Parts of the training, each from a new game on.
        steps: Steps of the game in each; a multiple of ``play``.
        games: To measure a score by.
    """

    rate: Annotated[float, POSITIVE] = 2.3e-3
    batch: Annotated[int, Bounds(1)] = 64
    discount: Annotated[float, Bounds(0, 1)] = 0.99
    replay: Annotated[int, Bounds(1)] = 100_000
    warmup: Annotated[int, Bounds(1)] = 1024
    play: Annotated[int, Bounds(1)] = 256
    updates: Annotated[int, Bounds(1)] = 128
    target: Annotated[int, Bounds(1)] = 10
    rate_steps: Annotated[int | None, Bounds(1)] = 52_224
    explore: Annotated[float, Bounds(0, 1)] = 0.04
    explore_steps: Annotated[int, Bounds(1)] = 8_000
    game: str = "CartPole-v1"
    hidden: Annotated[tuple[int, ...], Bounds(1)] = (256, 256)
    epochs: int = 20
    steps: Annotated[int, Bounds(1)] = 2_560
    games: Annotated[int, Bounds(1)] = 30

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.steps < 1 or self.steps % self.play:
            rule = f"be a multiple of play, {self.play}"
            raise wrong("steps", rule, self.steps, f"use steps={10 * self.play}")


def played_at_random(files: DataFiles | None) -> tuple[Examples, Examples]:
    """States of games of the pole played at random: an agent makes all others itself.

    Raises:
        UsageError: Files are given.
        RunError: The extra ``agents`` is not installed.
    """
    if files is not None:
        rule = "be left out, as an agent makes its own examples"
        way_out = "choose another game by --set game=NAME, one of yours by game=module:NAME"
        raise wrong("data", rule, str(files.path), way_out)
    return _states(CartPoleSettings.game)


def arranged(
    train: Examples, test: Examples, settings: CartPoleSettings
) -> tuple[Examples, Examples]:
    """Those of the game that is asked for."""
    return (train, test) if settings.game == CartPoleSettings.game else _states(settings.game)


def _states(name: str) -> tuple[Examples, Examples]:
    game = agents.game(name)
    if len(shape := game.observation_space.shape or ()) != 1:
        rule, way_out = "have states that are rows of numbers", "use game=CartPole-v1"
        raise wrong("game", rule, f"{name} with states of shape {shape}", way_out)
    found = []
    for part, games, seed in (("train", 50, 1), ("test", 25, 2)):
        states = agents.play(None, game, games, seed=seed, every=5).states
        names = tuple(f"{part} state {i}" for i in range(len(states)))
        source = f"{len(states)} states of {games} games of {name} played at random"
        found.append(Examples(states, None, names, "number of the state", source, noun="state"))
    return found[0], found[1]


def made(settings: CartPoleSettings, generator: torch.Generator | None = None) -> nn.Sequential:
    """The network with first weights."""
    game = agents.game(settings.game)
    sizes = (*game.observation_space.shape, *settings.hidden, int(game.action_space.n))
    return mlp.make(sizes, generator=generator)


def untrained(settings: CartPoleSettings) -> nn.Sequential:
    """The network with first weights, in evaluation mode."""
    return made(settings).eval()


def epochs(settings: CartPoleSettings) -> Mapping[str, int]:
    """One phase."""
    return {"trained": settings.epochs}


def train(
    training: Training, train: Examples, test: Examples, settings: CartPoleSettings
) -> tuple[Network, Network]:
    """The network before and after."""
    s, game = settings, agents.game(settings.game)
    net = made(s, training.generator("first weights")).eval()
    times = {"start": copy.deepcopy(net.state_dict())}
    first = copy.deepcopy(net)
    method = agents.QLearning(net, lambda: agents.game(s.game), s)
    snapshots = {epoch: f"trained, epoch {epoch}" for epoch in looked_at(s.epochs)}
    rows = (torch.arange(s.steps),)
    training.run("trained", method, lambda: rows, batch=s.steps, snapshots=snapshots)
    other = copy.deepcopy(net)
    for epoch, name in snapshots.items():
        training.read(name, other)
        times[f"epoch {epoch}"] = copy.deepcopy(other.state_dict())

    def scored(name: str, network: nn.Module | None, seed: int) -> dict[str, Any]:
        def found() -> list[float]:
            return agents.play(network, game, s.games, seed=seed).scores.tolist()

        scores = torch.tensor(training.kept(f"scores, {name}", found), dtype=torch.float64)
        return mean_fact(scores, name, "reward a game", "game")

    at_random = scored("score at random", None, 3)
    before, after = scored("score before", first, 4), scored("score", net, 4)
    steps = counted(s.epochs * s.steps, "step")
    said = f"{steps} of {s.game} by Q-learning with Adam at rate {s.rate}"
    best = Network("trained", net, said, [after], times=times)
    return Network("start", first, "first weights as drawn", [before, at_random]), best


def looked_at(epochs: int) -> list[int]:
    """Ten epochs at equal distances, the last one among them, or all."""
    return sorted({round(e) for e in np.linspace(0, epochs, min(epochs, LOOKS) + 1)[1:]})


def pictures(
    networks: Sequence[Network],
    test: Examples,
    settings: CartPoleSettings,
    generator: torch.Generator,
) -> list[Lines]:
    """Score over the training, and the singular values of the Jacobian below it."""
    net, game = copy.deepcopy(networks[-1].model), agents.game(settings.game)
    steps, scores, spectra = list[float](), list[list[float]](), list[Tensor]()
    for epoch, weights in zip(
        [0, *looked_at(settings.epochs)], networks[-1].times.values(), strict=True
    ):
        net.load_state_dict(weights)
        steps.append(epoch * settings.steps)
        scores.append(agents.play(net, game, LOOKS, seed=5).scores.tolist())
        run = dynamics.xray(net, test.inputs[:STATES], stages="output")
        spectra.append(torch.tensor(run.mean_sd("output")[0].tolist()))
    rows = {
        "mean": [sum(each) / LOOKS for each in scores],
        "least": [min(each) for each in scores],
        "most": [max(each) for each in scores],
    }
    values = torch.stack(spectra).T.tolist()
    score = Lines(
        "Score over the training",
        f"{LOOKS} games without moves at random at each look. The loss may rise while the score "
        "does: its target is made of the values that are learned.",
        "steps of the training",
        "reward a game",
        {name: (steps, row) for name, row in rows.items()},
        ends=(0.0,),
    )
    film = Lines(
        "Singular values of the values by the state",
        f"Of d values / d state, means over {STATES} states of random play.",
        "steps of the training",
        "value per unit of the state",
        {f"{i}": (steps, row) for i, row in enumerate(values, 1)},
        ends=(0.0,),
    )
    return [score, film]


ENTRY = Recipe(
    settings=CartPoleSettings(),
    examples=played_at_random,
    arranged=arranged,
    untrained=untrained,
    epochs=epochs,
    train=train,
    pictures=pictures,
    labelled=False,
)
