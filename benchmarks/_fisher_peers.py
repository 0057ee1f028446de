"""What other libraries give for the largest eigenvalue and the trace of a curvature matrix.

Each function takes a ``Case`` and settings and returns what ``settings["want"]`` names (``lmax``,
``trace``) with the CPU seconds of each, ``build_s`` and ``products``. Cross-entropy, mean over the
examples, so that Gauss-Newton is the Fisher matrix.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from _fisher_cases import Case
from _side_by_side import cpu_seconds
from torch import Tensor, nn

PROBES = 30  # random vectors of an estimated trace: what the baselines took


def largest(
    product: Callable[[Tensor], Tensor], n: int, settings: dict[str, Any]
) -> tuple[float, int]:
    """ARPACK's largest eigenvalue of a symmetric matrix, and the products it took."""
    from scipy.sparse.linalg import LinearOperator, eigsh

    count = 0

    def through(v: np.ndarray) -> np.ndarray:
        nonlocal count
        count += 1
        return product(torch.from_numpy(v.ravel().astype(np.float32))).detach().numpy()

    matrix = LinearOperator((n, n), matvec=through, dtype=np.float32)
    start = np.random.default_rng(0).standard_normal(n).astype(np.float32)
    tol, basis = settings["tol"], min(settings["basis"], n)
    found = eigsh(matrix, k=1, which="LA", tol=tol, ncv=basis, v0=start, return_eigenvectors=False)
    return float(found[0]), count


def timed(
    want: list[str],
    build: Callable[[], Any],
    top: Callable[[Any], tuple[float, int]],
    trace: Callable[[Any], float],
) -> dict[str, Any]:
    """What is wanted, one after the other, each part with its CPU seconds."""
    out: dict[str, Any] = {}
    out["build_s"], matrix = cpu_seconds(build)
    if "lmax" in want:
        out["lmax_s"], (out["lmax"], out["products"]) = cpu_seconds(lambda: top(matrix))
    if "trace" in want:
        out["trace_s"], out["trace"] = cpu_seconds(lambda: trace(matrix))
    return out


def curvlinops(case: Case, settings: dict[str, Any]) -> dict[str, Any]:
    import curvlinops as library

    def build() -> Any:
        weights = list(case.model.parameters())
        data = [(case.x, case.y)]
        kind = library.GGNLinearOperator
        return kind(case.model, nn.CrossEntropyLoss(), weights, data, check_deterministic=False)

    def trace(matrix: Any) -> float:
        torch.manual_seed(0)
        return float(library.hutchinson_trace(matrix, num_matvecs=PROBES))

    def top(matrix: Any) -> tuple[float, int]:
        return largest(lambda v: matrix @ v, matrix.shape[0], settings)

    return timed(settings["want"], build, top, trace)


def eigenthings(case: Case, settings: dict[str, Any]) -> dict[str, Any]:
    import hessian_eigenthings as library

    def build() -> Any:
        outputs = library.supervised_loss_of_output(nn.CrossEntropyLoss())
        data = [(case.x, case.y)]
        return library.GGNOperator(case.model, data, library.supervised_forward, outputs)

    def top(matrix: Any) -> tuple[float, int]:
        steps = {"max_iter": settings["steps"]} if settings["steps"] else {}
        found = library.lanczos(matrix, k=1, tol=1e-4, seed=0, **steps)
        return float(torch.as_tensor(found.eigenvalues).max()), int(found.iterations)

    def trace(matrix: Any) -> float:
        return float(library.trace(matrix, num_matvecs=PROBES, seed=0).estimate)

    return timed(settings["want"], build, top, trace)


def nngeometry(case: Case, settings: dict[str, Any]) -> dict[str, Any]:
    from nngeometry.layercollection import LayerCollection
    from nngeometry.metrics import FIM
    from nngeometry.object import FMatDense, PMatImplicit
    from nngeometry.object.vector import PVector
    from torch.utils.data import DataLoader, TensorDataset

    dense = settings["how"] == "dense"

    def build() -> Any:
        loader = DataLoader(TensorDataset(case.x, case.y), batch_size=250)
        form = FMatDense if dense else PMatImplicit
        found = FIM(case.model, loader, representation=form, variant="classif_logits", device="cpu")
        if not dense:
            return found
        c, n = found.data.shape[:2]
        return found.data.reshape(c * n, c * n) / len(case.x)

    def top(matrix: Any) -> tuple[float, int]:
        if dense:
            return largest(lambda v: matrix @ v, len(matrix), settings)
        layers = LayerCollection.from_model(case.model)
        n = sum(p.numel() for p in case.model.parameters())
        return largest(lambda v: matrix.mv(PVector(layers, vector_repr=v)).to_torch(), n, settings)

    def trace(matrix: Any) -> float:
        return float(matrix.diagonal().sum() if dense else matrix.trace())

    return timed(settings["want"], build, top, trace)


def pyhessian(case: Case, settings: dict[str, Any]) -> dict[str, Any]:
    """The Hessian: another matrix, shown because users take it for the Fisher matrix."""
    from pyhessian import hessian

    def build() -> Any:
        return hessian(case.model, nn.CrossEntropyLoss(), data=(case.x, case.y), cuda=False)

    def top(matrix: Any) -> tuple[float, int]:
        torch.manual_seed(0)
        return float(matrix.eigenvalues(maxIter=100, tol=1e-3)[0][0]), 0

    def trace(matrix: Any) -> float:
        return float(np.mean(matrix.trace(maxIter=PROBES, tol=0.0)))

    return timed(settings["want"], build, top, trace)


METHODS = {
    "curvlinops": curvlinops,
    "eigenthings": eigenthings,
    "nngeometry": nngeometry,
    "pyhessian": pyhessian,
}
