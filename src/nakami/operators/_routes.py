"""Ways to make the products of a Jacobian, tried from the fastest down, each checked once."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
from torch import Tensor

from ..results import NakamiWarning, UsageError
from ._kernels import StridedConvolutions
from ._linearised import linearised

Product = Callable[[Tensor], Tensor]  # one vector to one vector, safe under torch.vmap


COARSE = "in part in float32"  # the end of a route's name
FAILURES = (RuntimeError, NotImplementedError, AssertionError, TypeError)  # what torch raises


def reverse_product(function: Product, point: Tensor) -> tuple[Tensor, Product]:
    """The value at ``point`` and ``u -> J^T u``, through a graph that is kept."""
    try:
        with StridedConvolutions():
            output, pull = torch.func.vjp(function, point)[:2]
    except FAILURES as error:
        raise _no_way([f"reverse mode: {first_line(error)}"]) from error
    return output.detach(), lambda u: pull(u)[0]


def forward_product(
    function: Product, point: Tensor, output: Tensor, pull: Product
) -> tuple[str, Product]:
    """The first way to make ``v -> J v`` that works here and agrees with ``pull``, and its name.

    Linearised (the graph of tangents is kept and its constants are folded), forward mode (the
    network runs again for each product), double reverse (``J v`` as the reverse derivative of
    ``u -> J^T u``, which agrees by construction). A network that casts to float32 on its way agrees
    no better than that allows; then the way that agrees best is taken, and its name says so.
    """
    probe = torch.zeros(point.numel(), 2, dtype=point.dtype, device=point.device)
    rungs: list[tuple[str, Callable[[], Product]]] = [
        ("linearised", lambda: linearised(function, point)),
        ("forward mode", lambda: _forward_mode(function, point)),
        ("double reverse", lambda: _double_reverse(function, point, output)),
    ]
    failures, coarse = [], []
    for name, build in rungs:
        try:
            push = build()
            batched(push, probe)
            gap = adjoint_gap(point, push, pull)
        except FAILURES as error:
            failures.append(f"{name}: {first_line(error)}")
            continue
        if gap <= allowed_gap(name, point.dtype):
            return name, push
        if gap <= allowed_gap(COARSE, point.dtype):
            coarse.append((gap, f"{name}, {COARSE}", push))
        failures.append(f"{name}: <u, J v> and <J^T u, v> differ by {gap:.2g}")
    if coarse:
        return min(coarse, key=lambda way: way[0])[1:]
    raise _no_way(failures)


def allowed_gap(route: str, dtype: torch.dtype) -> float:
    """How far the products of a route may differ from those of its transpose."""
    if COARSE in route:
        return 10 * torch.finfo(torch.float32).eps
    return 1e4 * torch.finfo(dtype).eps


def batched(product: Product, block: Tensor, chunk: int | None = None) -> Tensor:
    """A product of vectors applied to the columns of ``block``, ``chunk`` of them at a time."""
    # The batch comes out in front: a product that ignores its vector (J = 0) has no other place.
    return torch.vmap(product, 1, 0, chunk_size=chunk)(block).T


def adjoint_gap(point: Tensor, push: Product, pull: Product) -> float:
    """``|<u, J v> - <J^T u, v>|`` for random ``u, v``, over the size of the terms that cancel."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        v = _unit(point, generator)
        jv = push(v)
        u = _unit(jv, generator)
        ju = pull(u)
    size = float((u * jv).abs().sum() + (ju * v).abs().sum())
    gap = float((u.double() * jv.double()).sum() - (ju.double() * v.double()).sum())
    return abs(gap) / size if size != 0 else 0.0  # NaN stays NaN, which no rung may give


def check_derivative(function: Product, point: Tensor, what: str) -> None:
    """Warn where ``J`` is no difference of the function itself: a straight-through gradient, say.

    The adjoint test cannot see a gradient that is wrong in both directions; this one can.
    """
    generator = torch.Generator().manual_seed(1)
    v, away = _unit(point, generator), _unit(point, generator)
    slope, difference = _slopes(function, point, v, away)
    if slope == 0 and difference != 0:
        raise UsageError(
            f"the gradient of this network is cut: it moves (by {difference:.3g} for a unit step) "
            "but its derivative is zero; take torch.no_grad, detach or rounding out of its forward."
        )
    if abs(slope - difference) > 0.3 * max(abs(slope), abs(difference)):
        warnings.warn(
            f"{what}: J is no derivative of the network (a slope is {slope:.3g}, the network's own "
            f"difference {difference:.3g}); is a straight-through gradient or a rounding inside?",
            NakamiWarning,
            stacklevel=4,
        )


def _slopes(function: Product, point: Tensor, v: Tensor, away: Tensor) -> tuple[float, float]:
    """The slope along ``v`` by reverse mode, and by a central difference of the function.

    Both a little away from ``point``: states behind a ReLU lie on kinks, where no derivative is.
    """
    eps = torch.finfo(point.dtype).eps
    step = eps ** (1 / 3) * float(point.norm().clamp_min(1.0))
    near = point + 30 * step * away
    with torch.no_grad():
        ahead, behind = function(near + step * v), function(near - step * v)
        difference = (ahead - behind) / (2 * step)
    noise = 8 * eps * float(ahead.norm() + behind.norm()) / step
    output, pull = reverse_product(function, near)
    seen = float(difference.norm()) > noise
    u = difference / difference.norm() if seen else output / output.norm().clamp_min(1e-300)
    slope = float((pull(u) * v).sum())
    if not seen and abs(slope) <= noise:
        return 0.0, 0.0
    return slope, float((u * difference).sum())


def _unit(like: Tensor, generator: torch.Generator) -> Tensor:
    draw = torch.randn(like.shape, generator=generator, dtype=torch.float64)
    return (draw / draw.norm()).to(like)


def _no_way(failures: list[str]) -> UsageError:
    return UsageError(
        f"no way to differentiate this network works ({'; '.join(failures)}); choose an earlier "
        "stage, or replace what stops it."
    )


def first_line(error: Exception) -> str:
    """What an error says, as a part of a sentence; its type where that is not torch's usual."""
    name = type(error).__name__
    lines = str(error).strip().splitlines() or [name]
    usual = isinstance(error, (*FAILURES, ValueError, IndexError)) or lines[0] == name
    return ("" if usual else f"{name}: ") + lines[0].rstrip(".")[:200]


def _forward_mode(function: Product, point: Tensor) -> Product:
    return lambda v: torch.func.jvp(function, (point,), (v,))[1]


def _double_reverse(function: Product, point: Tensor, output: Tensor) -> Product:
    def transposed(u: Tensor) -> Tensor:
        pulled: Tensor = torch.func.vjp(function, point)[1](u)[0]
        return pulled

    pull = torch.func.vjp(transposed, torch.zeros_like(output))[1]  # linear, so any point does
    return lambda v: pull(v)[0]
