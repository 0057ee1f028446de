"""SDProp as a Keras 3 optimizer, on every backend; needs the extra ``keras``. Knows no torch.

Numbers equal those of ``nakami.optim.SDProp``, which says what the method is and when it is safe.
"""

from __future__ import annotations

import math
from typing import Any

from ..results import RunError
from ._sdprop_settings import check_sdprop, largest_move
from ._settings import check_eps

try:
    import keras
    from keras import ops
except ModuleNotFoundError as error:
    raise RunError("this needs Keras 3; pip install 'nakami[keras]' adds it.") from error

HALF = 2.0**-24  # the smallest number of float16 above 0: a smaller epsilon would be 0


@keras.saving.register_keras_serializable(package="nakami")
class SDProp(keras.optimizers.Optimizer):
    """``w <- w - lr sqrt(1 - gamma^t) clip(g / (sqrt(c) + eps), -max_step, max_step)``.

    Args:
        learning_rate: A number or a Keras schedule.
        gamma: Decay of mean and variance, between 0 and 1.
        epsilon: Above 0, added to the deviation (``keras.optimizers.RMSprop`` adds it to the
            variance).
        max_step: Largest move of a weight in a step, in units of the rate; None is ``1 /
            sqrt(gamma (1 - gamma))``, ``math.inf`` the paper's.
        weight_decay: Decoupled, as Keras has it; None for none.
        name: Of the optimizer.
        kwargs: What every Keras optimizer takes (``clipnorm``, ``use_ema``, ...).

    Raises:
        UsageError: An argument out of range.
    """

    def __init__(
        self,
        learning_rate: Any = 1e-3,
        gamma: float = 0.99,
        epsilon: float = 1e-8,
        max_step: float | None = None,
        weight_decay: float | None = None,
        name: str = "sdprop",
        **kwargs: Any,
    ):
        check_sdprop(gamma, max_step)
        check_eps(epsilon, "epsilon")
        super().__init__(
            learning_rate=learning_rate, weight_decay=weight_decay, name=name, **kwargs
        )
        self.gamma, self.epsilon, self.max_step = gamma, epsilon, max_step

    def build(self, variables: Any) -> None:
        """Make the averages of each variable."""
        if self.built:
            return
        super().build(variables)
        self._means = self.add_optimizer_variables(variables, "mean")
        self._variances = self.add_optimizer_variables(variables, "variance")

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Step one variable."""
        gamma, dtype = self.gamma, variable.dtype
        place = self._get_variable_index(variable)
        mean, variance = self._means[place], self._variances[place]
        gradient, rate = ops.cast(gradient, dtype), ops.cast(learning_rate, dtype)
        count = ops.cast(self.iterations + 1, "float32" if dtype != "float64" else dtype)
        filled = ops.cast(ops.sqrt(-ops.expm1(count * math.log(gamma))), dtype)
        apart = gradient - mean
        self.assign(variance, gamma * variance + gamma * (1 - gamma) * apart * apart)
        self.assign(mean, mean + (1 - gamma) * apart)
        least = HALF if dtype == "float16" else 0.0
        move = gradient / (ops.sqrt(variance) + max(self.epsilon, least))
        most = largest_move(gamma, self.max_step)
        if most < math.inf:
            move = ops.clip(move, -most, most)
        self.assign_sub(variable, rate * filled * move)

    def get_config(self) -> dict[str, Any]:
        """Settings, from which Keras makes it again."""
        own = {"gamma": self.gamma, "epsilon": self.epsilon, "max_step": self.max_step}
        return {**super().get_config(), **own}
