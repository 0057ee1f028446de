"""What transport is given, checked: masses, the factor of the entropy, when to stop."""

from __future__ import annotations

from math import inf

import torch
from torch import Tensor

from ..results import check_at_least, is_number, wrong, wrong_type
from ._costs import FLOATS, Cost
from ._coupling import Coupling

SAME_MASS = {torch.float32: 1e-4, torch.float64: 1e-5}  # relative; of masses made in float32, too


def check_reg(reg: object) -> float:
    """The factor of the entropy: positive and finite."""
    if not is_number(reg) or not 0 < float(reg) < inf:
        way_out = "pass {reg}=0.01, in units of the cost"
        raise wrong("reg", "be a positive number", repr(reg), way_out)
    return float(reg)


def check_ends(tolerance: object, max_steps: object) -> tuple[float, int]:
    """The tolerance on L1 errors of masses, and the most steps."""
    if not is_number(tolerance) or not 0 < float(tolerance) < 1:
        raise wrong("tolerance", "lie between 0 and 1", repr(tolerance), "pass {tolerance}=1e-6")
    return float(tolerance), check_at_least("max_steps", max_steps, 1, "leave it out")


def check_start(start: object) -> Coupling | None:
    """A coupling to begin from, or none."""
    if start is None or isinstance(start, Coupling):
        return start
    way_out = "pass what sinkhorn returned, not a part of it"
    raise wrong_type("start", "be a Coupling", type(start).__name__, way_out)


def check_masses(
    p: object,
    q: object,
    geometry: Cost,
    same: bool = True,
    given: tuple[Tensor, Tensor] | None = None,
) -> tuple[Tensor, Tensor, bool]:
    """Both with a batch axis, of one type and mass; and whether neither had a batch.

    ``given`` are both as the caller has them, if their shapes were others.
    """
    axes = (len(geometry.shape), len(geometry.target))
    first, second = check_mass("p", p, geometry.shape), check_mass("q", q, geometry.target)
    alone = first.ndim == axes[0] and second.ndim == axes[1]
    first = first if first.ndim > axes[0] else first[None]
    second = second if second.ndim > axes[1] else second[None]
    if first.dtype != second.dtype or first.device != second.device:
        got = f"{first.dtype} on {first.device} and {second.dtype} on {second.device}"
        raise wrong("q", "have the type and device of {p}", got, "pass q.to(p)")
    if len(first) != len(second):
        if 1 not in (len(first), len(second)):
            got = f"{len(first)} and {len(second)}"
            raise wrong("q", "have as many histograms as {p}, or one", got, "pass pairs")
        count = max(len(first), len(second))
        first, second = (part.expand(count, *part.shape[1:]) for part in (first, second))
    if not same:
        return first, second, alone
    sums = [part.flatten(1).double().sum(1) for part in (first, second)]
    if bool(((sums[0] - sums[1]).abs() > SAME_MASS[first.dtype] * sums[0]).any()):
        if given is None:
            both = [divided(name, m, k) for name, m, k in zip("pq", (p, q), axes, strict=True)]
            ways = [f"pass {both[0]} and {both[1]}", "use unbalanced, which allows it"]
        else:
            both = [divided(name, m, m.ndim - 1) for name, m in zip("pq", given, strict=True)]
            ways = [f"pass {both[0]} and {both[1]}"]
        at = int((sums[0] / sums[1] - 1).abs().argmax())
        got = f"{float(sums[1][at]):.7g}, not {float(sums[0][at]):.7g}"
        raise wrong("q", "have the total mass of {p}", got, ways)
    scale = (sums[0] / sums[1]).view(-1, *[1] * (second.ndim - 1))
    return first, (second * scale).to(second.dtype), alone


def divided(name: str, mass: object, axes: int) -> str:
    """How to write a batch divided by its sums over the last ``axes``."""
    if not isinstance(mass, Tensor) or mass.ndim <= axes:
        return f"{name} / {name}.sum()"
    over = -1 if axes == 1 else tuple(range(-axes, 0))
    return f"{name} / {name}.sum({over}, keepdim=True)"


def check_mass(name: str, mass: object, shape: tuple[int, ...]) -> Tensor:
    """Masses of a batch or of one, detached; refuses what no histogram is."""
    if not isinstance(mass, Tensor):
        ways = [f"pass torch.as_tensor({name})", "mind the order: masses, cost, reg"]
        raise wrong_type(name, "be a tensor of masses", mass, ways)
    mass = mass.detach()
    if mass.dtype not in FLOATS:
        raise wrong(name, "be float32 or float64", mass.dtype, f"pass {name}.float()")
    if shape not in (mass.shape, mass.shape[1:]) or not mass.numel():
        rule = f"have shape {shape}, or (B, ...) with it, to fit the cost"
        raise wrong(name, rule, tuple(mass.shape), "reshape it, or give the cost of its points")
    if not bool(mass.isfinite().all()):
        count = int((~mass.isfinite()).sum())
        raise wrong(name, "be finite", f"{count} entries that are not", "mend those entries")
    if bool((mass < 0).any()):
        got = f"{float(mass.min()):.6g}"
        raise wrong(name, "be at least 0 everywhere", got, f"pass {name}.clamp_min(0)")
    whole = mass.reshape(-1, *shape).flatten(1).sum(1)
    if bool((whole == 0).any()):
        got = f"{int((whole == 0).sum())} of {len(whole)} without mass"
        raise wrong(name, "have mass in each histogram", got, "leave empty ones out")
    return mass
