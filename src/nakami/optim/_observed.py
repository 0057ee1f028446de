"""What natural gradients share: a Fisher matrix read beside training, and steps by its inverse."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge

from ..operators import check_order
from ..results import RunError, check_at_least
from ._dense import check_dense
from ._drawn import Draws, never_observed, others, through_the_graph
from ._kronecker import average, decayed, over_processes, used_by_any
from ._natural_steps import NaturalSteps, check_model, checked_state
from ._taps import Matrix, Taps, nothing_of


class Observed(NaturalSteps):
    """Steps by ``(F + damping)^-1 g``, ``F`` read by ``observe`` at targets drawn from the model.

    A subclass holds an approximation of the block of each weight matrix (of linear, convolutional
    and recurrent layers, with the bias); all other parameters go by the diagonal. Arguments as
    ``KFAC``.
    """

    def __init__(
        self, model: nn.Module, loss: nn.Module | str, settings: dict[str, Any], refresh: int,
        seed: int,
    ):  # fmt: skip
        check_order(model=model, loss=loss)
        check_model(model)
        self._draws = Draws(loss, seed)
        self._refresh = check_at_least("refresh", refresh, 1, "10 is the default")
        super().__init__(model, settings)
        self._taps = Taps(model)
        self._steps = self._observations = 0
        self._sums: list[dict[str, Any]] = []

    @abstractmethod
    def _read(self, sums: list[dict[str, Any]], samples: Tensor, decay: float) -> None:
        """Take what was observed for one step into the state of each matrix's weight.

        Args:
            sums: An entry for each batch: "pairs" (by the matrix's name, from ``Taps.slopes``),
                "rows" of the outputs, "places" (a pair of the key and the slope for each place).
            samples: What sums over slopes are divided by, over all processes.
            decay: Of running means.
        """

    @abstractmethod
    def _solved(self, matrix: Matrix, grad: Tensor, damping: float) -> Tensor | None:
        """``(F + damping)^-1`` of a gradient (o, i), bias last; None where nothing was read."""

    def _places(self, outputs: Tensor) -> list[tuple[Any, GradientEdge]]:
        """More places in the graph whose slopes ``_read`` needs, each with a key."""
        return []

    @property
    def matrices(self) -> list[str]:
        """Names of the weights with a Kronecker product; all else goes by the diagonal."""
        return list(self._taps.matrices)

    @property
    def due(self) -> bool:
        """Whether ``observe`` would read the model in this step."""
        return self._steps % self._refresh == 0

    def observe(self, outputs: Tensor, targets: Any) -> None:
        """Read the Fisher matrix at the batch that the model has just been called with.

        Between ``model(x)`` and ``loss.backward()``; with gradient accumulation for each batch.

        Args:
            outputs: What the model returned, with its graph: as the loss takes it (classes on axis
                1 for cross-entropy).
            targets: As the loss takes them; only weights and which of them are ignored count.

        Raises:
            UsageError: Outputs without a graph, targets that the loss cannot take, outputs of
                another model.
            RunError: Inputs or slopes of a layer are not finite.
        """
        if not self.due:
            return
        cotangent, samples = self._draws.slopes(outputs, targets)
        rest, places = self._rest(), self._places(outputs)
        with through_the_graph(outputs):
            more = [place for _, place in places]
            pairs, grads = self._taps.slopes(outputs, cotangent, [*rest, *more])
        self._taps.clear()
        at = [(key, g) for (key, _), g in zip(places, grads[len(rest) :], strict=True)]
        single = [(p, g) for p, g in zip(rest, grads, strict=False) if g is not None]
        for _, g in single:
            check_dense(g)
        if not pairs and not single:
            raise others()
        self._check_finite([t for each in pairs.values() for pair in each for t in pair])
        self._check_finite([g for _, g in [*single, *at] if g is not None])
        seen = {"samples": samples, "rows": len(outputs), "pairs": pairs, "single": single}
        seen["places"] = at
        self._sums.append(seen)

    def _check_finite(self, tensors: list[Tensor]) -> None:
        if not all(bool(t.isfinite().all()) for t in tensors):
            raise RunError(
                f"{type(self).__name__} observed inputs or slopes that are not finite; lower lr or "
                "kl_clip, raise damping, or start again from the last checkpoint."
            )

    def _rest(self) -> list[Tensor]:
        """Parameters that belong to no matrix."""
        held = {id(p) for matrix in self._taps.matrices.values() for p in matrix.parameters}
        return [p for group in self.param_groups for p in group["params"] if id(p) not in held]

    def _made(self) -> None:
        self._steps += 1
        self._taps.on = self.due

    def _take_in(self) -> None:
        """Add what was observed for this step to the running means."""
        sums, self._sums = self._sums, []
        rest, matrices = self._rest(), self._taps.matrices
        squares = [[g.square() for s in sums for q, g in s["single"] if q is p] for p in rest]
        own = [any(name in s["pairs"] for s in sums) for name in matrices]
        samples, used = used_by_any(
            float(sum(s["samples"] for s in sums)),
            [*map(bool, squares), *own],
            next(p for group in self.param_groups for p in group["params"]),
        )
        if not float(samples):  # of all processes: nothing observed, or not one target counts
            return
        decay = self.param_groups[0]["decay"]
        self._observations += 1
        for p, each, use in zip(rest, squares, used, strict=False):
            if use:
                total = over_processes(torch.stack(each or [torch.zeros_like(p)]).sum(0))
                average(self.state[p], "diagonal", total / samples.to(p), decay)
        only_others = {
            name: [nothing_of(matrix)]
            for (name, matrix), use, mine in zip(
                matrices.items(), used[len(rest) :], own, strict=True
            )
            if use and not mine
        }
        if only_others:
            sums.append({"pairs": only_others, "rows": 0, "places": []})
        self._read(sums, samples, decay)

    def _moves(self) -> tuple[dict[Tensor, Tensor], dict[int, float]]:
        if self.due:
            self._take_in()
        if not self._observations:
            raise never_observed(self)
        group_of = {id(p): group for group in self.param_groups for p in group["params"]}
        moves, products = dict[Tensor, Tensor](), dict[int, Tensor]()

        def take(p: Tensor, move: Tensor, grad: Tensor) -> None:
            moves[p] = move
            key = id(group_of[id(p)])
            product = (move * grad).sum()
            products[key] = products[key] + product if key in products else product

        for matrix in self._taps.matrices.values():
            weight, both = matrix.weight, matrix.parameters
            if all(q.grad is None for q in both):
                continue
            group = group_of[id(weight)]
            # one of the two may have been frozen since: it stays, and the other one moves
            grads = [torch.zeros_like(q) if q.grad is None else decayed(q, group) for q in both]
            whole = torch.cat([g.reshape(len(weight), -1) for g in grads], dim=1)
            moved = self._solved(matrix, whole, group["damping"])
            if moved is None:
                continue  # not used so far
            parts = moved.split([g.numel() // len(weight) for g in grads], 1)
            for q, g, part in zip(both, grads, parts, strict=True):
                if q.grad is not None:
                    take(q, part.reshape(q.shape), g)
        for p in self._rest():
            if p.grad is not None and "diagonal" in self.state[p]:
                group = group_of[id(p)]
                grad = decayed(p, group)
                take(p, grad / (group["damping"] + self.state[p]["diagonal"]), grad)
        return moves, {key: float(value) for key, value in products.items()}

    def remove(self) -> None:
        """Take the hooks off the model."""
        self._taps.remove()

    def _counts(self) -> tuple[int, ...]:
        return self._steps, self._observations

    def _count_from(self, counts: tuple[int, ...]) -> None:
        self._steps, self._observations = counts

    def state_dict(self) -> dict[str, Any]:
        """As torch's, with the counts of steps and the state of the drawn targets."""
        own = {"kind": self._kind, "counts": self._counts()}
        return {**super().state_dict(), **own, "generator": self._draws.generator.get_state()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on bit by bit where ``state_dict`` was taken.

        Raises:
            UsageError: A state of another optimizer.
        """
        state = checked_state(state_dict, self._kind)
        self._count_from(state.pop("counts"))
        self._draws.generator.set_state(state.pop("generator").cpu())
        super().load_state_dict(state)
        self._taps.on = self.due
