"""How filters are tuned, and whether neighbours on a sheet are alike."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nakami.results import check_at_least, check_seed, wrong
from nakami.zoo.tica import distances

ANGLES, FREQUENCIES = 24, 12
FAR = 3  # steps from which on units are distant


@dataclass(frozen=True)
class OrientationTuning:
    """Of each of ``K`` filters.

    Attributes:
        selectivity: ``|sum r e^(2i angle)| / sum r``, 0 (all alike) to 1 (one orientation alone);
            ``r`` is the response to a grating, the largest over frequencies and phases.
        preferred: Orientation of the best grating's wave vector, radians in 0..pi.
        frequency: Of the best grating, cycles per pixel.
        place: ``(K, 2)``, row and column of the middle of the squared filter, pixels.
    """

    selectivity: Tensor
    preferred: Tensor
    frequency: Tensor
    place: Tensor


def orientation_tuning(filters: Tensor) -> OrientationTuning:
    """The tuning of filters to gratings of 24 angles and 12 frequencies.

    Args:
        filters: ``(K, H, W)``, what each unit multiplies pixels with.

    Source: Ringach, Shapley & Hawken, Journal of Neuroscience 22 (2002), for the selectivity.
    """
    if filters.ndim != 3 or 0 in filters.shape:
        rule, way_out = "have shape (K, H, W)", "pass one map of each filter"
        raise wrong("filters", rule, tuple(filters.shape), way_out)
    if not filters.isfinite().all():
        raise wrong("filters", "be finite", "NaN or infinity", "leave those filters out")
    w = filters.detach().double()
    like: dict[str, Any] = {"dtype": w.dtype, "device": w.device}
    rows, columns = (torch.arange(n, **like) for n in w.shape[1:])
    angles = torch.arange(ANGLES, **like) * (math.pi / ANGLES)
    cycles = torch.linspace(1 / max(w.shape[1:]), 0.5, FREQUENCIES, **like)
    waves = 2 * math.pi * cycles[:, None] * torch.stack([angles.sin(), angles.cos()])[:, None]
    down = torch.exp(1j * waves[0][..., None] * rows)  # (frequencies, angles, H)
    along = torch.exp(1j * waves[1][..., None] * columns)
    found = torch.einsum("khw,fah,faw->kfa", w.to(down.dtype), down, along).abs()
    r, best = found.max(1)
    pulled = (r * torch.exp(2j * angles)).sum(1).abs() / r.sum(1).clamp_min(1e-300)
    at = r.argmax(1)
    power = w.square() / w.square().sum((1, 2), keepdim=True).clamp_min(1e-300)
    place = torch.stack([power.sum(2) @ rows, power.sum(1) @ columns], 1)
    return OrientationTuning(pulled, angles[at], cycles[best.gather(1, at[:, None])[:, 0]], place)


@dataclass(frozen=True)
class SheetContrast:
    """How alike neighbours on a sheet are, beside distant units.

    Attributes:
        near, far: Mean over pairs one step apart, diagonals included, and over those three steps or
            more apart.
        spread: Standard deviation of ``near - far`` over sheets on which units are shuffled.
    """

    near: float
    far: float
    spread: float

    @property
    def difference(self) -> float:
        """``near - far``; without topography 0, give or take ``spread``."""
        return self.near - self.far


def sheet_contrast(
    alike: Tensor, sheet: tuple[int, int], *, shuffles: int = 200, seed: int = 0
) -> SheetContrast:
    """Compares pairs of neighbours on a torus with distant pairs.

    Args:
        alike: ``(K, K)``, how alike each pair is: a correlation, a cosine; NaN pairs are left out.
        sheet: Rows and columns, ``K`` places, row by row.
        shuffles: Random sheets for the spread, two or more.
        seed: Of these.
    """
    if len(sheet) != 2:
        raise wrong("sheet", "be rows and columns", sheet, "use (10, 10)")
    rows, columns = (check_at_least("sheet", n, 1, "use (10, 10)") for n in sheet)
    if tuple(alike.shape) != (rows * columns,) * 2:
        rule = f"have shape {(rows * columns,) * 2}, for a sheet of {rows} x {columns}"
        raise wrong("alike", rule, tuple(alike.shape), "pass that of all units")
    shuffles = check_at_least("shuffles", shuffles, 2, "leave it out for 200")
    value = alike.detach().double().cpu()
    good = value.isfinite().double()
    value = value.nan_to_num(0.0, 0.0, 0.0)
    apart = torch.maximum(
        torch.kron(distances(rows), torch.ones(columns, columns, dtype=torch.long)),
        torch.kron(torch.ones(rows, rows, dtype=torch.long), distances(columns)),
    )
    masks = torch.stack([apart == 1, apart >= FAR]).double()
    if not masks.flatten(1).any(1).all():
        raise wrong("sheet", f"have units {FAR} steps apart", sheet, "use (10, 10)")

    def means(order: Tensor) -> tuple[float, float]:
        v, g = value[order][:, order], good[order][:, order]
        near, far = ((masks * v).sum((1, 2)) / (masks * g).sum((1, 2))).tolist()
        return near, far

    g = torch.Generator().manual_seed(check_seed(seed))
    near, far = means(torch.arange(len(value)))
    shuffled = [means(torch.randperm(len(value), generator=g)) for _ in range(shuffles)]
    return SheetContrast(near, far, float(torch.tensor([a - b for a, b in shuffled]).std()))
