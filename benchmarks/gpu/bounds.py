"""How far a card may be from the CPU's float64: bounds that follow from the arithmetic.

``u`` is the unit of rounding: ``2^-53`` in float64, ``2^-24`` in float32, ``2^-11`` for operands
that are rounded to TF32, ``2^-8`` for bfloat16. A sum of ``n`` products whose operands are rounded
by ``u_in`` and whose partial sums are rounded by ``u_sum``, signs as good as random, is off by
about ``sqrt(2) u_in + sqrt(n) u_sum`` of its length: roundings are independent, so that they add up
as square roots (Higham and Mary, SIAM J. Sci. Comput. 41, 2019). ``L`` layers one after the other
add their errors, at most L times one. The derivative of a smooth layer moves with the point, which
doubles it. All this is times ``SAFETY`` = 4, for what was left out: condition numbers of a few,
uneven sizes of terms, tails of the random walk.

    product = 2 SAFETY L (sqrt(2) u_in + sqrt(n) u_sum)

nakami promises float32 for weights of bfloat16 and under autocast (it lifts both), so their bound
is that of float32; the reference has the weights that were rounded.
"""

from __future__ import annotations

import math

SAFETY = 4.0
UNIT = {"float64": 2.0**-53, "float32": 2.0**-24, "tf32": 2.0**-11, "bfloat16": 2.0**-8}


def product(layers: int, terms: int, arithmetic: str = "float32") -> float:
    """Relative error, in norm, of ``J v``, of ``J^T u`` or of a gradient.

    Args:
        layers: Linear steps one after the other.
        terms: In the longest sum of one of them.
        arithmetic: ``"float64"``, ``"float32"``, or ``"tf32"`` for operands that are rounded to it.
    """
    rounded = math.sqrt(2) * UNIT["tf32"] if arithmetic == "tf32" else 0.0
    sums = UNIT["float64" if arithmetic == "float64" else "float32"]
    return 2 * SAFETY * layers * (rounded + math.sqrt(terms) * sums)


def kinked(layers: int, terms: int) -> float:
    """Relative error of ``J v`` in float32 where units have a kink, as ReLU and max-pooling have.

    A unit whose input is off by a share ``d = sqrt(n) u`` of the usual input is on the other side
    of its kink where that lies within ``d``: of a share ``2 d / sqrt(2 pi)`` of all units. Their
    part of ``J v`` is wrong, ``sqrt(0.8 d)`` of its length, layer by layer; rounding is less.
    """
    share = 2 / math.sqrt(2 * math.pi) * math.sqrt(terms) * UNIT["float32"]
    return product(layers, terms) + layers * math.sqrt(share)


def value(products: float, spread: float, tol: float) -> float:
    """Error of a singular value over the largest one.

    By Weyl's inequality a value moves by ``|E|_2 <= |E|_F``, here ``products |J|_F``; the method
    itself may be off by ``tol``.

    Args:
        products: Bound of ``product``.
        spread: ``|J|_F / |J|_2``, from 1 on.
        tol: Asked of the method.
    """
    return products * spread + tol
