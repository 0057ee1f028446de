"""One finite instance of the margin perceptron: a teacher and its patterns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri_exp

from ...results import check_at_least, check_seed, is_number, wrong
from ._channel import Array, log_tail
from ._checks import one_load

MOST_BYTES = 2**36  # of patterns: 64 GiB, beyond what one process should ask for


@dataclass(frozen=True, repr=False)
class Instance:
    """A teacher, patterns that keep the margin, and the labels of some.

    Attributes:
        kappa: Margin. teacher: ``w_0``, ``(N,)``, ``|w_0|^2 = N``.
        patterns: ``x``, ``(M, N)``, those without labels first. labels: ``(M,)``: 0 where there is
            none, else ``sign(w_0 . x)``.
    """

    kappa: float
    teacher: Array
    patterns: Array
    labels: Array

    def __repr__(self) -> str:
        m, n = self.patterns.shape
        return f"Instance(N {n}, {m - self.n_labelled} unlabelled, {self.n_labelled} labelled)"

    @property
    def n_labelled(self) -> int:
        """Patterns with a label."""
        return int(np.count_nonzero(self.labels))

    def without_labels(self) -> Instance:
        """The same with the patterns without labels alone; the memory is shared."""
        first = len(self.labels) - self.n_labelled
        return Instance(self.kappa, self.teacher, self.patterns[:first], self.labels[:first])


def draw_instance(
    kappa: float, alpha: float, beta: float, dimension: int = 1000, seed: int = 0
) -> Instance:
    """A random teacher, ``round(beta N)`` patterns without and ``round(alpha N)`` with labels.

    Teacher uniform on the sphere ``|w_0|^2 = N``. Patterns are ``N(0, I)`` given ``|w_0 . x| >=
    kappa sqrt(N)``: the component along the teacher is replaced by ``z = s t``, ``s = ±1``, ``t``
    from the tail above ``kappa``.

    Args:
        kappa: Margin, 0 to 5.
        alpha: Labelled patterns over N.
        beta: Unlabelled patterns over N.
        dimension: N, at least 2.
        seed: Of NumPy's generator, from 0 on.

    Returns:
        See ``Instance``; ``8 (alpha + beta) N^2`` bytes.

    Raises:
        UsageError: Arguments out of range, no pattern at all, or more than 64 GiB of them.

    Cost: 30 ns a number.
    """
    if not is_number(kappa) or not 0 <= kappa <= 5:
        raise wrong("kappa", "be a number from 0 to 5", repr(kappa), "0.5 is a good start")
    n = check_at_least("dimension", dimension, 2, "1000 is the default")
    m_u = round(one_load("beta", beta) * n)
    m_l = round(one_load("alpha", alpha) * n)
    if m_u + m_l == 0:
        way_out = "raise {alpha}, {beta} or {dimension}"
        raise wrong(
            "alpha and beta", "give at least one pattern", f"{alpha:g} and {beta:g}", way_out
        )
    size = 8 * (m_u + m_l) * n
    if size > MOST_BYTES:
        way_out = "pass a smaller {dimension}, {alpha} or {beta}"
        raise wrong("dimension", f"leave at most {MOST_BYTES:,} bytes", f"{size:,}", way_out)
    draw = np.random.default_rng(check_seed(seed))
    teacher = draw.standard_normal(n)
    teacher *= np.sqrt(n) / np.linalg.norm(teacher)
    along = teacher / np.sqrt(n)
    x = draw.standard_normal((m_u + m_l, n))
    sign = np.where(draw.random(m_u + m_l) < 0.5, -1.0, 1.0)
    share = 1 - draw.random(m_u + m_l)  # above 0
    z = -sign * ndtri_exp(np.log(share) + log_tail(kappa))
    x += np.outer(z - x @ along, along)
    return Instance(float(kappa), teacher, x, np.where(np.arange(m_u + m_l) < m_u, 0.0, sign))
