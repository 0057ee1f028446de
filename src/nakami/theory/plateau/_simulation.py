"""Online gradient descent of a network of finite size, beside the equations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import erf

from ...results import Shown, check_seed, is_number, said, told, wrong
from ._integrals import Array
from ._order import OrderParameters, order_parameters, unchecked, weights
from ._velocity import check_rates

AT_ONCE, MARKS = 256, 200  # inputs drawn together; times reported


@dataclass(frozen=True, repr=False)
class Simulation(Shown):
    """One run of online gradient descent.

    Attributes:
        times: ``(n,)``, steps over N. error: Generalisation error of the weights of that time, from
            their order parameters, ``(n,)``; no sampling error.
        order: ``OrderParameters``, axis ``(n,)``.
        J, w: Weights at the end, ``(K, N)`` and ``(K, O)``.
        size: N. steps: Taken.
        finite: Whether all weights are finite; a run that diverged ends there.
    """

    times: Array
    error: Array
    order: OrderParameters
    J: Array
    w: Array
    size: int
    steps: int
    finite: bool

    def __repr__(self) -> str:
        return f"Simulation(N {self.size}, t to {self.times[-1]:g}, error {self.error[-1]:.4g})"


@told
def simulate(
    J: ArrayLike,
    B: ArrayLike,
    w: ArrayLike,
    v: ArrayLike,
    rate: float = 0.2,
    readout_rate: float | None = None,
    *,
    t_end: float = 40.0,
    seed: int = 0,
) -> Simulation:
    """Online gradient descent of ``|e|^2 / 2``, a fresh Gaussian input at each step.

    ``J_i += rate / sqrt(N) (w_i . e) g'(x_i) xi``, ``w_i += readout_rate / N e g(x_i)``, both with
    the error ``e`` before the step. It stays within about ``0.2 / sqrt(N)`` of the equations
    until a plateau is left; the time of leaving it scatters with the noise.

    Args:
        J: First layer of the student at the start, ``(K, N)``.
        B: First layer of the teacher, ``(M, N)``.
        w: Readouts of the student, ``(K, O)``.
        v: Readouts of the teacher, ``(M, O)``.
        rate: As in ``velocity``.
        readout_rate: As in ``velocity``.
        t_end: Steps over N, above 0.
        seed: Of NumPy's generator, for the inputs.

    Returns:
        See ``Simulation``; about 200 times.

    Raises:
        UsageError: Arguments out of range, or that do not fit.

    Cost: ``t_end N`` steps, 30 microseconds each at N = 1000, one thread.
    """
    rate, second = check_rates(rate, readout_rate)
    j, b, w, v = (x.copy() for x in weights(J, B, w, v))
    if j.ndim != 2 or b.ndim != 2 or w.ndim != 2 or v.ndim != 2:
        raise wrong("J, B, w and v", "have two axes", f"J of shape {j.shape}", "call it for each")
    if not is_number(t_end) or not 0 < t_end <= 1e6:
        raise wrong("t_end", "be a number above 0, at most 1e6", repr(t_end), "40 is the default")
    n = j.shape[1]
    steps = max(round(t_end * n), 1)
    marks = set(np.unique(np.linspace(0, steps, MARKS + 1).round().astype(int)).tolist())
    rng = np.random.default_rng(check_seed(seed))
    times, orders = [], []
    root, first, scale = n**0.5, rate / n**0.5, (2 / np.pi) ** 0.5
    of_t = np.zeros((0, len(v[0])))
    with np.errstate(over="ignore", invalid="ignore"):
        for step in range(steps + 1):
            if step in marks:
                if not np.isfinite(j).all() or not np.isfinite(w).all():
                    break
                times.append(step / n)
                orders.append(order_parameters(j, b, w, v))
            if step % AT_ONCE == 0:
                said(f"simulate, steps: {step:,} of {steps:,}")
                inputs = rng.standard_normal((min(AT_ONCE, steps - step + 1), n))
                of_t = _g(inputs @ b.T / root) @ v
            xi = inputs[step % AT_ONCE]
            x = j @ xi / root
            g = _g(x)
            error = of_t[step % AT_ONCE] - g @ w
            pull = first * scale * np.exp(-x * x / 2) * (w @ error)
            w += second / n * g[:, None] * error
            j += pull[:, None] * xi
    order = unchecked(*(np.stack([getattr(o, name) for o in orders]) for name in "QRTDEF"))
    finite = bool(np.isfinite(j).all() and np.isfinite(w).all())
    return Simulation(
        np.array(times), order.generalisation_error, order, j, w, n, step, finite
    )  # fmt: skip


def _g(x: Array) -> Array:
    return np.asarray(erf(x / 2**0.5))
