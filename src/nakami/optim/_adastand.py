"""Adastand: a running mean of the gradient's deviations over their running root mean square."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from torch import Tensor
from torch.optim.optimizer import ParamsT

from ..results import wrong
from ._arithmetic import Arithmetic, Values, smallest
from ._elementwise import Elementwise, Group
from ._settings import check_inside


class Adastand(Elementwise):
    """Adastand, from the authors of SDProp: Adam in which both averages take ``g - m``.

    A step at gradient ``g``, with averages ``m`` and ``v`` that are 0 at the start, is::

        d <- g - m                                        with the m before this step
        v <- beta2 v + beta2 (1 - beta2) d^2
        m <- beta1 m + (1 - beta1) d
        w <- w - lr sqrt(1 - beta2^t) / (1 - beta1^t) m / (sqrt(v) + eps)

    So ``m`` is half of the gradient's mean, with a shorter memory than ``beta1`` says (it keeps
    ``2 beta1 - 1`` of itself in a step), and ``v`` is the variance plus a quarter of the mean's
    square. Under a steady gradient steps are ``lr``, and no bound is needed.

    Args:
        params: Parameters, named parameters, or groups of them, as for every torch optimizer.
        lr: Learning rate, from 0 on; a tensor of one number is read anew in each step.
        betas: Decays of ``m`` and ``v``, each between 0 and 1.
        eps: Above 0, in units of the gradient, added to the root.
        weight_decay: From 0 on, in the gradient; with ``decoupled_weight_decay`` apart from it.
        maximize: Climb instead.
        foreach: As for ``SDProp``.
        capturable: As for ``SDProp``.

    Cost: as SDProp.

    Raises:
        UsageError: An argument out of range; a sparse gradient.

    Source: the program that SDProp's authors' method was ported to TensorFlow with, which has it
    beside SDProp; its defaults. No paper of it was found.
    """

    averages: ClassVar[tuple[str, ...]] = ("deviation_avg", "deviation_avg_sq")

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.7, 0.99),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        decoupled_weight_decay: bool = False,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
    ):
        settings = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
        }
        super().__init__(params, settings)

    @staticmethod
    def check(group: Group) -> None:
        """Refuse ``betas`` out of range."""
        betas = group["betas"]
        if not isinstance(betas, tuple | list) or len(betas) != 2:
            raise wrong("betas", "be two numbers", repr(betas), "(0.7, 0.99) is the default")
        for beta in betas:
            check_inside("betas", beta, "(0.7, 0.99) is the default")

    @staticmethod
    def correction(step: Any, group: Group) -> Any:
        """``sqrt(1 - beta2^t) / (1 - beta1^t)``."""
        first, second = (step * math.log(beta) for beta in group["betas"])
        if isinstance(step, Tensor):
            return second.expm1().neg().sqrt() / first.expm1().neg()
        return math.sqrt(-math.expm1(second)) / -math.expm1(first)

    @staticmethod
    def moves(with_: Arithmetic, grads: Values, averages: list[Values], group: Group) -> Values:
        """The average over the root."""
        (means, squares), (first, second) = averages, group["betas"]
        move = with_.sub(grads, means)
        with_.mul_(squares, second)
        with_.addcmul_(squares, move, move, second * (1 - second))
        with_.mul_(means, first)
        with_.add_(means, move, 1 - first)
        move = with_.sqrt(squares, into=move)
        with_.add_number_(move, max(group["eps"], smallest(with_.type_of(grads))))
        return with_.div(means, move, into=move)
