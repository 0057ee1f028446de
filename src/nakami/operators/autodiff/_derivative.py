"""Whether ``J`` is the derivative: products beside central differences in float64."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import torch
from torch import Tensor

from ...results import UsageError, warn
from ..model._functional_model import FunctionalModel
from ._autograd import Held
from ._in_double import in_double
from ._known import Steps
from ._strategies import Product, Trial, dot, forward_product, rank, reverse_product, unit

RESOLUTION = 2e-6  # part of the size of J v that is seen in float64
ROUNDING = 64  # times eps is seen in the arithmetic of the products: right ones are off by up to 16
STEPS = 4  # sizes of a step, each 16 times the one before
JUMP = 1e-5  # of the output's size: more is no rounding to float32
PLACES = 3  # where a product that differs is looked at again
FEW = 0.02  # of its size: more is not by a few units on the other side of a kink
NO_DOUBLE = (
    RuntimeError,  # types that differ in an operation, or a device without float64
    TypeError,  # the same, in words of Apple's
    AssertionError,  # a check of the network's own
    UsageError,  # no way to differentiate in float64
)
AWAY = 1e-5  # their distance from the point, relative to its norm

Sizes: TypeAlias = tuple[float, float, float]  # lengths of difference, product and their gap


@dataclass(frozen=True)
class Gap:
    """How a difference and a product of one part differ along a direction.

    Attributes:
        direction: Their gap and the difference, each of length 1, added, ``(m,)``.
        moved: The difference along it. said: The product along it.
        v: The direction of the step. allowed: What right ones may differ by in float64.
        off: Their gap over the larger of the two lengths.
        jump: By which part of itself the function moves at once, however short the step; else 0.
    """

    direction: Tensor
    moved: float
    said: float
    v: Tensor
    allowed: float
    off: float
    jump: float


@dataclass(frozen=True)
class Derivative:
    """A function of a network, and products that should be those of its derivative.

    Attributes:
        function: ``(n,) -> (m,)``, run by ``network``. point: Where it is differentiated.
        trial: Products in use, with a random vector and with one of ``J^T``. route: Their way.
        held: Holds the network still. parts: Rows that are judged on their own, by name.
        room: Bytes for rows of ``J``, where there is no other way.
        steps: What watched the function: where all steps are known to be right, nothing is tried.
        weights: The parameters that the point is made of, if it is.
    """

    function: Product
    point: Tensor
    trial: Trial
    route: str
    network: FunctionalModel
    held: Held
    parts: Mapping[str, slice]
    room: int
    steps: Steps
    weights: Mapping[str, Tensor] | None = None

    def check(self, what: str, kinks: bool = False) -> None:
        """Warn where ``J`` is not the derivative, and by how much of its size it is off.

        A function that jumps at the point has a warning of its own; not with ``kinks``, for a
        gradient jumps wherever a network has one.

        Tried along one direction. Half of it is random and sees ``|E|_F / |J|_F`` of an error
        ``E``; half is ``J^T u``, in which the leading singular vectors prevail. A product that
        differs from a difference of the function is looked at again near the point, where no kink
        is, and with several steps: an error stays, whatever the place and the step. What passes
        there and comes from arithmetic that the network itself narrows is warned of too.

        Raises:
            UsageError: The function moves, but ``J`` is zero.
        """
        if self.steps.known:
            return
        gaps, found, narrow = self._looked()
        jumps = {name: gap.jump for name, gap in gaps.items() if gap.jump}
        if jumps and not kinks:
            self._warn_once(
                "jump",
                f"{what} to {_parts(jumps)}: the network jumps at this very point (by "
                f"{max(jumps.values()):.2g} of its output for the smallest step), so that no "
                "step follows J; look for a rounding, a sign or a choice between equals in its "
                "forward.",
            )
        for size, length, _ in found.values():
            if length == 0:
                raise UsageError(
                    f"the gradient of this network is cut: it moves (by {size:.3g} for a unit "
                    "step) but its derivative is zero; take torch.no_grad, detach or rounding out "
                    "of its forward."
                )
        off = {name: gap / max(size, length) for name, (size, length, gap) in found.items()}
        if off:
            self._warn_once(
                "wrong",
                f"{what} to {_parts(off)}: J is no derivative of the network: along one direction "
                f"J v is off by {max(off.values()):.2g} of its size; look for a detach, a "
                "straight-through gradient, a rounding or a custom backward in its forward.",
            )
        rounded = {name: gap.off for name, gap in gaps.items() if narrow and name not in found}
        if rounded:
            double = self.point.dtype == torch.float64
            wider = "" if double else "pass nakami.View(model, dtype='float64'), or "
            self._warn_once(
                "narrow",
                f"{what} to {_parts(rounded)}: the network computes in part in {narrow}: along one "
                f"direction J v is off by {max(rounded.values()):.2g} of its size by rounding, "
                f"which the stated errors leave out; {wider}take the casts out of its forward.",
            )

    def _warn_once(self, topic: str, text: str) -> None:
        if topic not in self.network.said:
            self.network.said.add(topic)
            warn(text, topic)

    def _looked(self) -> tuple[dict[str, Gap], dict[str, Sizes], torch.dtype | None]:
        """Parts that differ at the point, those that are wrong, and a coarser type inside."""
        v, product = self.trial.mixed(sorted(self.steps.still))
        for blocks in (True, False):
            with suppress(*NO_DOUBLE):
                return self._looked_in_double(v, product.double(), blocks)
        gaps = self._gaps(self.point.dtype, v, product)
        return gaps, self._wrong(self.point, v, product, gaps), None

    def _looked_in_double(
        self, v: Tensor, product: Tensor, blocks: bool
    ) -> tuple[dict[str, Gap], dict[str, Sizes], torch.dtype | None]:
        moving = self.weights or ()
        with in_double(self.network, moving, blocks):
            gaps = self._gaps(torch.float64, v, product)
            if not gaps:
                return {}, {}, None
            point = self.point.double()
            there = self._along(point, gaps)
        narrow = None if self.steps.coarsest == self.point.dtype else self.steps.coarsest
        left = gaps if narrow else self._unsided(gaps, there)
        with in_double(self.network, moving, blocks):
            return gaps, self._wrong(point, v, product, left), narrow

    def _gaps(self, dtype: torch.dtype, v: Tensor, product: Tensor) -> dict[str, Gap]:
        """Where a short step in this arithmetic disagrees with the product, by part."""
        seen = max(RESOLUTION, ROUNDING * torch.finfo(self.trial.v.dtype).eps)
        step = _steps(self.point, dtype)[0]
        difference = _difference(self.function, self.point, v, step, dtype)
        sizes = {n: _sizes(difference[rows], product[rows]) for n, rows in self.parts.items()}
        apart = {n: s for n, s in sizes.items() if not s[2] <= seen * max(s[:2])}
        jumps = self._jumps(dtype, v, list(apart))
        found: dict[str, Gap] = {}
        for name, (size, other, gap) in apart.items():
            rows = self.parts[name]
            u, change = torch.zeros_like(difference), difference[rows]
            u[rows] = (change - product[rows]) / max(gap, 1e-300) + change / max(size, 1e-300)
            allowed, off = RESOLUTION * max(size, other), gap / max(size, other)
            along = float(u @ difference), float(u @ product)
            found[name] = Gap(u, *along, v, allowed, off, jumps[name])
        return found

    def _jumps(self, dtype: torch.dtype, v: Tensor, names: list[str]) -> dict[str, float]:
        """How far parts move at once: by the smallest step as far as by larger ones, or 0."""
        if not names:
            return {}
        point = self.point.to(dtype)
        with torch.no_grad():
            here = self.function(point)
        moves = [_change(self.function, point, here, v, step) for step in _steps(point, dtype)]
        found = dict.fromkeys(names, 0.0)
        for name in names:
            rows = self.parts[name]
            sizes = [float(move[rows].norm()) for move in moves]
            size = float(here[rows].norm()) + sizes[0]
            if sizes[0] > JUMP * size and max(sizes) <= 2 * sizes[0]:
                found[name] = sizes[0] / size
        return found

    def _along(self, point: Tensor, gaps: Mapping[str, Gap]) -> dict[str, float]:
        """``<u, J v>`` by reverse mode, for the direction ``u`` of each gap."""
        if not gaps:
            return {}
        _, pull = reverse_product(self.function, point, self.held)
        return {
            name: float(pull(gap.direction.to(point)).double() @ gap.v.double())
            for name, gap in gaps.items()
        }

    def _unsided(self, gaps: Mapping[str, Gap], there: Mapping[str, float]) -> dict[str, Gap]:
        """Gaps that are not there because the products are on the other side of a kink.

        Then reverse mode agrees with the difference in float64 (``there``), and with the product in
        the arithmetic of the products.
        """
        maybe = {
            name: gap
            for name, gap in gaps.items()
            if gap.off <= FEW and abs(there[name] - gap.moved) <= gap.allowed
        }
        if self.point.dtype == torch.float64:
            return dict(gaps)
        here = self._along(self.point, maybe)
        sided = [
            n for n, g in maybe.items() if abs(here[n] - g.said) <= 0.01 * abs(g.moved - g.said)
        ]
        return {name: gap for name, gap in gaps.items() if name not in sided}

    def _wrong(
        self, point: Tensor, v: Tensor, product: Tensor, gaps: Mapping[str, Gap]
    ) -> dict[str, Sizes]:
        """Sizes of difference, product and gap of the parts that are wrong at every place."""
        found = dict.fromkeys(gaps, (0.0, 0.0, 0.0))
        for seed in range(PLACES):
            if not found:
                break
            away = unit(point, torch.Generator().manual_seed(1 + seed))
            near = point + AWAY * _length(point) * away
            steps = _steps(point, point.dtype)
            differences = [_difference(self.function, near, v, s, point.dtype) for s in steps]
            product = self._product(near, v, product)
            again = {name: _settled(differences, product, self.parts[name]) for name in found}
            found = {name: sizes for name, sizes in again.items() if sizes is not None}
        return found

    def _product(self, near: Tensor, v: Tensor, here: Tensor) -> Tensor:
        """``J v`` near the point; the one in use where a closer look finds its route wrong."""
        output, pull = reverse_product(self.function, near, self.held)
        way, push, _ = forward_product(
            self.function, near, output, pull, self.held, 1, 2 * self.room
        )
        with torch.no_grad():
            return push(v.to(near)) if rank(way) <= rank(self.route) else here


def _parts(off: Mapping[str, float]) -> str:
    """The part that is off by most, and how many others there are."""
    worst = max(off, key=lambda name: off[name])
    return f"{worst!r}" + (f" and {len(off) - 1} more" if len(off) > 1 else "")


def _settled(differences: list[Tensor], product: Tensor, rows: slice) -> Sizes | None:
    """Sizes of difference, product and gap, if the product is wrong; None if it is not.

    Of two steps whose differences agree best, the disagreement says how far they can be trusted.
    """
    pairs = [(float((a[rows] - b[rows]).norm()), b[rows]) for a, b in pairwise(differences)]
    unsure, difference = min(pairs, key=lambda pair: pair[0])
    sizes = _sizes(difference, product[rows])
    if sizes[2] <= RESOLUTION * max(sizes[:2]) + 4 * unsure:
        return None
    unsure, difference = pairs[-1]
    coarse = _sizes(difference, product[rows])
    # Of a function that rounds to float32, small steps show nothing and large ones do.
    settled = 0 < 10 * unsure <= coarse[0]
    return None if sizes[0] == 0 and settled and coarse[2] <= 4 * unsure else sizes


def _sizes(difference: Tensor, product: Tensor) -> Sizes:
    return float(difference.norm()), float(product.norm()), float((difference - product).norm())


def _difference(
    function: Product, point: Tensor, v: Tensor, step: float, dtype: torch.dtype
) -> Tensor:
    with torch.no_grad():
        there = function(_moved(point, v, step, dtype))
        found: Tensor = there - function(_moved(point, v, -step, dtype))
        return found / (2 * step)


def _change(function: Product, point: Tensor, here: Tensor, v: Tensor, step: float) -> Tensor:
    """How far each output moves from ``here``, at the point, the farther of both ways."""
    with torch.no_grad():
        there, back = (function(_moved(point, v, way, point.dtype)) for way in (step, -step))
        return torch.maximum((there - here).abs(), (back - here).abs())


def _moved(point: Tensor, v: Tensor, step: float, dtype: torch.dtype) -> Tensor:
    return v.to(dtype, copy=True).mul_(step).add_(point)


def _steps(point: Tensor, dtype: torch.dtype) -> list[float]:
    first = torch.finfo(dtype).eps ** 0.5 * _length(point)
    return [first * 16**i for i in range(STEPS)]


def _length(point: Tensor) -> float:
    return max(1.0, dot(point, point) ** 0.5)
