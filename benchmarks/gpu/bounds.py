"""How far a card may be from the CPU's float64: bounds that follow from the arithmetic.

``u`` is the unit of rounding: ``2^-53`` in float64, ``2^-24`` in float32. A sum of ``n`` products
whose partial sums are rounded, signs as good as random, is off by about ``sqrt(n) u`` of its
length: roundings are independent, so that they add up as square roots (Higham and Mary, SIAM J.
Sci. Comput. 41, 2019). ``L`` layers one after the other add their errors, at most L times one. The
derivative of a smooth layer moves with the point, which doubles it. All this is times ``SAFETY`` =
4, for what was left out: condition numbers of a few, uneven sizes of terms, tails of the random
walk.

    product = 2 SAFETY L sqrt(n) u

nakami lifts TF32 and autocast, and computes with weights of bfloat16 in float32. So the bound is
that of float32 for all of these; TF32 (``2^-11``) or bfloat16 (``2^-8``) in one layer would break
it. Of bfloat16 the reference has the weights that were rounded.
"""

from __future__ import annotations

import math

SAFETY = 4.0
UNIT = {"float64": 2.0**-53, "float32": 2.0**-24}


def product(layers: int, terms: int, arithmetic: str = "float32") -> float:
    """Relative error, in norm, of ``J v``, of ``J^T u`` or of a gradient.

    Args:
        layers: Linear steps one after the other.
        terms: In the longest sum of one of them.
        arithmetic: ``"float64"``; all others promise float32.
    """
    unit = UNIT["float64" if arithmetic == "float64" else "float32"]
    return 2 * SAFETY * layers * math.sqrt(terms) * unit


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
