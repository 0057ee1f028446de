"""What the engine asks of a matrix: shape, products in both directions, and no more."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ..results import RunError, product, wrong, wrong_type
from ._autocast import lift_in_methods, without_autocast
from ._probes import Probes

if TYPE_CHECKING:
    from scipy.sparse.linalg import LinearOperator as ScipyOperator


FLOATING = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
MIDDLE = 1 << 28  # bytes between the two products of a Gram matrix
FEW_PRODUCTS = 512  # up to here a whole matrix costs no more products than a careful estimate


class LinearOperator(ABC):
    """A real ``(m, n)`` matrix known by its products with blocks of columns.

    Attributes:
        shape: ``(m, n)``.
        dtype, device: Of the products.
        route: How the products are made, in words.
        stored: Whether the entries are at hand, so that ``dense`` costs no products.
        entries_cost: What it does cost where they are stored in other form, in products, about.
        root: ``R`` with ``A = R^T R``, where the operator offers one; else None.
    """

    shape: tuple[int, int]
    dtype: torch.dtype
    device: torch.device
    route: str
    stored = False
    entries_cost = 0

    def __init_subclass__(cls, **options: Any) -> None:
        """Autocast is lifted in all public methods of every operator, as it is in products."""
        super().__init_subclass__(**options)
        lift_in_methods(cls)

    @property
    def root(self) -> LinearOperator | None:
        """``R`` with ``A = R^T R``, where the operator offers one; else None."""
        return None

    def exact_trace(self) -> tuple[float, str, int] | None:
        """The trace, how it was made (a noun), and the products it took; None if no shorter way.

        Asked before an estimate by products, so it must cost less than one.
        """
        return None

    def trace_probes(self, seed: int) -> Probes | None:
        """Samples of the trace that cost less than products; None where there are none."""
        return None

    @abstractmethod
    def _matmat(self, block: Tensor) -> Tensor:
        """``A block``, ``(n, k) -> (m, k)``."""

    @abstractmethod
    def _rmatmat(self, block: Tensor) -> Tensor:
        """``A^T block``, ``(m, k) -> (n, k)``."""

    @without_autocast
    def __matmul__(self, other: Tensor) -> Tensor:
        """``A @ v`` for ``(n,)`` or ``(n, k)``, in memory of its own, dtype and device of ``A``."""
        if not isinstance(other, Tensor):
            raise wrong_type(
                "the right operand",
                "be a torch.Tensor",
                type(other).__name__,
                "convert it with torch.as_tensor",
            )
        check_entries("the right operand", other)
        n = self.shape[1]
        if other.ndim not in (1, 2) or other.shape[0] != n:
            raise wrong(
                "the right operand",
                f"have shape ({n},) or ({n}, k)",
                tuple(other.shape),
                "flatten it, or use .T for the other direction",
            )
        if other.dtype.is_complex:
            raise wrong_type(
                "the right operand", "be real", other.dtype, "apply it to .real and .imag"
            )
        block = other.detach().to(self.device, self.dtype)
        if block.ndim == 2 and block.shape[1] == 0:
            return block.new_zeros(self.shape[0], 0)
        columns = 1 if block.ndim == 1 else block.shape[1]
        # A loss, or a function, may have parameters of its own.
        with torch.no_grad(), product(columns):
            if block.ndim == 1:
                return _own(self._matmat(block[:, None]), block)[:, 0]
            return _own(self._matmat(block), block)

    def __rmatmul__(self, other: object) -> Tensor:
        rule, got = "stand on the left of @", f"{type(other).__name__} @ operator"
        raise wrong_type("the operator", rule, got, "write (op.T @ U.T).T for U @ op")

    @property
    def T(self) -> LinearOperator:
        """The transpose; shares everything with the operator."""
        return _Transpose(self)

    def gram(self) -> Gram:
        """``A A^T``, ``(m, m)``, with an operator's own way to its entries where it knows one."""
        return Gram(self)

    def dense(self) -> Tensor:
        """The whole matrix, ``(m, n)``, from products with the identity on the smaller side."""
        m, n = self.shape
        if m < n:
            return self.T.dense().T
        return self @ torch.eye(n, dtype=self.dtype, device=self.device)

    def to_scipy(self) -> ScipyOperator:
        """The same matrix as a SciPy ``LinearOperator`` on NumPy arrays, through the CPU."""
        from scipy.sparse.linalg import LinearOperator as ScipyOperator

        def through(op: LinearOperator) -> Callable[[np.ndarray], np.ndarray]:
            return lambda a: (op @ torch.as_tensor(a)).cpu().numpy()

        kind = torch.empty((), dtype=self.dtype).numpy().dtype
        forward, back = through(self), through(self.T)
        return ScipyOperator(
            self.shape, matvec=forward, rmatvec=back, matmat=forward, rmatmat=back, dtype=kind
        )

    def __repr__(self) -> str:
        m, n = self.shape
        return f"{type(self).__name__}({m} x {n}, {self.dtype}, {self.device}, {self.route})"


def _own(product: Tensor, block: Tensor) -> Tensor:
    """The same numbers where writing to them changes neither ``block`` nor other columns.

    Of an identity a product may be the vector itself, of ``A = 0`` one column stand for all.
    """
    axes = zip(product.stride(), product.shape, strict=True)
    one = any(step == 0 and size > 1 for step, size in axes)
    shared = product.untyped_storage().data_ptr() == block.untyped_storage().data_ptr()
    return product.clone(memory_format=torch.contiguous_format) if one or shared else product


class _Transpose(LinearOperator):
    def __init__(self, base: LinearOperator):
        self.base = base
        self.shape = (base.shape[1], base.shape[0])
        self.dtype, self.device, self.route = base.dtype, base.device, base.route
        self.stored = base.stored

    @property
    def T(self) -> LinearOperator:
        return self.base

    def _matmat(self, block: Tensor) -> Tensor:
        return self.base._rmatmat(block)

    def _rmatmat(self, block: Tensor) -> Tensor:
        return self.base._matmat(block)

    def dense(self) -> Tensor:
        return self.base.dense().T if self.shape[0] <= self.shape[1] else super().dense()


class MatrixOperator(LinearOperator):
    """A dense matrix as an operator; ``matrix`` is ``(m, n)``, real and floating."""

    route = "matrix"
    stored = True

    def __init__(self, matrix: Tensor):
        check_entries("matrix", matrix)
        if matrix.ndim != 2 or not matrix.is_floating_point():
            raise wrong(
                "matrix",
                "be real, floating and two-dimensional",
                f"{matrix.dtype} of shape {tuple(matrix.shape)}",
                "convert it with .float() and give it two axes",
            )
        self.matrix = matrix.detach()
        self.shape = (matrix.shape[0], matrix.shape[1])
        self.dtype, self.device = matrix.dtype, matrix.device

    def _matmat(self, block: Tensor) -> Tensor:
        return self.matrix @ block

    def _rmatmat(self, block: Tensor) -> Tensor:
        return self.matrix.T @ block

    def dense(self) -> Tensor:
        """The matrix itself (not a copy)."""
        return self.matrix


class Gram(LinearOperator):
    """``A A^T`` of an operator; its root is ``A^T``. Of a symmetric ``A`` it is the square.

    Attributes:
        by_halves: Whether a product is one with ``A^T`` and one with ``A``.
    """

    by_halves = True

    def __init__(self, base: LinearOperator):
        self.base = base
        self.shape = (base.shape[0], base.shape[0])
        self.dtype, self.device = base.dtype, base.device

    @property
    def route(self) -> str:  # type: ignore[override]
        """How the products are made."""
        return f"Gram matrix, {self.base.route}"

    @property
    def root(self) -> LinearOperator:
        """``A^T``."""
        return self.base.T

    def exact_trace(self) -> tuple[float, str, int] | None:
        """The squared norm of ``A`` where its entries are few enough to be had."""
        m, n = self.base.shape
        spent = 0 if self.base.stored else min(m, n)
        room = MIDDLE if spent else 4 * MIDDLE
        if max(spent, self.base.entries_cost) > FEW_PRODUCTS or m * n * self.dtype.itemsize > room:
            return None
        parts = finite(self.base.dense()).split(FEW_PRODUCTS)
        value = sum(float(part.double().square().sum()) for part in parts)
        return value, f"the squared norm of a {m} x {n} matrix", spent

    def _matmat(self, block: Tensor) -> Tensor:
        width = max(1, MIDDLE // (self.base.shape[1] * self.dtype.itemsize))
        if block.shape[1] <= width:
            return self.base._matmat(self.base._rmatmat(block))
        return torch.cat([self._matmat(part) for part in block.split(width, 1)], 1)

    _rmatmat = _matmat


def check_entries(argument: str, value: Tensor) -> None:
    """Refuse tensors without numbers, sparse ones, and floating types of less than 16 bits."""
    if value.is_meta:
        raise wrong(
            argument,
            "hold numbers",
            "a tensor on the meta device",
            "pass a tensor that holds them",
        )
    if value.is_nested:
        way_out = "pad it with torch.nested.to_padded_tensor(x, 0.0), and pass a mask beside it"
        raise wrong_type(argument, "be one block of numbers", "a nested tensor", way_out)
    if value.is_quantized:
        raise wrong_type(argument, "be plain numbers", value.dtype, "convert it with .dequantize()")
    if value.layout != torch.strided:
        layout = str(value.layout).removeprefix("torch.")
        raise wrong_type(argument, "be dense", layout, "convert it with .to_dense()")
    if value.is_floating_point() and value.dtype not in FLOATING:
        raise wrong_type(argument, "have 16 bits or more", value.dtype, "convert it with .float()")


def finite(products: Tensor) -> Tensor:
    """The same tensor, or one sentence if a product is NaN or infinite."""
    # A sum shows what is not finite in a tenth of the time; it may also overflow on its own.
    if not torch.isfinite(products.sum()) and not torch.isfinite(products).all():
        raise RunError(
            "a product of the operator is not finite (NaN or inf); look for NaN and overflow in "
            "the matrix, or in the network's weights and input, or use dtype float64."
        )
    return products


def as_operator(op: LinearOperator | Tensor) -> LinearOperator:
    """A dense tensor becomes a ``MatrixOperator``; an operator stays itself.

    Half precision is computed in float32: no factorisation takes it.
    """
    if isinstance(op, LinearOperator):
        return op
    if isinstance(op, Tensor):
        half = op.dtype in (torch.float16, torch.bfloat16)
        return MatrixOperator(op.float() if half else op)
    raise wrong_type(
        "op",
        "be a nakami operator or a 2-d torch.Tensor",
        type(op).__name__,
        "make a matrix with torch.as_tensor, or an operator with nakami.jacobian",
    )
