"""Ways to make the products of a Jacobian, tried from the fastest down, each checked once."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from ...results import NakamiWarning, UsageError
from ._autograd import PLAIN, Held, PlainProduct, plain_product
from ._linearise import linearised
from ._overrides import StridedConvolutions

Product = Callable[[Tensor], Tensor]  # one vector to one vector, safe under torch.vmap


COARSE = "in part in float32"  # the end of a route's name
ROWS = "rows kept"  # the name of the last rung
FAILURES = (RuntimeError, NotImplementedError, AssertionError, TypeError)  # what torch raises


def reverse_product(
    function: Product, point: Tensor, held: Held, blocks: bool = False
) -> tuple[Tensor, Product]:
    """The value at ``point`` and ``u -> J^T u``, through a graph that is kept.

    By ``torch.func``, else by plain autograd, with the network ``held`` still. ``blocks``: whether
    the product has to be safe under ``torch.vmap``.
    """
    try:
        with StridedConvolutions():
            output, pull = torch.func.vjp(function, point)[:2]
        if blocks:
            batched(lambda u: pull(u)[0], torch.zeros_like(output)[:, None])
    except FAILURES as error:
        try:
            return plain_product(function, point, held)
        except FAILURES as last:
            ways = [("reverse mode", first_line(error)), (PLAIN, first_line(last))]
            raise _no_way(ways) from last
    return output.detach(), lambda u: pull(u)[0]


def forward_product(
    function: Product,
    point: Tensor,
    output: Tensor,
    pull: Product,
    held: Held,
    chunk: int,
    room: int,
) -> tuple[str, Product]:
    """The first way to make ``v -> J v`` that works here and agrees with ``pull``, and its name.

    Linearised (the graph of tangents is kept and its constants are folded), forward mode (the
    network runs again for each product), double reverse (``J v`` as the reverse derivative of
    ``u -> J^T u``, which agrees by construction), the same by plain autograd, and last the rows
    themselves, by ``pull`` of ``chunk`` units at a time, where ``room`` bytes hold them. A network
    that casts to float32 on its way agrees no better than that allows; then the way that agrees
    best is taken, and its name says so.
    """
    rungs: list[tuple[str, Callable[[], Product]]] = [
        ("linearised", lambda: linearised(function, point)),
        ("forward mode", lambda: _forward_mode(function, point)),
        ("double reverse", lambda: _double_reverse(function, point, output)),
        (PLAIN, lambda: _plain(function, point, pull, held).again()),
        (ROWS, lambda: _rows_kept(pull, output, point, chunk, room)),
    ]
    failures: list[tuple[str, str]] = []
    coarse: list[tuple[float, str, Product]] = []
    for name, build in rungs:
        if name == ROWS and coarse:
            break  # they would agree no better
        try:
            push = build()
            gap = adjoint_gap(point, partial(_beside, push), pull)
        except FAILURES as error:
            failures.append((name, first_line(error)))
            continue
        if isinstance(pull, PlainProduct) and name not in (PLAIN, ROWS):
            name = f"{name}, transposed by {PLAIN}"
        if gap <= allowed_gap(name, point.dtype):
            return name, push
        if gap <= allowed_gap(COARSE, point.dtype):
            coarse.append((gap, f"{name}, {COARSE}", push))
        failures.append((name, f"<u, J v> and <J^T u, v> differ by {gap:.2g}"))
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
    if isinstance(product, PlainProduct):
        return product.columns(block, chunk)
    if chunk is not None and block.shape[1] <= chunk:
        chunk = None  # one chunk would be copied for nothing
    # The batch comes out in front: a product that ignores its vector (J = 0) has no other place.
    return torch.vmap(product, 1, 0, chunk_size=chunk)(block).T


def _beside(push: Product, v: Tensor) -> Tensor:
    """The product with a vector as one column of a block of two, which shows that blocks work."""
    return batched(push, torch.stack([v, v], 1))[:, 0]


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


def check_derivative(function: Product, point: Tensor, held: Held, what: str) -> None:
    """Warn where ``J`` is no difference of the function itself: a straight-through gradient, say.

    The adjoint test cannot see a gradient that is wrong in both directions; this one can.
    """
    generator = torch.Generator().manual_seed(1)
    v, away = _unit(point, generator), _unit(point, generator)
    slope, difference = _slopes(function, point, held, v, away)
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


def _slopes(
    function: Product, point: Tensor, held: Held, v: Tensor, away: Tensor
) -> tuple[float, float]:
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
    output, pull = reverse_product(function, near, held)
    seen = float(difference.norm()) > noise
    u = difference / difference.norm() if seen else output / output.norm().clamp_min(1e-300)
    slope = float((pull(u) * v).sum())
    if not seen and abs(slope) <= noise:
        return 0.0, 0.0
    return slope, float((u * difference).sum())


def _unit(like: Tensor, generator: torch.Generator) -> Tensor:
    draw = torch.randn(like.shape, generator=generator, dtype=torch.float64)
    return (draw / draw.norm()).to(like)


def _no_way(failures: list[tuple[str, str]]) -> UsageError:
    """``failures``: each way with what stopped it."""
    ways: dict[str, list[str]] = {}
    for name, cause in failures:
        ways.setdefault(cause, []).append(name)
    said = "; ".join(f"{', '.join(names)}: {cause}" for cause, names in ways.items())
    return UsageError(
        f"no way to differentiate this network works ({said}); choose an earlier stage, or replace "
        "what stops it."
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


def _plain(function: Product, point: Tensor, pull: Product, held: Held) -> PlainProduct:
    return pull if isinstance(pull, PlainProduct) else plain_product(function, point, held)[1]


def _rows_kept(pull: Product, output: Tensor, point: Tensor, chunk: int, room: int) -> Product:
    m, n = output.numel(), point.numel()
    if m * n * output.itemsize > room:
        raise RuntimeError(f"{m} rows of {n} numbers are beyond a quarter of the memory budget")
    units = torch.eye(m, dtype=output.dtype, device=output.device)
    rows = batched(pull, units, chunk).T.contiguous()
    return lambda v: rows @ v
