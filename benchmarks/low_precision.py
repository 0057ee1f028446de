"""What a search for singular values in bfloat16 or TF32 saves, if float32 has to certify it.

AlexNet's Jacobian, input to relu5, linearised in float32 at the first picture; its convolutions
multiply rounded numbers, sums are float32, as units for them do (TF32 is emulated). The search
finds ``c`` directions ``V``; ``A V`` in float32 gives the values. Their upper bounds follow from
the residuals ``R`` of ``A^T A`` on ``V`` and from a level above the rest of the spectrum: they are
eigenvalues of ``[[S^2, R^T], [R, level]]``. In float32 that takes ``c`` products for ``A V``, some
ten for the residuals (seen in random directions) and 24 for the level, beside the search's own.
"""

from __future__ import annotations

import argparse
import itertools
import os
import warnings
from typing import Any

import _side_by_side as side

SHARES = {50: (1.0, 1.1, 1.2, 1.3), 200: (1.0, 1.05, 1.1, 1.2)}  # c over k
CLOSING = 34  # products for residuals and level
TOLERANCE = 1e-4  # nakami's default
LOOSE = 1e-2  # tolerance of a search


def steps(net: Any, x: Any) -> list[tuple[Any, ...]]:
    """The network's linear steps at ``x``, kinks held."""
    import torch
    from torch import nn
    from torch.nn.functional import max_pool2d

    found: list[tuple[Any, ...]] = []
    with torch.no_grad():
        for layer in net:
            shape = tuple(x.shape[1:])
            if isinstance(layer, nn.Conv2d):
                found.append(("conv", shape, layer.weight, layer.stride, layer.padding))
                x = layer(x)
            elif isinstance(layer, nn.ReLU):
                found.append(("mask", shape, (x > 0).float()))
                x = x.relu()
            else:
                sizes = (layer.kernel_size, layer.stride, layer.padding)
                x, where = max_pool2d(x, *sizes, return_indices=True)
                found.append(("take", shape, where))
    return [*found, ("end", tuple(x.shape[1:]))]


def operator(linear: list[tuple[Any, ...]], rounding: str) -> Any:
    """``J`` whose convolutions round both factors."""
    import torch
    from torch.nn.functional import conv2d
    from torch.nn.grad import conv2d_input

    from nakami.spectra import LinearOperator

    def less(t: Any) -> Any:
        if rounding == "bfloat16":
            return t.bfloat16()
        if rounding == "TF32":  # 10 bits behind the point
            return ((t.contiguous().view(torch.int32) + 0x1000) & ~0x1FFF).view(torch.float32)
        return t

    class Rounded(LinearOperator):
        route = "convolutions of rounded numbers"
        dtype, device = torch.float32, torch.device("cpu")
        shape = tuple(torch.Size(linear[i][1]).numel() for i in (-1, 0))

        def _matmat(self, block: Any) -> Any:
            v = block.T.reshape(-1, *linear[0][1])
            for (kind, _, *own), (_, after, *_) in itertools.pairwise(linear):
                if kind == "conv":
                    v = conv2d(less(v), less(own[0]), None, *own[1:]).float()
                elif kind == "mask":
                    v = v * own[0]
                else:
                    at = own[0].flatten(2).expand(len(v), -1, -1)
                    v = v.flatten(2).gather(2, at).reshape(-1, *after)
            return v.flatten(1).T

        def _rmatmat(self, block: Any) -> Any:
            u = block.T.reshape(-1, *linear[-1][1])
            for kind, before, *own in reversed(linear[:-1]):
                whole = (len(u), *before)
                if kind == "conv":
                    u = conv2d_input(whole, less(own[0]), less(u), *own[1:]).float()
                elif kind == "mask":
                    u = u * own[0]
                else:
                    at = own[0].flatten(2).expand(len(u), -1, -1)
                    flat = u.new_zeros(*whole[:2], before[1] * before[2])
                    u = flat.scatter_add_(2, at, u.flatten(2)).reshape(whole)
            return u.flatten(1).T

    return Rounded()


def bounded(op: Any, v: Any, level: float, k: int) -> tuple[float, float]:
    """The largest residual over its value, squares; and how far the first k may lie above."""
    import torch

    image = (op @ v).double()
    u, s, turn = torch.linalg.svd(image, full_matrices=False)
    right = v.double() @ turn.T
    rest = (op.T @ (u * s).float()).double() - right * s.square()
    rest -= right @ (right.T @ rest)
    r = torch.linalg.qr(rest)[1]
    whole = torch.block_diag(s.square().diag(), level * torch.eye(len(s), dtype=s.dtype))
    whole[len(s) :, : len(s)], whole[: len(s), len(s) :] = r, r.T
    top = torch.linalg.eigvalsh(whole).flip(0)[:k].clamp_min(level)
    apart = float((rest.norm(dim=0) / s.square()).max())
    return apart, float((top.sqrt() / s[:k] - 1).max())


def cost(op: Any) -> float:
    """CPU seconds of a product each way with two columns."""
    import torch

    v, u = torch.randn(op.shape[1], 2), torch.randn(op.shape[0], 2)
    _ = op @ v, op.T @ u
    return side.median([side.cpu_seconds(lambda: (op @ v, op.T @ u))[0] for _ in range(9)])


def measured(k: int, linear: list[tuple[Any, ...]]) -> list[dict[str, Any]]:
    """A row for each rounding and number of directions, up to the first that is good enough."""
    import torch

    import nakami

    exact = operator(linear, "float32")
    most = int(max(SHARES[k]) * k) + 1
    truth = nakami.svd(exact, most, tol=1e-5)
    whole = nakami.svd(exact, k, tol=TOLERANCE).n_products
    rows = []
    for rounding in ("bfloat16", "TF32"):
        op = operator(linear, rounding)
        for c in (int(share * k) for share in SHARES[k]):
            search = nakami.svd(exact, c, tol=LOOSE).n_products
            found = nakami.svd(op, c, tol=LOOSE, max_products=2 * search)
            v = torch.linalg.qr(found.right)[0]
            values = torch.linalg.svdvals((exact @ v).double())[:k]
            error = float((values / truth.values[:k] - 1).abs().max())
            apart, bound = bounded(exact, v, float(truth.values[c]) ** 2 * 1.001, k)
            times = cost(op) / cost(exact) if rounding == "bfloat16" else None
            even = (whole - c - CLOSING) / search
            rows.append(
                {"k": k, "rounding": rounding, "c": c, "whole": whole, "search": search}
                | {"error": error, "residual": apart, "bound": bound, "even": even, "cost": times}
                | {"load": [round(os.getloadavg()[0], 1)]}
            )
            if bound <= TOLERANCE:
                break
    return rows


def shown(rows: list[dict[str, Any]]) -> str:
    """The table of all rows."""
    heads = [
        "k",
        "search in",
        "directions",
        "error of the values",
        "residual",
        "bound of the error",
    ]
    heads += ["products, float32 alone", "of the search", "pays below", "a product costs"]
    lines = [
        [str(row["k"]), row["rounding"], str(row["c"])]
        + [f"{row[name]:.0e}" for name in ("error", "residual", "bound")]
        + [str(row["whole"]), str(row["search"]), f"{row['even']:.2f}"]
        + ["not measured" if row["cost"] is None else f"{row['cost']:.2f}"]
        for row in rows
    ]
    return side.table(heads, lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--k", type=int, nargs="+", choices=list(SHARES), default=list(SHARES))
    asked = parser.parse_args()
    if why := side.missing(["alexnet"]):
        print(why)
        return
    warnings.simplefilter("ignore")  # no search converges: a rounded product is not quite linear
    case = side.build("alexnet")
    linear = steps(case.plain, case.x)
    rows = [row for k in asked.k for row in measured(k, linear)]
    side.keep("low_precision", rows, shown(rows))


if __name__ == "__main__":
    main()
