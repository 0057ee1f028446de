"""Q-learning as a method of ``nakami.training``: Stable-Baselines3 plays and updates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, final

import torch
from torch import Tensor, nn

from nakami.results import wrong
from nakami.training import Descend, Method

from ._games import require
from ._plan import QPlan

if TYPE_CHECKING:
    from ._stable_baselines import Learner


@final
class QLearning(Method):
    """A step of it plays as many steps of a game as a mini-batch has rows, from a new game on.

    The rows themselves are not looked at: ``fit(method, (torch.arange(1000),), batch=250)`` makes
    1,000 steps an epoch, a new game after each 250. The first ``plan.warmup`` steps, at random, are
    made before. Each new game has a seed drawn from the training's generator, so that a training
    that goes on ends in the same bits.

    Args:
        network: Layers of which the last is linear, one output for each action; holds the learned
            weights after each step.
        make: Gives the game.
        plan: How it is trained.

    Raises:
        RunError: The extra ``agents`` is not installed.
        UsageError: The last layer does not fit the game.
    """

    loss_name = "Huber loss of the Bellman error"
    in_order = True

    def __init__(self, network: nn.Sequential, make: Callable[[], Any], plan: QPlan | None = None):
        require()
        self.module, self.plan = network, plan or QPlan()
        self._game = make()
        last, actions = network[-1], int(self._game.action_space.n)
        if not isinstance(last, nn.Linear) or last.out_features != actions:
            rule = f"end in a linear layer of {actions} outputs, one for each action"
            raise wrong("network", rule, last, f"make it with {actions} outputs")
        self._learner: Learner | None = None
        self._generator = torch.Generator()

    def start(self, data: Sequence[Tensor], generator: torch.Generator) -> None:
        """Make the learner where the network is, and fill its replay at random."""
        from ._stable_baselines import Learner, apart

        self._generator = generator
        device = next(self.module.parameters()).device
        with apart():
            self._learner = Learner(self._network, self._game, self.plan, device)
            self._learner.played(self.plan.warmup, self._seed())

    def step(self, batch: Sequence[Tensor], descend: Descend) -> Tensor:
        """As many steps as rows; the mean loss of their updates."""
        from ._stable_baselines import apart

        steps, play = len(batch[0]), self.plan.play
        if steps % play:
            rule = f"be a multiple of play, {play}, in the last of an epoch too"
            raise wrong("batch", rule, steps, f"pass batch={play * 100} and a multiple of rows")
        assert self._learner is not None  # as start was called
        with apart():
            losses = self._learner.played(steps, self._seed())
            self._learner.give_back(self._network)
        return torch.tensor(losses).mean()

    def state_dict(self) -> dict[str, Any]:
        """Target network, Adam, replay and counts."""
        return {} if self._learner is None else self._learner.state()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with them; the module has its weights already."""
        assert self._learner is not None
        self._learner.take_up(self._network, state)

    @property
    def _network(self) -> nn.Sequential:
        assert isinstance(self.module, nn.Sequential)
        return self.module

    def _seed(self) -> int:
        return int(torch.randint(2**31, (1,), generator=self._generator))
