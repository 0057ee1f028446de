"""K-FAC and EKFAC: natural gradients with a Kronecker product for each layer's Fisher matrix."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, overload

import torch
from torch import Tensor, distributed, nn
from torch.optim import Optimizer

from ..operators import check_order, criterion
from ..results import UsageError, check_at_least, check_seed, is_number, wrong, wrong_type
from ._kronecker import (
    average,
    decayed,
    decompose,
    moments,
    over_processes,
    solved,
    squares_in_bases,
    together,
)
from ._settings import check_from_0, check_inside, check_rate
from ._taps import Taps

EARLY = (1, 2, 4, 8)  # observations after which bases are made anew whatever ``basis`` says


class KFAC(Optimizer):
    """Natural gradient with ``F = G (x) A`` for each layer.

    For linear, convolutional and recurrent layers ``A`` is the mean of ``a a^T`` over examples and
    positions (``a`` the inputs with a 1 for the bias, or patches), ``G`` the sum of ``d d^T`` over
    positions per sample, ``d`` the slopes of the layer's output at targets drawn from the model
    (random signs through the root of the loss's Hessian: class weights, label smoothing and ignored
    targets count as in the loss). Both are running means. The step solves ``(G (x) A + damping) v =
    g`` in their eigenbases, exactly. All other parameters (norms, embeddings, biases apart, shared
    weights) are divided by the diagonal of the same Fisher matrix plus ``damping``.

    A step of training::

        outputs = model(x)
        optimizer.observe(outputs, y)      # does nothing but in every refresh-th step
        loss(outputs, y).backward()
        optimizer.step()

    Args:
        model: The module to train; its parameters that require gradients are optimized. float32 or
            float64 (autocast around the call is fine).
        loss: As ``nakami.fisher`` takes it: "cross_entropy", "mse", "bce_with_logits" or a torch
            loss of these kinds. Its mean or sum must be what the training descends.
        lr: Learning rate, from 0 on; 1 is a full step of the approximate Newton method.
        momentum: Of the steps, 0 to 1; applied to the natural gradient.
        damping: Above 0, in units of the Fisher matrix of the loss (its mean over samples).
        weight_decay: From 0 on, added to the gradient as ``weight_decay w``.
        decay: Of the running means at each observation, between 0 and 1.
        refresh: Steps between observations. basis: steps between eigendecompositions; also after
            observations 1, 2, 4 and 8.
        kl_clip: Above 0: steps are shortened so that ``lr^2 v^T g`` is at most this; None for none.
        seed: Of the drawn targets. torch's global random state is left alone.

    Raises:
        UsageError: Arguments out of range, a loss without a closed root of its Hessian, half
            precision, a first step without ``observe``.

    Cost: an observation takes one backward pass and ``O(n (i^2 + o^2))`` for n positions of a layer
    with i inputs and o outputs (a recurrent layer is run again, step by step); a basis ``O(i^3 +
    o^3)``; a step ``O(i o (i + o))``. Memory: ``2 (i^2 + o^2)`` a layer beside the momentum.
    Processes that train together (``DistributedDataParallel``) average their observations.

    Source: Martens and Grosse, ICML 2015 (arXiv 1503.05671); convolutions: Grosse and Martens, ICML
    2016; shared weights as "expand" of Eschenhagen et al., NeurIPS 2023.
    """

    def __init__(
        self,
        model: nn.Module,
        loss: nn.Module | str,
        lr: float = 0.1,
        *,
        momentum: float = 0.9,
        damping: float = 3e-2,
        weight_decay: float = 0.0,
        decay: float = 0.95,
        refresh: int = 10,
        basis: int = 50,
        kl_clip: float | None = 1e-3,
        seed: int = 0,
    ):
        check_order(model=model, loss=loss)
        _check_model(model)
        self._criterion = criterion(loss)
        if not self._criterion.key:
            way_out = 'pass "cross_entropy", "mse", "bce_with_logits" or a torch loss of these'
            raise wrong("loss", "have a Hessian of known root", self._criterion.name, way_out)
        self._refresh = check_at_least("refresh", refresh, 1, "10 is the default")
        self._basis = check_at_least("basis", basis, 1, "50 is the default")
        self._generator = torch.Generator().manual_seed(
            check_seed(seed) + (distributed.get_rank() if together() else 0)
        )
        settings: dict[str, Any] = {"lr": lr, "momentum": momentum, "damping": damping}
        settings |= {"weight_decay": weight_decay, "decay": decay, "kl_clip": kl_clip}
        _check_settings(settings)
        super().__init__([p for p in model.parameters() if p.requires_grad], settings)
        self._taps = Taps(model)
        self._steps = self._observations = 0
        self._last_basis = -self._basis
        self._sums: list[dict[str, Any]] = []

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
            UsageError: Outputs without a graph, targets that the loss cannot take, a model none of
                whose layers was called.
        """
        if not self.due:
            return
        if not isinstance(outputs, Tensor) or not outputs.requires_grad:
            way_out = "call observe(outputs, targets) before loss.backward() and outside no_grad"
            got = type(outputs).__name__ if not isinstance(outputs, Tensor) else "one without"
            raise wrong("outputs", "be a tensor with its graph", got, way_out)
        z = outputs.detach()
        self._criterion.check(z, targets)
        root = self._criterion.root(z, targets)
        assert root is not None  # named losses have one
        samples = 1.0 if self._criterion.sums else self._criterion.divisor(z, targets)
        signs = torch.randint(0, 2, z.shape, generator=self._generator, dtype=torch.int8)
        cotangent = root((2 * signs - 1).to(z))
        rest = self._rest()
        with torch.autocast(z.device.type, enabled=False):
            pairs, grads = self._taps.slopes(outputs, cotangent, rest)
        self._taps.clear()
        if samples > 0 and (pairs or grads):
            single = [(p, g) for p, g in zip(rest, grads, strict=True) if g is not None]
            self._sums.append(
                {"samples": samples, "rows": len(z), "pairs": pairs, "single": single}
            )

    def _rest(self) -> list[Tensor]:
        """Parameters that belong to no matrix."""
        held = {id(p) for matrix in self._taps.matrices.values() for p in matrix.parameters}
        return [p for group in self.param_groups for p in group["params"] if id(p) not in held]

    @overload
    def step(self, closure: None = None) -> None: ...

    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Make one step by the gradients that stand in ``.grad``; weights without one stay.

        Args:
            closure: Calls the model, ``observe`` and ``backward`` before the step.

        Raises:
            UsageError: Nothing was observed so far.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        if self.due:
            self._take_in()
        if not self._observations:
            raise UsageError(
                "KFAC must observe the model before its first step; call "
                "optimizer.observe(outputs, targets) between model(x) and loss.backward()."
            )
        moves, product = self._moves()
        for group in self.param_groups:
            size = product.get(id(group), 0.0) * float(group["lr"]) ** 2
            most = group["kl_clip"]
            share = 1.0 if most is None or size <= most else math.sqrt(most / size)
            for p in group["params"]:
                if p in moves:
                    self._move(p, share * moves[p], group)
        self._steps += 1
        self._taps.on = self.due
        return loss

    def _move(self, p: Tensor, move: Tensor, group: dict[str, Any]) -> None:
        if group["momentum"]:
            state = self.state[p]
            if "momentum_buffer" not in state:
                state["momentum_buffer"] = torch.zeros_like(p)
            move = state["momentum_buffer"].mul_(group["momentum"]).add_(move)
        p.sub_(move.to(p.dtype) * float(group["lr"]))

    def _take_in(self) -> None:
        """Add what was observed for this step to the running means."""
        sums, self._sums = self._sums, []
        if not sums:
            return
        samples = over_processes(torch.tensor(float(sum(s["samples"] for s in sums))))
        decay = self.param_groups[0]["decay"]
        self._observations += 1
        for name, matrix in self._taps.matrices.items():
            pairs = [pair for s in sums for pair in s["pairs"].get(name, ())]
            if pairs:
                a = moments([x for x, _ in pairs])
                d = moments([d for _, d in pairs])
                count = torch.tensor(float(sum(x.shape[0] * x.shape[1] for x, _ in pairs)))
                a = over_processes(a) / over_processes(count).to(a)
                state = self.state[matrix.weight]
                average(state, "inputs", a, decay)
                average(state, "slopes", over_processes(d) / samples.to(d), decay)
        for p in self._rest():
            squares = [g.square() for s in sums for q, g in s["single"] if q is p]
            if squares:
                total = over_processes(torch.stack(squares).sum(0))
                average(self.state[p], "diagonal", total / samples.to(p), decay)
        if self._observations in EARLY or self._steps - self._last_basis >= self._basis:
            self._last_basis = self._steps
            for matrix in self._taps.matrices.values():
                if "inputs" in self.state[matrix.weight]:
                    decompose(self.state[matrix.weight])
        self._rescale(sums, samples, decay)

    def _rescale(self, sums: list[dict[str, Any]], samples: Tensor, decay: float) -> None:
        """The variances in the eigenbases: here products of the factors' eigenvalues."""
        for matrix in self._taps.matrices.values():
            state = self.state[matrix.weight]
            if "inputs" in state:
                state["scales"] = torch.outer(state["slopes_values"], state["inputs_values"])

    def _moves(self) -> tuple[dict[Tensor, Tensor], dict[int, float]]:
        """Natural gradients, and their products with the gradients, group by group."""
        group_of = {id(p): group for group in self.param_groups for p in group["params"]}
        moves, products = dict[Tensor, Tensor](), dict[int, Tensor]()

        def take(p: Tensor, move: Tensor, grad: Tensor) -> None:
            moves[p] = move
            key = id(group_of[id(p)])
            product = (move * grad).sum()
            products[key] = products[key] + product if key in products else product

        for matrix in self._taps.matrices.values():
            weight, both = matrix.weight, matrix.parameters
            if "scales" not in self.state[weight] or any(q.grad is None for q in both):
                continue  # not used so far
            group = group_of[id(weight)]
            grads = [decayed(q, group) for q in both]
            whole = torch.cat([g.reshape(len(weight), -1) for g in grads], dim=1)
            moved = solved(self.state[weight], whole, group["damping"])
            parts = moved.split([g.numel() // len(weight) for g in grads], 1)
            for q, g, part in zip(both, grads, parts, strict=True):
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

    def state_dict(self) -> dict[str, Any]:
        """As torch's, with the counts of steps and the state of the drawn targets."""
        counts = (self._steps, self._observations, self._last_basis)
        return {**super().state_dict(), "counts": counts, "generator": self._generator.get_state()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on bit by bit where ``state_dict`` was taken.

        Raises:
            UsageError: A state of another optimizer.
        """
        if "counts" not in state_dict:
            way_out = "pass what state_dict() of such an optimizer gave"
            raise wrong("state_dict", f"be a {type(self).__name__}'s", sorted(state_dict), way_out)
        state = dict(state_dict)
        self._steps, self._observations, self._last_basis = state.pop("counts")
        self._generator.set_state(state.pop("generator").cpu())
        super().load_state_dict(state)
        self._taps.on = self.due


class EKFAC(KFAC):
    """K-FAC whose variances in the eigenbases are measured, not products of two factors'.

    ``scales[i, j]`` is the running mean of ``(U_G^T g U_A)_ij^2``, ``g`` the gradient of one
    example at drawn targets: the best diagonal in that basis, so ``F`` is met at least as well as
    by K-FAC. Arguments as ``KFAC``.

    Rows along axis 0 of a layer's input count as examples where the outputs have as many; else the
    gradient of the whole batch is taken, which is right in the mean and noisier. Of time-first
    inputs whose steps mix later, products between steps are left out. Cost beside K-FAC's: per
    observation ``O(n i o)`` for n positions.

    Source: George et al., NeurIPS 2018 (arXiv 1806.03884).
    """

    def _rescale(self, sums: list[dict[str, Any]], samples: Tensor, decay: float) -> None:
        for name, matrix in self._taps.matrices.items():
            state = self.state[matrix.weight]
            if "inputs" not in state:
                continue
            if "scales" not in state or self._last_basis == self._steps:
                # K-FAC's counts as one observation in a new basis
                state["scales"] = torch.outer(state["slopes_values"], state["inputs_values"])
                state["scales_weight"] = 1 - decay
            squares = [
                squares_in_bases(s["pairs"][name], state, s["rows"])
                for s in sums
                if name in s["pairs"]
            ]
            if squares:
                measured = over_processes(torch.stack(squares).sum(0)) / samples.to(squares[0])
                average(state, "scales", measured, decay)


def _check_model(model: object) -> None:
    if not isinstance(model, nn.Module):
        way_out = "pass the module; its parameters are found there"
        raise wrong_type("model", "be a torch module", type(model).__name__, way_out)
    for name, p in model.named_parameters():
        if p.requires_grad and p.dtype not in (torch.float32, torch.float64):
            way_out = "keep the weights in float32 and run the model under torch.autocast"
            raise wrong("model", f"hold {name} in float32 or float64", str(p.dtype), way_out)


def _check_settings(settings: dict[str, Any]) -> None:
    check_rate(settings["lr"])
    check_from_0("weight_decay", settings["weight_decay"], "0 is the default")
    check_inside("decay", settings["decay"], "0.95 is the default")
    for name in ("damping", "kl_clip"):
        value = settings[name]
        if name == "kl_clip" and value is None:
            continue
        if isinstance(value, bool) or not is_number(value) or not 0 < value < math.inf:
            raise wrong(name, "be a number above 0", repr(value), "leave it out for the default")
    momentum = settings["momentum"]
    if isinstance(momentum, bool) or not is_number(momentum) or not 0 <= momentum < 1:
        raise wrong("momentum", "be from 0 on and below 1", repr(momentum), "0.9 is the default")
