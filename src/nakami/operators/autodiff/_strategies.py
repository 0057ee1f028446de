"""Ways to make the products of a Jacobian, tried from the fastest down, each checked once."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from ...results import UsageError
from ..model._checks import FAILURES, first_line
from ..model._uncompiled import vjp
from ._autograd import PLAIN, Held, PlainProduct, plain_product
from ._known import Steps
from ._linearise import linearised
from ._overrides import StridedConvolutions
from ._recurrence import Recurrences
from ._vmap import vmap

Product = Callable[[Tensor], Tensor]  # one vector to one vector, safe under torch.vmap


COARSE = "in part in"  # the end of a route's name, before a type
ROWS = "rows kept"  # the name of the last rung
LADDER = ("linearised", "forward mode", "double reverse", PLAIN, ROWS)
LONG = 1 << 21  # numbers of a vector from which memory is what counts
SLICE = 1 << 18  # numbers of a long vector that are looked at in float64 at a time
NOTHING_CANCELS = 1e-5  # how far <u, J v> and <J^T u, v> may differ where v is along J^T u


def reverse_product(
    function: Product,
    point: Tensor,
    held: Held,
    blocks: bool = False,
    steps: Steps | None = None,
) -> tuple[Tensor, Product]:
    """The value at ``point`` and ``u -> J^T u``, through a graph that is kept.

    By ``torch.func``, else by plain autograd, with the network ``held`` still. ``blocks``: whether
    the product has to be safe under ``torch.vmap``. ``steps`` watch what the function does.
    """
    try:
        output, pull = _pulled(function, point, steps)
        if blocks:
            batched(pull, torch.zeros_like(output)[:, None])
    except FAILURES as error:
        try:
            with steps.watched() if steps else nullcontext():
                return plain_product(function, point, held)
        except FAILURES as last:
            ways = [("reverse mode", first_line(error)), (PLAIN, first_line(last))]
            raise _no_way(ways) from last
    return output.detach(), pull


def _pulled(function: Product, point: Tensor, steps: Steps | None) -> tuple[Tensor, Product]:
    if steps is not None:
        try:
            with StridedConvolutions(steps), Recurrences(1, steps), steps.watched():
                return vjp(function, point)
        except Exception:  # it may be the watching that fails
            steps.known = False
    with StridedConvolutions(), Recurrences(1):
        return vjp(function, point)


def forward_product(
    function: Product,
    point: Tensor,
    output: Tensor,
    pull: Product,
    held: Held,
    chunk: int,
    room: int,
    coarsest: torch.dtype | None = None,
) -> tuple[str, Product, Trial]:
    """The first way to make ``v -> J v`` that works and agrees with ``pull``: name, product, trial.

    Linearised (the graph of tangents is kept and its constants are folded), forward mode (the
    network runs again for each product), double reverse (``J v`` as the reverse derivative of
    ``u -> J^T u``, which agrees by construction), the same by plain autograd, and last the rows
    themselves, by ``pull`` of ``chunk`` units at a time, where ``room`` bytes hold them. A network
    that casts to float32, or to the ``coarsest`` type seen in it, agrees no better than that
    allows; then the way that agrees best is taken, and its name says so.
    """
    narrow = max(coarsest or point.dtype, torch.float32, key=lambda dtype: torch.finfo(dtype).eps)
    rungs: list[tuple[str, Callable[[], Product]]] = [
        (LADDER[0], lambda: linearised(function, point)),
        (LADDER[1], lambda: _forward_mode(function, point)),
        (LADDER[2], lambda: _double_reverse(function, point, output)),
        (PLAIN, lambda: _plain(function, point, pull, held).again()),
        (ROWS, lambda: _rows_kept(pull, output, point, chunk, room)),
    ]
    failures: list[tuple[str, str]] = []
    coarse: list[tuple[float, str, Product, Trial]] = []
    generator = torch.Generator().manual_seed(0)
    v, u = unit(point, generator), unit(output, generator)
    with torch.no_grad():
        ju = pull(u)
    if not torch.isfinite(ju).all():
        raise UsageError(
            "the derivative of this network is NaN or infinite where its output is finite: most "
            "often a where() around sqrt, log or a quotient, whose other branch has no derivative; "
            "put the where() inside, as in sqrt(where(x > 0, x, 1))."
        )
    size = dot(ju, ju) ** 0.5  # torch's own norm of many numbers in float32 is off by 1e-3
    w = ju / max(size, torch.finfo(ju.dtype).tiny)
    for name, build in rungs:
        if name == ROWS and coarse:
            break  # they would agree no better
        try:
            push = build()
            with torch.no_grad():
                trial = Trial(push, v, w, _together(push, v, w))
        except FAILURES as error:
            failures.append((name, first_line(error)))
            continue
        gap = adjoint_gap(u, trial.along[:, 0], ju, v)
        along = dot(u, trial.along[:, 1])
        apart = abs(along - size) / size if size else along  # <u, J w> is |J^T u|
        if isinstance(pull, PlainProduct) and name not in (PLAIN, ROWS):
            name = f"{name}, transposed by {PLAIN}"
        agrees = gap <= allowed_gap(point.dtype)
        alike = apart <= max(NOTHING_CANCELS, 1e3 * torch.finfo(point.dtype).eps)
        if agrees and alike:
            return name, push, trial
        if agrees or gap <= allowed_gap(point.dtype, narrow):
            label = name if agrees else f"{name}, {COARSE} {str(narrow).removeprefix('torch.')}"
            coarse.append((gap if alike else max(gap, apart), label, push, trial))
        failures.append((name, f"<u, J v> and <J^T u, v> differ by {gap:.2g}"))
    if coarse:
        return min(coarse, key=lambda way: way[0])[1:]
    raise _no_way(failures)


def _together(push: Product, v: Tensor, w: Tensor) -> Tensor:
    """Products with two vectors as a block, which shows that blocks work; of long ones in turn."""
    if v.numel() <= LONG:
        return batched(push, torch.stack([v, w], 1))
    return torch.cat([batched(push, each[:, None]) for each in (v, w)], 1)


def rank(route: str) -> int:
    """The rung of a route, 0 the fastest."""
    return next(i for i, name in enumerate(LADDER) if route.startswith(name))


def allowed_gap(dtype: torch.dtype, narrow: torch.dtype | None = None) -> float:
    """How far products may differ from those of the transpose, computed in part in ``narrow``."""
    return 1e4 * torch.finfo(dtype).eps if narrow is None else 10 * torch.finfo(narrow).eps


def batched(product: Product, block: Tensor, chunk: int | None = None) -> Tensor:
    """A product of vectors applied to the columns of ``block``, ``chunk`` of them at a time."""
    if isinstance(product, PlainProduct):
        return product.columns(block, chunk)
    if chunk is not None and block.shape[1] <= chunk:
        chunk = None  # one chunk would be copied for nothing
    # The batch comes out in front: a product that ignores its vector (J = 0) has no other place.
    return vmap(product, 1, 0, chunk_size=chunk)(block).T


@dataclass(frozen=True)
class Trial:
    """Products with which a route was tried.

    Attributes:
        push: ``v -> J v``.
        v: A random unit vector. w: ``J^T u`` of another one, ``u``, scaled to length 1.
        along: ``J v`` and ``J w``, ``(m, 2)``.
    """

    push: Product
    v: Tensor
    w: Tensor
    along: Tensor

    def mixed(self, still: list[int]) -> tuple[Tensor, Tensor]:
        """A vector of which ``v`` and ``w`` have products of the same length, and its product.

        Of one output both products have one direction, so their signs are made alike: they would
        cancel. ``still``: Indices at which the vector is 0.
        """
        sizes = [float(size) or 1.0 for size in self.along.norm(dim=0)]
        if float(self.along[:, 0] @ self.along[:, 1]) < 0:
            sizes[1] = -sizes[1]
        mixture = (self.v / sizes[0]).add_(self.w, alpha=1 / sizes[1])
        length = float(mixture.norm())
        product = self.along[:, 0] / sizes[0] + self.along[:, 1] / sizes[1]
        if still:
            fixed = torch.zeros_like(mixture)
            fixed[still] = mixture[still]
            with torch.no_grad():
                product = product - self.push(fixed)
            mixture -= fixed
        return mixture.div_(length), product / length


def adjoint_gap(u: Tensor, jv: Tensor, ju: Tensor, v: Tensor) -> float:
    """``|<u, J v> - <J^T u, v>|``, over the size of the terms that cancel."""
    size = dot(u, jv, sizes=True) + dot(ju, v, sizes=True)
    gap = dot(u, jv) - dot(ju, v)
    return abs(gap) / size if size != 0 else 0.0  # NaN stays NaN, which no rung may give


def unit(like: Tensor, generator: torch.Generator) -> Tensor:
    """A random vector of length 1."""
    out = torch.empty_like(like)
    flat, total = out.view(-1), 0.0
    for part in flat.split(SLICE):
        draw = torch.randn(part.shape, generator=generator, dtype=torch.float64)
        total += float(draw.square().sum())
        part.copy_(draw)
    return out.div_(total**0.5)


def dot(a: Tensor, b: Tensor, sizes: bool = False) -> float:
    """``<a, b>`` of flat vectors in float64, or ``<|a|, |b|>``; without a copy of all of them."""
    total = 0.0
    for x, y in zip(a.split(SLICE), b.split(SLICE), strict=True):
        one, other = x.double(), y.double()
        total += float(one.abs() @ other.abs() if sizes else one @ other)
    return total


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


def _forward_mode(function: Product, point: Tensor) -> Product:
    return lambda v: torch.func.jvp(function, (point,), (v,))[1]


def _double_reverse(function: Product, point: Tensor, output: Tensor) -> Product:
    def transposed(u: Tensor) -> Tensor:
        return vjp(function, point)[1](u)

    return vjp(transposed, torch.zeros_like(output))[1]  # linear, so any point does


def _plain(function: Product, point: Tensor, pull: Product, held: Held) -> PlainProduct:
    return pull if isinstance(pull, PlainProduct) else plain_product(function, point, held)[1]


def _rows_kept(pull: Product, output: Tensor, point: Tensor, chunk: int, room: int) -> Product:
    m, n = output.numel(), point.numel()
    if m * n * output.itemsize > room:
        raise RuntimeError(f"{m} rows of {n} numbers are beyond a quarter of the memory budget")
    units = torch.eye(m, dtype=output.dtype, device=output.device)
    rows = batched(pull, units, chunk).T.contiguous()
    return lambda v: rows @ v
