"""What a linear classifier reads off the states at each stage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy.typing as npt

from ._share import binomial_error
from ._shown import Shown

Array = npt.NDArray[Any]


@dataclass(frozen=True, repr=False)
class LinearProbe(Shown):
    """Test errors of linear classifiers by depth; made by ``dynamics.linear_probe``.

    Attributes:
        stages: Names, the first is where the network starts.
        error: Share of wrong answers on the test examples, by stage, in 0..1.
        train_error: The same on the examples that the classifiers were fitted to.
        cross_entropy: Mean on the test examples, nats.
        penalty: Weight of ``|W|^2 / 2`` that was chosen on held-out examples.
        gradient: Largest entry of the gradient of what is lowered, where the fit ended.
        converged: Whether it fell to the tolerance.
        n_train, n_test, n_classes: Numbers of examples, and of classes.
    """

    columns: ClassVar[tuple[str, ...]] = (
        "error", "standard_error", "train_error", "cross_entropy", "penalty", "gradient",
        "converged",
    )  # fmt: skip
    stages: tuple[str, ...]
    error: Array
    train_error: Array
    cross_entropy: Array
    penalty: Array
    gradient: Array
    converged: Array
    n_train: int
    n_test: int
    n_classes: int

    @property
    def standard_error(self) -> Array:
        """Binomial standard error of ``error``: of these weights, over test examples.

        Of an error of 0 or 1 the one-sided 68 % bound.
        """
        return binomial_error(self.error, self.n_test)

    def rows(self) -> list[dict[str, Any]]:
        """One row for each stage."""
        found = super().rows()
        return [{"stage": name, **row} for name, row in zip(self.stages, found, strict=True)]

    def __repr__(self) -> str:
        pairs = zip(self.stages, self.error, self.standard_error, strict=True)
        texts = (f"{n} {100 * e:z.1f} ± {100 * s:z.1f} %" for n, e, s in pairs)
        return f"LinearProbe({', '.join(texts)})"
