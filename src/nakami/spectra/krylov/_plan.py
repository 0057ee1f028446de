"""Sizes of a Krylov run, from shape, dtype and budget alone, so that results repeat."""

from __future__ import annotations

from dataclasses import dataclass

from ...results import counted, wrong
from .._operator import LinearOperator

BLOCK = 8  # the widest that a run starts with
WIDEST = 64  # the widest that missed values make it
LONG = 1 << 22  # entries of a vector that keep a GPU busy by themselves; not measured on one


@dataclass(frozen=True)
class Plan:
    """Sizes of a run.

    Attributes:
        k: Values asked for. tol: their relative error. block: columns of a step.
        columns: Of each basis. room: what they may grow to where blocks have to be wide.
        products: Bound on the whole cost. search: vectors that a search may hold.
        images: Whether a run with one basis keeps the images of its vectors too.
        dense_at: Products from which the dense matrix is cheaper, once values were missed; or None.
    """

    k: int
    tol: float
    block: int
    columns: int
    products: int
    room: int
    search: int
    images: bool = False
    dense_at: int | None = None


def make_plan(
    op: LinearOperator,
    k: int,
    tol: float,
    budget: int,
    products: int | None,
    sides: str,
    block: int | None = None,
) -> Plan:
    """Sizes from shape, dtype and budget alone, so that results repeat; refuses a tiny budget.

    Args:
        op: The matrix.
        k: Values asked for.
        tol: Their relative error.
        budget: Bytes for all: a quarter is for products (as in the operators), the rest holds the
            bases and the vectors returned. Restarts work in place.
        products: Bound on the products, or None.
        sides: ``"two"`` bases; ``"one"``, on the short side, with the images where they fit;
            ``"symmetric"``: one basis and one set of vectors.
        block: Columns of a step; default ``block_size``.
    """
    m, n = op.shape
    small, item = min(m, n), op.dtype.itemsize
    block = block or block_size(k, op)
    both = (n if sides == "symmetric" else m + n) * item  # bytes of a vector, or a pair
    wanted = min(max(5 * k // 2, k + 96), small - block - 6)
    held = budget - budget // 4
    columns, images = held // both - k, True
    if sides == "one" and columns < wanted + 2 * BLOCK:
        images = False
        columns = held // (small * item) - k if k * both <= held else 0
    columns = min(wanted, columns - 2 * BLOCK)
    if columns < k + 3 * block:
        vectors = 2 * k + 3 * block + 2 * BLOCK
        need = max(k * both, vectors * small * item) if sides == "one" else vectors * both
        raise wrong(
            "memory_budget",
            f"hold a basis for {counted(k, 'vector')} of "
            f"{n if sides == 'symmetric' else f'{m} + {n}'} components ({4 * need // 3 + 4} bytes)",
            f"{budget} bytes",
            ["raise it", "lower {k}"],
        )
    each = small * item if sides == "one" and not images else both
    able = held // each - k - WIDEST
    room = max(columns, min(columns + 8 * WIDEST, able, small - WIDEST))
    search = max(2 * BLOCK, (held - (columns + k) * each) // (small * item))
    return Plan(k, tol, block, columns, products or 40 * k + 2000, room, search, images)


def block_size(k: int, op: LinearOperator, symmetric: bool = False) -> int:
    """Columns of a step. Narrow blocks need fewer products, wide ones keep a GPU busy.

    One eigenvalue alone is sure by one vector, see ``krylov/_vector_lanczos.py``. A matrix with a
    long side keeps a GPU busy by one column, and wide blocks of such vectors would fill it.

    Measured on the Jacobians of AlexNet and SqueezeNet, top 50 and top 200, on a CPU: 2 columns
    take a fifth less products than 8; 4 cost less to orthogonalise where the basis is long.
    """
    if op.device.type != "cpu" and max(op.shape) < LONG:
        return BLOCK
    if symmetric and k == 1:
        return 1
    return 2 if k <= 100 else 4
