"""Products and spectra of Jacobians by the input, beside dense float64 ones by autograd."""

from __future__ import annotations

from functools import partial

import torch

import nakami

from . import bounds
from .machine import ARITHMETICS, arithmetic
from .networks import NETS, dense, placed
from .units import Found, Setting, Unit

K, TOL = 3, 1e-4


def products(setting: Setting, found: Found, *, net: str, how: str) -> None:
    """``J v``, ``J^T u``, blocks, the dense matrix and the largest values."""
    case = NETS[net]
    model, x = case.drawn()
    with arithmetic(how, setting.device) as dtype:
        card = placed(model, setting.device, dtype)
        wanted = dense(card.double().cpu(), x.to(dtype))  # of the weights as they were rounded
        card = card.to(setting.device, dtype)
        op = nakami.jacobian(card, x.to(setting.device, dtype))
        bound = bounds.product(case.layers, case.terms, how)
        gen = torch.Generator().manual_seed(1)
        v, u = (torch.randn(n, 4, generator=gen, dtype=torch.float64) for n in wanted.shape[::-1])
        on = partial(torch.Tensor.to, device=op.device, dtype=op.dtype)
        found.near("J v", op @ on(v[:, 0]), wanted @ v[:, 0], bound)
        found.near("J^T u", op.T @ on(u[:, 0]), wanted.T @ u[:, 0], bound)
        found.near("J V, 4 columns", op @ on(v), wanted @ v, bound)
        found.near("J^T U, 4 columns", op.T @ on(u), wanted.T @ u, bound)
        found.near("J as a matrix", op.dense(), wanted, bound)
        found.notes |= {"route": op.route, "dtype": str(op.dtype).removeprefix("torch.")}
        values = torch.linalg.svdvals(wanted)
        spread = float(wanted.norm() / values[0])
        for method in ("dense", "krylov"):
            run = nakami.svd(op, K, TOL, method=method)
            error = (run.values.double().cpu() - values[:K]).abs().max() / values[0]
            found.within(f"values, {method}", float(error), bounds.value(bound, spread, TOL))
            found.holds(f"converged, {method}", run.converged)


UNITS = [
    Unit(f"jacobian/{net}/{how}", partial(products, net=net, how=how))
    for net in NETS
    for how in ARITHMETICS
]
