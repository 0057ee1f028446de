"""SDProp as an Optax transform; needs the extra ``optax``. Knows no torch.

Numbers equal those of ``nakami.optim.SDProp``, which says what the method is and when it is safe.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ..results import RunError
from ._sdprop_settings import check_sdprop, largest_move
from ._settings import check_eps, check_from_0

try:
    import jax
    import jax.numpy as jnp
    import optax
except ModuleNotFoundError as error:
    raise RunError("this needs Optax; pip install 'nakami[optax]' adds it.") from error


class SDPropState(NamedTuple):
    """Steps made, and mean and variance of each gradient, both 0 at the start."""

    count: Any
    mean: Any
    variance: Any


def scale_by_sdprop(gamma: float = 0.99, eps: float = 1e-8, max_step: float | None = None) -> Any:
    """``sqrt(1 - gamma^t) clip(g / (sqrt(c) + eps), -max_step, max_step)`` of gradients.

    Args:
        gamma: Decay of mean and variance, between 0 and 1.
        eps: Above 0, added to the deviation (``optax.rmsprop`` adds it to the variance).
            Complex gradients are for ``optax.contrib.split_real_and_imaginary``.
        max_step: Largest move; None is ``1 / sqrt(gamma (1 - gamma))``, ``math.inf`` the paper's.

    Returns:
        An ``optax.GradientTransformation``; works under ``jax.jit`` and in
        ``optax.inject_hyperparams``.

    Raises:
        UsageError: An argument out of range.
    """
    if not any(isinstance(each, jax.core.Tracer) for each in (gamma, eps, max_step)):
        check_sdprop(gamma, max_step)
        check_eps(eps)
    most = largest_move(gamma, max_step)

    def init(params: Any) -> SDPropState:
        empty = (jax.tree.map(jnp.zeros_like, params) for _ in range(2))
        return SDPropState(jnp.zeros([], jnp.int32), *empty)

    def update(updates: Any, state: SDPropState, params: Any = None) -> tuple[Any, SDPropState]:
        count = optax.safe_increment(state.count)
        power = count.astype(jnp.result_type(float)) * jnp.log(jnp.asarray(gamma, dtype=float))
        factor = jnp.sqrt(-jnp.expm1(power))
        apart = jax.tree.map(lambda g, m: g - m, updates, state.mean)
        variance = jax.tree.map(
            lambda c, d: gamma * c + gamma * (1 - gamma) * d * d, state.variance, apart
        )
        mean = jax.tree.map(lambda m, d: m + (1 - gamma) * d, state.mean, apart)

        def move(g: Any, c: Any) -> Any:
            least = jnp.maximum(eps, jnp.finfo(g.dtype).smallest_subnormal)
            bounded = jnp.clip(g / (jnp.sqrt(c) + least.astype(g.dtype)), -most, most)
            return (factor * bounded).astype(g.dtype)

        moves = jax.tree.map(move, updates, variance)
        return moves, SDPropState(count, mean, variance)

    return optax.GradientTransformation(init, update)


def sdprop(
    learning_rate: Any,
    gamma: float = 0.99,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    max_step: float | None = None,
) -> Any:
    """SDProp with a rate or a schedule, and decoupled weight decay.

    Args:
        learning_rate: A number, or an Optax schedule.
        gamma: As for ``scale_by_sdprop``; ``eps`` and ``max_step`` too.
        eps: Above 0.
        weight_decay: From 0 on, as ``optax.adamw`` has it.
        max_step: Largest move of a weight in a step, in units of the rate.

    Returns:
        An ``optax.GradientTransformation``.

    Raises:
        UsageError: An argument out of range.
    """
    scaled = scale_by_sdprop(gamma, eps, max_step)
    injected = isinstance(weight_decay, jax.Array)  # by ``optax.inject_hyperparams``
    if not injected:
        check_from_0("weight_decay", weight_decay, "0 is the default")
    decay = (optax.add_decayed_weights(weight_decay),) if injected or weight_decay else ()
    return optax.chain(scaled, *decay, optax.scale_by_learning_rate(learning_rate))
