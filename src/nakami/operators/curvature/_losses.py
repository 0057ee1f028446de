"""What a loss says about the outputs: its total, its Hessian, and the samples it averages over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...results import PYTHON, UsageError, unknown, wrong, wrong_type
from ..autodiff._overrides import Composites

Total = Callable[[Tensor, Any], Tensor]


@dataclass(frozen=True)
class Criterion:
    """A loss of outputs ``z`` and targets ``y``, taken apart.

    Attributes:
        name: In words, as it stands in results.
        key: Name of the torch loss, ``"cross_entropy"``; empty for a function.
        total: Sum over samples and outputs, before any reduction.
        divisor: What a mean divides the total by, ``(z, y) -> float``.
        sums: Whether the loss's own reduction is the sum.
        samples: How many samples ``(z, y)`` holds; the Fisher information is a mean over these.
        sample: What one sample is, in words.
        within: Axes of ``z`` that belong to one sample.
        nll: Factor that makes the total a negative log-likelihood; None where it is none.
        check: Refuses targets that the loss cannot take.
        root: ``(z, y, u) -> B u``, linear in ``u``, which has the shape of ``z``; ``B B^T`` is the
            Hessian of the total by the outputs. None where no closed form is known.
        draw: ``(z, y, u) -> targets`` drawn from the model's own distribution by uniform numbers
            ``u`` of the shape of ``z``; what ``y`` leaves out stays out.
        given: What it was made from.
    """

    name: str
    total: Total
    divisor: Callable[[Tensor, Any], float]
    samples: Callable[[Tensor, Any], int]
    sample: str
    within: Callable[[Tensor], tuple[int, ...]]
    nll: float | None
    sums: bool = False
    check: Callable[[Tensor, Any], None] = field(default=lambda z, y: None)
    root: Callable[[Tensor, Any, Tensor], Tensor] | None = None
    draw: Callable[[Tensor, Any, Tensor], Any] | None = None
    key: str = ""
    given: Any = None

    def current(self) -> Criterion:
        """The same loss with its weights as they are now."""
        return criterion(self.given)

    def slope(self, z: Tensor, y: Any) -> Tensor:
        """Gradient of the total by the outputs, of the shape of ``z``."""
        found: Tensor = torch.func.grad(lambda out: self.total(out, y))(z)
        return found

    def curve(self, z: Tensor, y: Any, v: Tensor) -> Tensor:
        """Hessian of the total by the outputs, times ``v``, of the shape of ``z``."""
        product: Tensor = torch.func.jvp(lambda out: self.slope(out, y), (z,), (v,))[1]
        return product


NAMES = {
    "cross_entropy": nn.CrossEntropyLoss,
    "mse": nn.MSELoss,
    "bce_with_logits": nn.BCEWithLogitsLoss,
}


def criterion(loss: nn.Module | str | Callable[[Tensor, Any], Tensor]) -> Criterion:
    """A torch loss module, its name, or any convex ``loss(outputs, targets) -> scalar mean``.

    Weights of torch's losses are copied. A module of another kind is refused once its own
    parameters or buffers have changed; what a plain function reads cannot be watched.
    """
    if isinstance(loss, str):
        if loss not in NAMES:
            raise unknown("loss", loss, list(NAMES), PYTHON + "pass a torch loss module")
        loss = NAMES[loss]()
    if isinstance(loss, nn.CrossEntropyLoss):
        return replace(_cross_entropy(loss), given=loss)
    if isinstance(loss, nn.MSELoss):
        return replace(_squared(loss), given=loss)
    if isinstance(loss, nn.BCEWithLogitsLoss):
        return replace(_bernoulli(loss), given=loss)
    if callable(loss):
        return replace(_any(loss), given=loss)
    raise wrong_type(
        "loss",
        "be a torch loss module, its name or a function of (outputs, targets)",
        type(loss).__name__,
        "use nakami's names: " + ", ".join(NAMES),
    )


def _sums(loss: Any) -> bool:
    if loss.reduction == "none":
        raise wrong(
            "loss",
            "have reduction 'mean' or 'sum'",
            "'none'",
            "build the loss with reduction='mean'",
        )
    return bool(loss.reduction == "sum")


@dataclass(frozen=True)
class _CrossEntropy:
    """Classes along axis 1 of the outputs; targets are classes, or a probability for each."""

    weight: Tensor | None
    smoothing: float
    ignored: int

    def total(self, z: Tensor, y: Tensor) -> Tensor:
        return functional.cross_entropy(
            z,
            y,
            None if self.weight is None else self.weight.to(z),
            ignore_index=self.ignored,
            reduction="sum",
            label_smoothing=self.smoothing,
        )

    def divisor(self, z: Tensor, y: Tensor) -> float:
        return float(self._counted(z, y).sum())

    def samples(self, z: Tensor, y: Tensor) -> int:
        return int((self._counted(z, y) > 0).sum())

    def check(self, z: Tensor, y: Any) -> None:
        wanted = z.shape[:1] + z.shape[2:]
        if not isinstance(y, Tensor) or (y.shape != wanted and y.shape != z.shape):
            raise wrong(
                "the targets of a batch",
                f"have shape {tuple(wanted)} for outputs of shape {tuple(z.shape)}",
                tuple(y.shape) if isinstance(y, Tensor) else type(y).__name__,
                "give one class to each sample, or probabilities",
            )
        kind = str(y.dtype).removeprefix("torch.")
        if y.dtype not in (torch.int64, torch.uint8) and y.shape != z.shape:
            raise wrong_type("the targets of a batch", "be int64 classes", kind, "use y.long()")
        if not y.is_floating_point():
            self._check_classes(z, y)
        elif self.ignored >= 0:
            rule = "be left out where targets are probabilities"
            raise wrong("ignore_index", rule, self.ignored, "build the loss without ignore_index")

    def root(self, z: Tensor, y: Tensor, u: Tensor) -> Tensor:
        p = z.softmax(1)
        moved = p.sqrt() * u
        return (moved - p * moved.sum(1, keepdim=True)) * self._strength(z, y).sqrt()

    def draw(self, z: Tensor, y: Tensor, u: Tensor) -> Tensor:
        below = z.softmax(1).cumsum(1)
        drawn = (below[:, :-1] < u[:, :1] * below[:, -1:]).sum(1)
        return drawn if y.is_floating_point() else torch.where(y == self.ignored, y, drawn)

    def _check_classes(self, z: Tensor, y: Tensor) -> None:
        bad = ((y < 0) | (y >= z.shape[1])) & (y != self.ignored)
        if bad.any():
            raise wrong(
                "the targets of a batch",
                f"be classes from 0 to {z.shape[1] - 1}",
                f"{int(y[bad][0])} (and {int(bad.sum()) - 1} more)",
                "mend the labels, or give the model more outputs",
            )

    def _counted(self, z: Tensor, y: Tensor) -> Tensor:
        """What each sample counts in the divisor of a mean, ``(n, ...)``."""
        if y.is_floating_point():
            return torch.ones(z.shape[0:1] + z.shape[2:], device=z.device)
        seen = (y != self.ignored).to(z.dtype)
        return seen if self.weight is None else seen * self.weight.to(z)[y.clamp_min(0)]

    def _strength(self, z: Tensor, y: Tensor) -> Tensor:
        """Sum over classes of targets times weights, ``(n, 1, ...)``."""
        classes = z.shape[1]
        each = torch.ones(classes).to(z) if self.weight is None else self.weight.to(z)
        if y.is_floating_point():
            aimed = (y * each.reshape(-1, *[1] * (z.ndim - 2))).sum(1)
            seen = torch.ones_like(aimed)
        else:
            seen, aimed = (y != self.ignored).to(z), each[y.clamp(0, classes - 1)]
        return (seen * ((1 - self.smoothing) * aimed + self.smoothing * each.mean())).unsqueeze(1)


def _cross_entropy(loss: nn.CrossEntropyLoss) -> Criterion:
    parts = _CrossEntropy(_copied(loss.weight), loss.label_smoothing, loss.ignore_index)
    return Criterion(
        "cross-entropy",
        parts.total,
        parts.divisor,
        parts.samples,
        "a position with a target (an example, or a token)",
        lambda z: (1,),
        None if loss.weight is not None or loss.label_smoothing else 1.0,
        _sums(loss),
        parts.check,
        parts.root,
        parts.draw,
        "cross_entropy",
    )


def _copied(weight: Tensor | None) -> Tensor | None:
    return None if weight is None else weight.detach().clone()


def _all_outputs(z: Tensor) -> tuple[int, ...]:
    return tuple(range(1, z.ndim))


def _same_shape(z: Tensor, y: Any) -> None:
    if not isinstance(y, Tensor) or y.shape != z.shape:
        got = tuple(y.shape) if isinstance(y, Tensor) else type(y).__name__
        raise wrong(
            "the targets of a batch",
            f"have the shape of the outputs, {tuple(z.shape)}",
            got,
            ["reshape them as the outputs are", "reshape the outputs with {forward}="],
        )


def _squared(loss: nn.MSELoss) -> Criterion:
    return Criterion(
        "squared error",
        lambda z, y: (z - y).square().sum(),
        lambda z, y: float(z.numel()),
        lambda z, y: z.shape[0],
        "an example",
        _all_outputs,
        0.5,
        _sums(loss),
        _same_shape,
        lambda z, y, u: 2**0.5 * u,
        lambda z, y, u: z + torch.special.ndtri(u.clamp_min(1e-30)),
        "mse",
    )


def _bernoulli(loss: nn.BCEWithLogitsLoss) -> Criterion:
    weight, positive = _copied(loss.weight), _copied(loss.pos_weight)

    def total(z: Tensor, y: Tensor) -> Tensor:
        return functional.binary_cross_entropy_with_logits(
            z, y.to(z), weight, reduction="sum", pos_weight=positive
        )

    plain = weight is None and positive is None

    def root(z: Tensor, y: Tensor, u: Tensor) -> Tensor:
        p, strength = z.sigmoid(), torch.ones_like(z)
        if positive is not None:
            strength = 1 + (positive.to(z) - 1) * y.to(z)
        if weight is not None:
            strength = strength * weight.to(z)
        return (p * (1 - p) * strength).sqrt() * u

    return Criterion(
        "Bernoulli cross-entropy",
        total,
        lambda z, y: float(z.numel()),
        lambda z, y: z.shape[0],
        "an example",
        _all_outputs,
        1.0 if plain else None,
        _sums(loss),
        _same_shape,
        root,
        lambda z, y, u: (u < z.sigmoid()).to(z),
        "bce_with_logits",
    )


def _any(loss: Callable[[Tensor, Any], Tensor]) -> Criterion:
    def versions() -> list[tuple[int, int]]:
        if not isinstance(loss, nn.Module):
            return []
        return [(p.data_ptr(), p._version) for p in (*loss.parameters(), *loss.buffers())]

    before = versions()

    def total(z: Tensor, y: Any) -> Tensor:
        if versions() != before:
            rule = "keep its own parameters and buffers while an operator of it is in use"
            raise wrong("loss", rule, "others", "take op.at_current_weights()")
        with Composites():
            value: Any = loss(z, y)
        if not isinstance(value, Tensor):
            got = type(value).__name__
            raise wrong_type("loss", "return a tensor", got, "compute it with torch, not .item()")
        if value.ndim:
            raise wrong(
                "loss",
                "return a scalar",
                f"shape {tuple(value.shape)}",
                "return its mean, loss.mean()",
            )
        total: Tensor = value * len(z)
        return total

    return Criterion(
        getattr(loss, "__name__", type(loss).__name__),
        total,
        lambda z, y: float(len(z)),
        lambda z, y: len(z),
        "an example (the loss is taken as a mean over the batch)",
        _all_outputs,
        None,
    )


def check_finite(value: Tensor, name: str) -> None:
    """Refuse a loss that is NaN or infinite at the start."""
    if not bool(torch.isfinite(value)):
        raise UsageError(
            f"the loss must be finite at the present weights, got {float(value)} ({name}); look at "
            "inputs, targets and weights for overflow."
        )
