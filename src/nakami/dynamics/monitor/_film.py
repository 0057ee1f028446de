"""The spectra of one look, each begun where the look before it ended."""

from __future__ import annotations

import warnings
from dataclasses import replace

import torch
from torch import Tensor

from ...results import NotConvergedWarning, Spectrum, leading_values
from .._one_spectrum import spectrum_of
from .._plan import Plan, SpectrumOptions

WHOLE = 192  # small side up to which all values take no more products than the leading ones
CHEAP_WHOLE, CHEAP = 512, 1 << 20  # likewise by time, where the matrix has so few entries
STEPS = 8  # of the deep probes: wider bounds of the count than an x-ray's, for a sixth of the cost
RULE = {"whole": WHOLE, "cheap_whole": CHEAP_WHOLE, "cheap": CHEAP, "steps": STEPS}
USUAL = SpectrumOptions(tol=1e-3)


class Film:
    """Takes looks at a network, at fixed inputs and stages.

    Args:
        plan: What is measured; its network is taken anew for each look, at its current weights.
        k: Values kept of each spectrum.
    """

    def __init__(self, plan: Plan, k: int):
        self.plan, self.k = plan, k
        self._last: dict[tuple[int, str], Tensor] = {}

    def look(self) -> tuple[Spectrum, ...]:
        """The spectra now, in the order of a run.

        Raises:
            UsageError, RunError: The weights or a product are not finite, ...
        """
        plan = replace(self.plan, network=self.plan.network.at_current_weights())
        found = []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotConvergedWarning)  # marked in the result
            for i in range(len(plan.inputs)):
                for source, stage in plan.readings():
                    start = self._last.get((i, stage.name))
                    spectrum = spectrum_of(
                        plan, i, source, stage, self._values, start=start, steps=STEPS
                    )
                    if spectrum.method == "krylov":
                        self._last[i, stage.name] = torch.as_tensor(spectrum.right.T)
                    found.append(leading_values(spectrum, self.k))
        return tuple(sorted(found, key=plan.order))

    def _values(self, shape: tuple[int, int]) -> int | None:
        """All where that costs no more; by shape alone."""
        small, cheap = min(shape), shape[0] * shape[1] <= CHEAP
        return None if small <= max(CHEAP_WHOLE if cheap else WHOLE, self.k) else self.k
