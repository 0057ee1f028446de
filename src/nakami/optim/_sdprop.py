"""SDProp: each weight steps by its gradient over the gradient's running standard deviation."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from torch import Tensor
from torch.optim.optimizer import ParamsT

from ._arithmetic import Arithmetic, Values, smallest
from ._elementwise import Elementwise, Group
from ._sdprop_settings import check_sdprop, filled, largest_move


class SDProp(Elementwise):
    """SDProp: ``w <- w - lr sqrt(1 - gamma^t) g / (sqrt(c) + eps)``, ``c`` the gradient's variance.

    With running mean ``m`` and variance ``c``, both 0 at the start, a step at gradient ``g`` is::

        c <- gamma c + gamma (1 - gamma) (g - m)^2        with the mean before this step
        m <- gamma m + (1 - gamma) g
        w <- w - lr sqrt(1 - gamma^t) clamp(g / (sqrt(c) + eps), -max_step, max_step)

    Adam and RMSprop divide by the size of the gradients. SDProp divides by how much they vary from
    batch to batch: the noise of a step is about ``lr`` for every weight, and weights whose gradient
    is steady move faster.

    **Is it** ``RMSprop(centered=True)``? By algebra nearly: ``c`` equals its ``E[g^2] - E[g]^2``,
    and RMSprop at the rate ``lr sqrt(1 - gamma^t)`` makes the same steps (to 5e-12 in float64). In
    float32 it is not: RMSprop subtracts two large numbers, and where the mean is some thousand
    times the deviation the difference is wrong, or negative and the weight NaN. The recursion above
    adds squares only. docs/optimizers.md shows the run.

    **Gradients without noise** (full batches, data that hardly change): ``c`` goes to 0, and the
    steps of the paper grow as ``lr gamma^(-t/2)``, 1900 ``lr`` after 1500 steps. By default no
    weight moves more than ``lr / sqrt(gamma (1 - gamma))`` in a step (10.05 ``lr`` at 0.99). No
    gradient whose running mean is 0 asks for more, so noisy ones make the steps of the paper.
    ``max_step=math.inf`` is the paper's update throughout; ``max_step=1`` suits full batches.

    Args:
        params: Parameters, named parameters, or groups of them, as for every torch optimizer.
        lr: Learning rate, from 0 on; a tensor of one number is read anew in each step.
        gamma: Decay of both averages, between 0 and 1 (``alpha`` of RMSprop); 0.99 remembers some
            100 steps.
        eps: Above 0, in units of the gradient, added to the deviation (as torch has it; Optax and
            Keras add it to the variance). In half precision at least the smallest number.
        weight_decay: From 0 on; added to the gradient as ``weight_decay w``, or with
            ``decoupled_weight_decay`` apart from it as AdamW's, ``w <- (1 - lr weight_decay) w``.
        max_step: Largest move of a weight in one step, in units of ``lr``, above 0; None is
            ``1 / sqrt(gamma (1 - gamma))``, ``math.inf`` no bound.
        maximize: Climb instead.
        foreach: True updates all weights together, False one after another; None is True on a GPU,
            else False. On a CPU small weights are always taken together and large ones cut into
            pieces that fit its cache, which is faster. The numbers are the same to the bit.
        capturable: Keep the count of steps on the weight's device, for CUDA graphs.

    Cost: memory of two numbers for a weight, as Adam. A step takes less time than AdamW's
    (docs/measurements.md).

    Raises:
        UsageError: An argument out of range; a sparse gradient.

    Source: Ida, Fujiwara, Iwamura, Adaptive learning rate via covariance matrix based
    preconditioning for deep neural networks, IJCAI 2017, doi 10.24963/ijcai.2017/267; defaults and
    the order of the updates as in the authors' program. The bound on steps is ours.
    """

    averages: ClassVar[tuple[str, ...]] = ("grad_avg", "grad_var")

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-3,
        gamma: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        decoupled_weight_decay: bool = False,
        max_step: float | None = None,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
    ):
        settings = {
            "lr": lr,
            "gamma": gamma,
            "eps": eps,
            "weight_decay": weight_decay,
            "decoupled_weight_decay": decoupled_weight_decay,
            "max_step": max_step,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
        }
        super().__init__(params, settings)

    @staticmethod
    def check(group: Group) -> None:
        """Refuse a ``gamma`` or ``max_step`` out of range."""
        check_sdprop(group["gamma"], group["max_step"])

    @staticmethod
    def correction(step: Any, group: Group) -> Any:
        """``sqrt(1 - gamma^t)``: of a variance that began at 0 so much is there."""
        if isinstance(step, Tensor):
            return (step * math.log(group["gamma"])).expm1().neg().sqrt()
        return filled(step, group["gamma"])

    @staticmethod
    def moves(with_: Arithmetic, grads: Values, averages: list[Values], group: Group) -> Values:
        """The gradient over its deviation, within ``max_step``."""
        (means, variances), gamma = averages, group["gamma"]
        move = with_.sub(grads, means)
        with_.mul_(variances, gamma)
        with_.addcmul_(variances, move, move, gamma * (1 - gamma))
        with_.add_(means, move, 1 - gamma)
        move = with_.sqrt(variances, into=move)
        with_.add_number_(move, max(group["eps"], smallest(with_.type_of(grads))))
        move = with_.div(grads, move, into=move)
        most = largest_move(group["gamma"], group["max_step"])
        if most < math.inf:
            with_.clamp_(move, most)
        return move
