"""vSGD: rates from the spread and the curvature of the loss, without a rate to choose."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, overload

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.optimizer import ParamsT

from ..results import check_at_least, check_choice, is_number, wrong
from ._dense import not_whole
from ._drawn import Draws, never_observed, others, through_the_graph
from ._kronecker import over_processes, used_by_any
from ._settings import check_eps, check_from_0, check_rate

FORMS = ("local", "block", "global")


class VSGD(Optimizer):
    """Schaul's vSGD: ``w <- w - (m^2 / (h v)) g``, the best rate of a noisy quadratic.

    With running means ``m`` of the gradient, ``v`` of its square and ``h`` of the curvature, the
    rate is ``m^2 / (h v)``: the Newton step, times the share of the gradient's square that is no
    noise. The means forget with a memory of ``t`` steps, which follows that share: ``t <- (1 - m^2
    / v) t + 1``. ``lr`` multiplies the rate.

    Three forms: ``"local"``, a rate for each number; ``"block"``, one for each parameter tensor,
    ``sum m^2 / (max h * mean of |g|^2)``; ``"global"``, the same over a whole parameter group. At
    its defaults the local form is the one to take: the block form failed on a small CNN.

    A step of training::

        outputs = model(x)
        optimizer.observe(outputs, y)      # in each step, or in some
        loss(outputs, y).backward()
        optimizer.step()

    The first ``slow_start`` steps only fill the means and leave the weights where they are.

    The curvature is a diagonal. Where many weights act alike, the largest eigenvalue of the Hessian
    is many times the diagonal, and the rate can be too large: with large batches or a small
    ``caution`` the loss may explode at ``lr=1``. Small batches, more caution or a smaller ``lr``
    help.

    Args:
        params: Parameters, named parameters, or groups of them, as for every torch optimizer.
        loss: As ``nakami.fisher`` takes it: "cross_entropy", "mse", "bce_with_logits" or a torch
            loss of these kinds. Its mean must be what the training descends.
        form: "local", "block" or "global".
        lr: Factor of the rate, from 0 on; a number.
        slow_start: Steps without a move, at least 1; also the first memory.
        caution: Factor of ``v`` and ``h`` after them, from 1 on: rates begin ``caution^2`` times
            too small and grow as the means are forgotten. None is 10, in the local form a tenth of
            the number of weights where that is more.
        floor: From 0 on; in the local form the least ``h`` over its mean in the parameter. A weight
            that is seldom used has one drawn ``h``, which may be near 0. 0 is the paper's.
        eps: Above 0; the least ``h``, and the least ``v``.
        seed: Of the drawn signs. torch's global random state is left alone.

    Raises:
        UsageError: Arguments out of range, a loss without a closed root of its Hessian, a step
            before anything was observed, a sparse gradient.

    Cost: an observation takes one backward pass. Four numbers for a weight in the local form.
    Processes that train together average their observations.

    Source: Schaul, Zhang, LeCun, No more pesky learning rates, ICML 2013. There the curvature is a
    diagonal passed backwards (exact for one layer); here it is the square of ``J^T R s``, ``R`` the
    root of the loss's Hessian and ``s`` random signs: in the mean the Gauss-Newton diagonal itself.
    """

    def __init__(
        self,
        params: ParamsT,
        loss: nn.Module | str = "",
        form: str = "local",
        lr: float = 1.0,
        *,
        slow_start: int = 10,
        caution: float | None = None,
        floor: float = 0.1,
        eps: float = 1e-12,
        seed: int = 0,
    ):
        self._draws = Draws(loss, seed)
        check_choice("form", form, FORMS, '"local" is the default')
        self._form = form
        self._slow = check_at_least("slow_start", slow_start, 1, "10 is the default")
        if caution is not None and not (is_number(caution) and caution >= 1):
            raise wrong("caution", "be a number from 1 on", repr(caution), "leave it out")
        self._given = caution
        check_from_0("floor", floor, "0.1 is the default")
        self._floor = float(floor)
        check_eps(eps)
        self._eps = float(eps)
        self._seen: list[tuple[float, dict[Tensor, Tensor]]] = []
        super().__init__(params, {"lr": lr})

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group of parameters; a rate it leaves out is the optimizer's.

        Raises:
            UsageError: A rate out of range.
        """
        if isinstance(param_group, dict):
            check_rate(param_group.get("lr", self.defaults["lr"]))
        super().add_param_group(param_group)

    def observe(self, outputs: Tensor, targets: Any) -> None:
        """Read the curvature at the batch that the model has just been called with.

        Between ``model(x)`` and ``loss.backward()``; with gradient accumulation for each batch.

        Args:
            outputs: What the model returned, with its graph: as the loss takes it.
            targets: As the loss takes them.

        Raises:
            UsageError: Outputs without a graph or of another model, targets that the loss cannot
                take, sharded weights.
        """
        cotangent, samples = self._draws.slopes(outputs, targets)
        held = [p for group in self.param_groups for p in group["params"] if p.requires_grad]
        for p in held:
            if hasattr(p, "device_mesh"):
                shape = f"the weight of shape {tuple(p.shape)}"
                raise not_whole("params", shape, type(p.data).__name__)
        with through_the_graph(outputs):
            slopes = torch.autograd.grad(
                outputs, held, cotangent, retain_graph=True, allow_unused=True
            )
        if all(slope is None for slope in slopes):
            raise others()
        pairs = zip(held, slopes, strict=True)
        self._seen.append((samples, {p: s.square() for p, s in pairs if s is not None}))

    @overload
    def step(self, closure: None = None) -> None: ...

    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    @torch._disable_dynamo
    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Make one step by the gradients that stand in ``.grad``; weights without one stay.

        Args:
            closure: Calls the model, ``observe`` and ``backward`` before the step.

        Raises:
            UsageError: Nothing was observed so far of a weight; a sparse gradient.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        self.take_curvature(self._observed())
        for group in self.param_groups:
            own = [p for p in group["params"] if p.grad is not None]
            for p in own:
                self._check(p)
            together = [own] if self._form == "global" else [[p] for p in own]
            for weights in together:
                if weights:
                    self._step_weights(weights, float(group["lr"]))
        return loss

    def take_curvature(self, curvatures: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Curvatures of the loss along each weight that were found by other means than ``observe``.

        Args:
            curvatures: Pairs of a parameter and a tensor of its shape; their sizes count.
        """
        for p, curvature in curvatures:
            self.state[p]["curvature"] = curvature.abs()

    def _observed(self) -> list[tuple[Tensor, Tensor]]:
        """The mean curvature of what was observed since the last step."""
        seen, self._seen = self._seen, []
        held = [p for group in self.param_groups for p in group["params"]]
        each = [[squares[p] for _, squares in seen if p in squares] for p in held]
        samples, used = used_by_any(
            float(sum(count for count, _ in seen)), [bool(squares) for squares in each], held[0]
        )
        if not float(samples):  # of all processes: nothing observed, or not one target counts
            return []
        found = []
        for p, squares, use in zip(held, each, used, strict=True):
            if use:
                total = over_processes(torch.stack(squares or [torch.zeros_like(p)]).sum(0))
                found.append((p, total / samples.to(total)))
        return found

    def _check(self, p: Tensor) -> None:
        assert p.grad is not None
        if p.grad.is_sparse or p.dtype not in (torch.float32, torch.float64):
            got = "a sparse one" if p.grad.is_sparse else str(p.dtype)
            rule = "be dense, in float32 or float64"
            raise wrong("gradients", rule, got, "leave this weight to another optimizer")
        if "curvature" not in self.state[p] and "curvature_avg" not in self.state[p]:
            raise never_observed(self)

    @property
    def _caution(self) -> float:
        if self._given is not None:
            return float(self._given)
        numbers = sum(p.numel() for group in self.param_groups for p in group["params"])
        return max(10.0, numbers / 10) if self._form == "local" else 10.0

    def _step_weights(self, weights: list[Tensor], lr: float) -> None:
        """Step weights that share a rate, or one weight whose numbers have their own."""
        local = self._form == "local"
        squares = [p.grad.square() for p in weights]  # type: ignore[union-attr]
        if not local:
            whole = torch.stack([square.sum() for square in squares]).sum()
            squares = [whole.clone() for _ in weights]
        for p, square in zip(weights, squares, strict=True):
            self._average(p, square)
        for state in (self.state[p] for p in weights):
            if int(state["step"]) == self._slow:
                state["square_avg"] *= self._caution
                state["curvature_avg"] *= self._caution
        ready = [p for p in weights if int(self.state[p]["step"]) > self._slow]
        if not ready:
            return
        states = [self.state[p] for p in ready]
        signal = [state["grad_avg"].square() for state in states]
        sharp = [state["curvature_avg"] for state in states]
        if local:
            sharp = [torch.maximum(h, self._floor * h.mean()) for h in sharp]
        else:
            signal = [torch.stack([part.sum() for part in signal]).sum()] * len(states)
            sharp = [torch.stack([part.max() for part in sharp]).max()] * len(states)
        for p, state, kept, h in zip(ready, states, signal, sharp, strict=True):
            assert p.grad is not None
            share = kept / state["square_avg"].clamp_min(self._eps)
            p.sub_(lr * share / h.clamp_min(self._eps) * p.grad)
            state["memory"].mul_(1 - share).add_(1)

    def _average(self, p: Tensor, square: Tensor) -> None:
        """Take a gradient and its square, and a curvature, into the running means."""
        state = self.state[p]
        assert p.grad is not None
        fresh = state.pop("curvature", None)
        if "step" not in state:
            assert fresh is not None
            state.update(step=torch.tensor(0.0), grad_avg=torch.zeros_like(p))
            state.update(square_avg=torch.zeros_like(square), memory=torch.ones_like(square))
            state.update(curvature_avg=torch.zeros_like(p), curvatures=torch.tensor(0.0))
        state["step"] += 1
        filling = int(state["step"]) <= self._slow
        if filling:
            state["memory"].fill_(float(state["step"]))  # plain means
        state["grad_avg"].lerp_(p.grad, 1 / state["memory"].expand_as(p))
        state["square_avg"].lerp_(square, 1 / state["memory"])
        if fresh is not None:
            state["curvatures"] += 1
            memory = state["curvatures"].to(p) if filling else state["memory"]
            state["curvature_avg"].lerp_(fresh, (1 / memory).expand_as(p))

    def state_dict(self) -> dict[str, Any]:
        """As torch's, with the state of the drawn signs."""
        return {**super().state_dict(), "generator": self._draws.generator.get_state()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on bit by bit where ``state_dict`` was taken.

        Raises:
            UsageError: A state of another optimizer.
        """
        if "generator" not in state_dict:
            way_out = "pass what state_dict() of such an optimizer gave"
            raise wrong("state_dict", "be a VSGD's", sorted(state_dict), way_out)
        state = dict(state_dict)
        self._draws.generator.set_state(state.pop("generator").cpu())
        super().load_state_dict(state)
