"""What a loss says about the outputs: its total, its Hessian, and the samples it averages over."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...results import PYTHON, counted, unknown, wrong, wrong_type
from ..model._example import ARRAYS
from ._criterion import FOR_CLASSES, TARGETS, Criterion, check_shapes, every_example, shape_of
from ._own_loss import ModelsLoss, OwnLoss

ROUNDING = 1e-3  # of a probability
NAMES: dict[str, type[nn.Module]] = {
    "cross_entropy": nn.CrossEntropyLoss,
    "mse": nn.MSELoss,
    "bce_with_logits": nn.BCEWithLogitsLoss,
}
NAMED = {  # the same losses of other names
    functional.cross_entropy: "cross_entropy",
    functional.nll_loss: "cross_entropy",  # of log-probabilities both are the same
    nn.NLLLoss: "cross_entropy",
    functional.mse_loss: "mse",
    functional.binary_cross_entropy_with_logits: "bce_with_logits",
}


def criterion(loss: nn.Module | str | Callable[[Any, Any], Tensor] | None) -> Criterion:
    """A torch loss module, its name, any ``loss(outputs, targets) -> scalar``, or the model's own.

    Weights of torch's losses are copied. A module of another kind, also one that has a ``forward``
    of its own, is refused once its own parameters or buffers have changed; what a plain function
    reads cannot be watched.
    """
    if loss is None:
        return ModelsLoss()
    if isinstance(loss, str):
        if loss not in NAMES:
            raise unknown("loss", loss, list(NAMES), PYTHON + "pass a torch loss module")
        loss = NAMES[loss]()
    if isinstance(loss, type):
        rule, got = "be a loss, not its class", f"the class {loss.__name__}"
        raise wrong_type("loss", rule, got, f"pass {loss.__name__}()")
    forward = getattr(type(loss), "forward", None)
    for kind in (CrossEntropy, SquaredError, Bernoulli):
        if forward is NAMES[kind.key].forward:
            return kind(loss)
    if callable(loss):
        return OwnLoss(loss)
    rule = "be a torch loss module, its name or a function of (outputs, targets)"
    way_out = "use nakami's names: " + ", ".join(NAMES)
    if isinstance(loss, ARRAYS):
        way_out = "pass inputs and targets as one pair, (x, y), and the loss behind it"
    raise wrong_type("loss", rule, type(loss).__name__, way_out)


class CrossEntropy(Criterion):
    """Classes along axis 1 of the outputs; targets are classes, or a probability for each.

    Logits of sequences with the classes last, or flattened, come here in this order, see
    ``_outputs.of_sequences``.
    """

    name, key = "cross-entropy", "cross_entropy"
    sample = "a position with a target (an example, or a token)"

    def __init__(self, loss: Any):
        super().__init__(loss)
        self.weight = _copied(loss.weight)
        self.smoothing, self.ignored = loss.label_smoothing, loss.ignore_index
        self.nll = None if self.smoothing or self.weight is not None else 1.0

    def check(self, z: Tensor, y: Any) -> None:
        if z.ndim < 2:
            rule, got = "have the classes on axis 1", f"shape {tuple(z.shape)}"
            ways = ["pass examples along axis 0", 'take "bce_with_logits" for one output']
            raise wrong("the model's output", rule, got, ways)
        if self.weight is not None and self.weight.numel() != z.shape[1]:
            rule = f"have a weight for each of {counted(z.shape[1], 'class')}"
            way_out = "give the loss or the model as many classes"
            raise wrong("loss", rule, self.weight.numel(), way_out)
        wanted = z.shape[:1] + z.shape[2:]
        if not isinstance(y, Tensor) or y.shape not in (wanted, z.shape):
            rule = f"have shape {tuple(wanted)} for outputs of shape {tuple(z.shape)}"
            ways = ["give one class to each sample, or probabilities"]
            if isinstance(y, Tensor) and y.numel() == wanted.numel():
                ways = [f"use y.reshape{tuple(wanted)}"]
            raise wrong(TARGETS, rule, shape_of(y), ways)
        kind = str(y.dtype).removeprefix("torch.")
        if y.shape == z.shape and not y.is_floating_point():
            rule = "be floating-point probabilities where they have the shape of the outputs"
            raise wrong_type(TARGETS, rule, kind, ["use y.float()", "y.argmax(1)"])
        if y.shape != z.shape and y.dtype not in (torch.int64, torch.uint8):
            raise wrong_type(TARGETS, "be int64 classes", kind, "use y.long()")
        if y.is_floating_point() and self.ignored >= 0:
            rule = "be left out where targets are probabilities"
            raise wrong("ignore_index", rule, self.ignored, "build the loss without ignore_index")
        bad = ((y < 0) | (y >= z.shape[1])) & (y != self.ignored)
        if not y.is_floating_point() and bad.any():
            rule = f"be classes from 0 to {z.shape[1] - 1}"
            got = f"{int(y[bad][0])} (and {int(bad.sum()) - 1} more)"
            raise wrong(TARGETS, rule, got, "mend the labels, or give the model more outputs")

    def total(self, z: Tensor, y: Tensor) -> Tensor:
        options = {"ignore_index": self.ignored, "label_smoothing": self.smoothing}
        return functional.cross_entropy(z, y, _to(self.weight, z), reduction="sum", **options)

    def divisor(self, z: Tensor, y: Tensor) -> float:
        return float(self._counted(z, y).sum())

    def samples(self, z: Tensor, y: Tensor) -> Tensor:
        return (self._counted(z, y) > 0).unsqueeze(1)

    def root(self, z: Tensor, y: Tensor) -> Callable[[Tensor], Tensor]:
        p = z.softmax(1)
        sizes, strength = p.sqrt(), self._strength(z, y).sqrt()

        def up(u: Tensor) -> Tensor:
            moved = sizes * u
            return (moved - p * moved.sum(1, keepdim=True)) * strength

        return up

    def turn(self, z: Tensor) -> Callable[[Tensor], Tensor] | None:
        """Householder's reflection that takes the first axis to ``sqrt(p)``, which B makes zero."""
        sizes = z.softmax(1).sqrt()
        first, others = sizes[:, :1], sizes[:, 1:]

        def turn(v: Tensor) -> Tensor:
            along = (others * v).sum(1, keepdim=True)
            return torch.cat([-along, v - others * (along / (1 + first))], 1)

        return turn if z.shape[1] > 1 else None

    def drawn(self, z: Tensor, y: Tensor, u: Tensor) -> Tensor:
        p = z.softmax(1)
        below = p.cumsum(1)
        drawn = (below[:, :-1] < u[:, :1].to(z) * below[:, -1:]).sum(1, keepdim=True)
        # The loss itself would leave out a class that is also ignore_index.
        slope = p.scatter_add(1, drawn, -torch.ones_like(p[:, :1]))
        return slope * self._counted(z, y).unsqueeze(1)

    def _counted(self, z: Tensor, y: Tensor) -> Tensor:
        """What each sample counts in the divisor of a mean, ``(n, ...)``."""
        if y.is_floating_point():
            return z.new_ones(z.shape[:1] + z.shape[2:])
        seen = (y != self.ignored).to(z.dtype)
        return seen if self.weight is None else seen * self.weight.to(z)[y.long().clamp_min(0)]

    def _strength(self, z: Tensor, y: Tensor) -> Tensor:
        """Sum over classes of targets times weights, ``(n, 1, ...)``."""
        classes = z.shape[1]
        each = z.new_ones(classes) if self.weight is None else self.weight.to(z)
        if y.is_floating_point():
            aimed = (y * each.reshape(-1, *[1] * (z.ndim - 2))).sum(1)
            seen = torch.ones_like(aimed)
        else:
            seen, aimed = (y != self.ignored).to(z), each[y.long().clamp(0, classes - 1)]
        return (seen * ((1 - self.smoothing) * aimed + self.smoothing * each.mean())).unsqueeze(1)


class EachOutput(Criterion):
    """A sum over outputs, each with a target; a mean divides by all of them."""

    def check(self, z: Tensor, y: Any) -> None:
        check_shapes(z, y)

    def divisor(self, z: Tensor, y: Tensor) -> float:
        return float(z.numel())

    def samples(self, z: Tensor, y: Tensor) -> Tensor:
        return every_example(z)


class SquaredError(EachOutput):
    """``|z - y|^2``; as a likelihood, normal of variance 1."""

    name, key, nll = "squared error", "mse", 0.5

    def total(self, z: Tensor, y: Tensor) -> Tensor:
        return (z - y.to(z)).square().sum()

    def root(self, z: Tensor, y: Tensor) -> Callable[[Tensor], Tensor]:
        return lambda u: 2**0.5 * u

    def drawn(self, z: Tensor, y: Tensor, u: Tensor) -> Tensor:
        # In float64: the largest of them are 1 in float32.
        return -2 * torch.special.ndtri(u.clamp_min(1e-30)).to(z)


class Bernoulli(EachOutput):
    """A logit for each output, a probability as its target."""

    name, key = "Bernoulli cross-entropy", "bce_with_logits"

    def __init__(self, loss: Any):
        super().__init__(loss)
        self.weight, self.positive = _copied(loss.weight), _copied(loss.pos_weight)
        self.nll = 1.0 if self.weight is None and self.positive is None else None

    def check(self, z: Tensor, y: Any) -> None:
        super().check(z, y)
        for weight in (self.weight, self.positive):
            if weight is not None and not _spreads(weight, z):
                rule = f"have weights that spread over outputs of shape {tuple(z.shape)}"
                raise wrong("loss", rule, tuple(weight.shape), "give a weight to each output")
        bad = (y < -ROUNDING) | (y > 1 + ROUNDING)
        if bad.any():
            got = f"{y[bad][0].item():g} (and {int(bad.sum()) - 1} more)"
            raise wrong(TARGETS, "be probabilities from 0 to 1", got, FOR_CLASSES)

    def total(self, z: Tensor, y: Tensor) -> Tensor:
        return functional.binary_cross_entropy_with_logits(
            z, y.to(z), _to(self.weight, z), reduction="sum", pos_weight=_to(self.positive, z)
        )

    def root(self, z: Tensor, y: Tensor) -> Callable[[Tensor], Tensor]:
        p = z.sigmoid()
        curved = p * (1 - p)
        if self.positive is not None:
            curved = curved * (1 + (self.positive.to(z) - 1) * y.to(z))
        if self.weight is not None:
            curved = curved * self.weight.to(z)
        sizes = curved.sqrt()
        return lambda u: sizes * u

    def drawn(self, z: Tensor, y: Tensor, u: Tensor) -> Tensor:
        p = z.sigmoid()
        return p - (u.to(z) < p).to(z)


def check_kind(judged: Criterion, kind: str) -> None:
    """Refuse a loss that has no matrix of this kind."""
    given, got, way_out = judged.given, judged.name, "take nakami.ggn"
    if isinstance(judged, ModelsLoss) and kind != "hessian":
        rule = f"be a function of outputs and targets for {kind}"
        ways = ['pass a loss, as "cross_entropy"', "take nakami.hessian"]
        raise wrong("loss", rule, f"None, {got}", ways)
    if kind in ("fisher", "empirical_fisher") and judged.nll is None:
        rule = f"be a plain negative log-likelihood for {kind}"
        own = "module" if isinstance(given, nn.Module) else "function"
        got = f"{got} with weights or smoothing" if judged.key else f"the {own} {got}"
    elif kind == "ggn" and (given is functional.nll_loss or isinstance(given, nn.NLLLoss)):
        rule, got = "be curved in the outputs for ggn", f"{got}, which is linear in them"
    else:
        return
    for same, name in NAMED.items():
        if same in (given, type(given)):
            way_out = f'pass "{name}"'
    raise wrong("loss", rule, got, PYTHON + way_out)


def _spreads(weight: Tensor, z: Tensor) -> bool:
    """Whether a weight takes the shape of the outputs by broadcasting."""
    try:
        return torch.broadcast_shapes(weight.shape, z.shape) == z.shape
    except RuntimeError:
        return False


def _copied(weight: Tensor | None) -> Tensor | None:
    return None if weight is None else weight.detach().clone()


def _to(weight: Tensor | None, z: Tensor) -> Tensor | None:
    return None if weight is None else weight.to(z)
