"""Nesterov's momentum for the logs of barycenters, restarted where it leads astray.

Far details come like one over the steps by plain ones, like one over their square with momentum
(Nesterov 1983). It starts again from rest where the last step turned back against the way gone,
``sum q (step) (way) < 0`` (O'Donoghue and Candes 2015, section 3.2).
"""

from __future__ import annotations

import torch
from torch import Tensor

from ._problem import total

MOST = 0.98  # of the last way, taken once more


class Momentum:
    """For each of a batch; ``log_q`` is where the first step begins."""

    def __init__(self, log_q: Tensor):
        self.last = self.used = log_q
        self.age = torch.zeros_like(total(log_q))  # steps since it was at rest

    def ahead(self, log_q: Tensor) -> Tensor:
        """The point from which the next step is taken, after one that led to ``log_q``."""
        way = _finite(log_q - self.last)
        turned = total(log_q.exp() * _finite(log_q - self.used) * way) < 0
        self.age = torch.where(turned, 1.0, self.age + 1)
        factor = ((self.age - 1) / (self.age + 2)).clamp_max(MOST)
        self.last, self.used = log_q, log_q + factor * way
        return self.used


def _finite(change: Tensor) -> Tensor:
    """Of logs; 0 where there is no mass before and after."""
    return change.nan_to_num(nan=0.0)
