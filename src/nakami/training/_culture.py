"""Learners that tell each other labels: an evolving culture."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer

from nakami.results import check_at_least, is_number, wrong

from ._evaluating import evaluating
from ._method import Descend, Method

NOBODY = (-1, -1)  # pupil and teacher


@final
class Culture(Method):
    """Classifiers with labelled examples of their own that learn from each other's labels, too.

    Each round, one mini-batch of a shared pool without labels, agent i hears from a random other
    agent j the labels ``argmax f_j(x)``, each drawn anew uniformly among all classes with
    probability ``noise``, and steps down ``CE(f_i(own x), own y) + weight CE(f_i(x), heard)``. All
    agents speak as they were before the round, in evaluation mode. The data of the training is the
    pool.

    Args:
        agents: Two or more classifiers; ``module`` holds them.
        own: Of each agent its inputs ``(n, ...)`` and labels ``(n,)``; all are used in each round.
        optimizer: ``optimizer(parameters)``, called for each agent.
        noise: Probability that a label is drawn anew, 0 to 1.
        weight: Of what is heard, from 0 on; 0: the agents learn alone, at as many steps.
        silent: Rounds at the beginning without messages.
        select: Rounds of messages between two selections; 0: none. A selection judges each agent
            on the labelled examples of all others. The worst begins again, with its first weights
            and an empty optimizer, and hears the best alone until the next selection.

    Source: Bengio, "Evolving culture vs local minima", arXiv 1203.2990, which has no experiment.
    """

    loss_name = "cross-entropy of own labels, mean of the agents, nats"

    def __init__(
        self,
        agents: Sequence[nn.Module],
        own: Sequence[tuple[Tensor, Tensor]],
        optimizer: Callable[[Any], Optimizer],
        *,
        noise: float = 0.0,
        weight: float = 1.0,
        silent: int = 0,
        select: int = 0,
    ):
        if len(agents) < 2 or len(own) != len(agents):
            got = f"{len(agents)} agents and {len(own)} pairs of examples"
            rule = "be two or more, with examples of their own for each"
            raise wrong("agents", rule, got, "pass agents=[a, b], own=[(x, y), (u, v)]")
        if not is_number(noise) or not 0 <= noise <= 1:
            raise wrong("noise", "be a number from 0 to 1", noise, "use 0.3")
        if not is_number(weight) or not 0 <= weight < float("inf"):
            raise wrong("weight", "be a number from 0 on", weight, "use 1.0")
        self._agents, self._own = list(agents), list(own)
        self.module = nn.ModuleList(agents)
        self._optimizers = [optimizer(agent.parameters()) for agent in agents]
        self.noise, self.weight = float(noise), float(weight)
        self._silent = check_at_least("silent", silent, 0, "leave it out")
        self._select = check_at_least("select", select, 0, "leave it out")
        self._first = [copy.deepcopy(a.state_dict()) for a in agents] if self._select else []
        self._rounds, self._taught = 0, NOBODY

    def optimizers(self) -> Sequence[Optimizer]:
        """One for each agent."""
        return self._optimizers

    def start(self, data: Sequence[Tensor], generator: torch.Generator) -> None:
        """Peers and noise draw from the training's generator."""
        self._generator = generator

    def heard(self, pool: Tensor) -> list[Tensor]:
        """Labels that each agent hears of ``(B, ...)`` from a random other, ``(B,)`` each."""
        n, g = len(self._agents), self._generator
        with torch.no_grad(), evaluating(self.module):
            logits = [agent(pool) for agent in self._agents]
        others = torch.randint(1, n, (n,), generator=g, device=g.device).tolist()
        pupil, teacher = self._taught
        found = []
        for i, step in enumerate(others):
            spoken = logits[teacher if i == pupil else (i + step) % n]
            drawn = torch.rand(len(pool), generator=g, device=g.device) < self.noise
            other = torch.randint(spoken.shape[1], (len(pool),), generator=g, device=g.device)
            at = spoken.device
            found.append(torch.where(drawn.to(at), other.to(at), spoken.argmax(1)))
        return found

    @torch.no_grad()
    def right_of_others(self, device: torch.device) -> list[float]:
        """Share of the labelled examples of all other agents that each agent has right."""
        shares, n = [], len(self._agents)
        with evaluating(self.module):
            for i, agent in enumerate(self._agents):
                pairs = [self._own[j] for j in range(n) if j != i]
                right = [agent(x.to(device)).argmax(1) == y.to(device) for x, y in pairs]
                shares.append(float(torch.cat(right).double().mean()))
        return shares

    def _selected(self, device: torch.device) -> None:
        """Replace the worst agent, unless all are equal."""
        shares, every = self.right_of_others(device), range(len(self._agents))
        worst, best = min(every, key=shares.__getitem__), max(every, key=shares.__getitem__)
        self._taught = NOBODY
        if shares[worst] < shares[best]:
            self._agents[worst].load_state_dict(self._first[worst])
            self._optimizers[worst].state.clear()
            self._taught = worst, best

    def step(self, batch: Sequence[Tensor], descend: Descend) -> Tensor:
        """One round: every agent makes one step."""
        pool, n, spoken = batch[0], len(self._agents), self._rounds - self._silent
        talk = self.weight > 0 and spoken >= 0
        if talk and self._select and spoken and spoken % self._select == 0:
            self._selected(pool.device)
        heard: Sequence[Tensor | None] = self.heard(pool) if talk else [None] * n
        self._rounds += 1
        losses = []
        for agent, optimizer, (x, y), said in zip(
            self._agents, self._optimizers, self._own, heard, strict=True
        ):
            own = F.cross_entropy(agent(x.to(pool.device)), y.to(pool.device))
            more = self.weight * F.cross_entropy(agent(pool), said) if said is not None else 0.0
            descend(own + more, optimizer)
            losses.append(own.detach())
        return torch.stack(losses).mean()

    def state_dict(self) -> dict[str, Any]:
        """Rounds so far, and who is taught by whom."""
        return {"rounds": self._rounds, "taught": torch.tensor(self._taught)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take them up."""
        self._rounds, (pupil, teacher) = state["rounds"], state["taught"].tolist()
        self._taught = pupil, teacher
