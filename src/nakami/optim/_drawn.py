"""What optimizers share that read a loss's curvature beside training: drawn slopes, refusals."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ..operators import check_order, criterion
from ..results import UsageError, check_seed, wrong, wrong_type
from ._kronecker import rank

LOSSES = 'pass "cross_entropy", "mse", "bce_with_logits" or a torch loss of these'
FIRST = "call observe(outputs, targets) before loss.backward() and outside no_grad"


class Draws:
    """Gradients of a loss by the outputs whose squares are, in the mean, the loss's Hessian.

    Random signs through the root of the Hessian: class weights, label smoothing and ignored targets
    count as in the loss.

    Args:
        loss: As the optimizers take it. seed: of the signs, plus the rank of this process among
            those that train together; torch's global state is left alone.

    Raises:
        UsageError: No loss, or one whose Hessian has no closed root.
    """

    def __init__(self, loss: nn.Module | str, seed: int):
        check_order(loss=loss)
        if loss == "":
            raise wrong("loss", "be given, for its Hessian", "none", LOSSES)
        self._criterion = criterion(loss)
        if not self._criterion.key:
            raise wrong("loss", "have a Hessian of known root", self._criterion.name, LOSSES)
        self.generator = torch.Generator().manual_seed(check_seed(seed) + rank())

    def slopes(self, outputs: Tensor, targets: Any) -> tuple[Tensor, float]:
        """A drawn gradient of the total, of the outputs' shape, and what a mean divides it by.

        Raises:
            UsageError: Outputs without a graph, targets that the loss cannot take.
        """
        given: object = outputs
        if not isinstance(given, Tensor) or not outputs.requires_grad:
            got = "one without" if isinstance(given, Tensor) else type(outputs).__name__
            raise wrong_type("outputs", "be a tensor with its graph", got, FIRST)
        z = outputs.detach()
        self._criterion.check(z, targets)
        root = self._criterion.root(z, targets)
        assert root is not None  # named losses have one
        samples = 1.0 if self._criterion.sums else float(self._criterion.divisor(z, targets))
        signs = torch.randint(0, 2, z.shape, generator=self.generator, dtype=torch.int8)
        return root((2 * signs - 1).to(z)), samples


@contextmanager
def through_the_graph(outputs: Tensor) -> Iterator[None]:
    """Differentiate here: outside autocast; a graph that is gone is said in one sentence."""
    try:
        with torch.autocast(outputs.device.type, enabled=False):
            yield
    except RuntimeError as error:
        if "second time" not in str(error):
            raise
        raise wrong("outputs", "have their graph still", "a freed one", FIRST) from error


def others() -> UsageError:
    """What ``observe`` says of outputs of another model."""
    rule = "come from the model that the optimizer was built with"
    return wrong("outputs", rule, "others", "pass what the model returned in this step")


def never_observed(optimizer: Optimizer, step: str = "its first step") -> UsageError:
    """What a step says before anything was observed."""
    return UsageError(
        f"{type(optimizer).__name__} must observe the model before {step}; call "
        "optimizer.observe(outputs, targets) between model(x) and loss.backward()."
    )
