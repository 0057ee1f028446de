"""The leading subspaces of an x-ray: which directions of the input each depth keeps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from ...operators import Example, Jacobian, View
from ...results import (
    Progress,
    Subspaces,
    Xray,
    check_count,
    check_fraction,
    check_seed,
    evenly,
    told,
)
from ...spectra import SVDResult, svd, without_autocast
from .._experiment import Arrays, Bench, ExperimentEntry, bench, conducted
from .._inputs import as_array
from .._one_spectrum import seed_of

DIMENSION = 10
ROOM = 1 << 28  # bytes of vectors of all inputs, above which fewer stages are read by default


@told
@without_autocast
def subspaces(
    model: nn.Module | View,
    inputs: Any,
    run: Xray,
    dimension: int | None = None,
    *,
    labels: Any = None,
    stages: Sequence[str] | None = None,
    tol: float = 1e-5,
    seed: int = 0,
    progress: Progress | None = None,
) -> Subspaces:
    """Where the information of the inputs of an x-ray goes: leading subspaces by depth.

    At each input and stage, the ``dimension`` leading right singular vectors of ``J_all``: the
    directions of the input that the network keeps most at that depth. The result compares them
    between successive stages, between inputs of one class and of different classes, and with the
    differences of inputs; and reads the values as finite-time Lyapunov exponents,
    ``ln s_i / depth``. What is compared stands beside what random subspaces would give.

    Args:
        model: The model that the x-ray read, or its ``View``; left as it was.
        inputs: The inputs of the x-ray.
        run: The x-ray; in a folder, a piece for each input is kept there.
        dimension: Directions of each subspace; default 10, or half the numbers of an input where
            they are fewer than 20. Less where a stage has fewer values above the floor of the
            arithmetic.
        labels: The class of each input; default those that the run holds, else the decisions of the
            network (the largest entry of its output).
        stages: Where; default those of the run, or as many of them as keep all vectors below
            256 MiB, evenly spread, the first and the last in any case.
        tol: Bound on the relative error of each value; vectors are right to about its root over
            that of the gap, see ``doubt``.
        seed: Of the start blocks; each input has its own.
        progress: ``progress(done, total, seconds_left, what)``, called after each input.

    Returns:
        A ``Subspaces``: principal angles, overlaps with standard errors, shares of differences,
        exponents; ``against`` another network's.

    Raises:
        UsageError: Another model or other inputs than the x-ray's, a setting out of range.

    Warns:
        NotConvergedWarning: Once, with the number of spectra that did not converge.

    Cost: for each input and stage ``nakami.svd`` with ``dimension + 1`` values, and
    ``4 dimension n`` bytes, n the size of the input.
    Source: Mototake & Ikegami, JSAI 2015 (what is kept and what is erased); Björck & Golub,
    Numerical methods for computing angles between linear subspaces, Math. Comp. 27 (1973).
    """
    table = bench(model, inputs, run)
    table.check_one_length()
    n, read = run.stages[0].size, len(table.measured)
    usual = max(1, min(DIMENSION, n // 2))
    r = usual if dimension is None else dimension
    r = check_count("dimension", r, n, "the size of the input", f"{usual} is the default here")
    check_fraction("tol", tol, "1e-5 is the default")
    names = table.stages(_fitting(run, 4 * r * n * read) if stages is None else stages)
    settings = {
        "dimension": r,
        "stages": names,
        "depths": [table.places.layers(name) for name in names],
        **_order(table, names),
        "tol": float(tol),
        "seed": check_seed(seed),
        "labels": table.classes(labels),
        "inputs_sha256": run.settings["inputs_sha256"],
        "source": table.source,
    }

    def measure(i: int, x: Example) -> Arrays:
        return _at_one_input(table, x, i, settings)

    way_out = ["raise {tol}", "lower {dimension}"]
    return conducted(Subspaces, table, settings, measure, progress, way_out)


def _fitting(run: Xray, size: int) -> list[str]:
    """Stages of the run, as many as the room holds at ``size`` bytes each, and two at least."""
    return evenly(run.path, max(2, ROOM // size))


def _order(table: Bench, names: Sequence[str]) -> dict[str, Any]:
    """The stage that each is compared with, where it is not the next in order of execution."""
    leads, plain = table.places.leads, [*names[1:], None]
    ways = [name for name in names if leads(name)]
    after = [
        next((b for b in ways if names.index(b) > i and leads(a, b)), None)
        for i, a in enumerate(names)
    ]
    return {"next": after} if after != plain else {}


def _at_one_input(table: Bench, x: Example, i: int, settings: dict[str, Any]) -> Arrays:
    r, budget = settings["dimension"], table.run.settings["memory_budget"]
    rows = []
    for name in settings["stages"]:
        op = Jacobian(table.network, x, table.places, name, table.source, budget)
        count = min(r + 1, min(op.shape))
        seed = seed_of(settings["seed"], i, table.places.position(name))
        result = svd(op, count, settings["tol"], memory_budget=budget, seed=seed)
        rows.append(_row(result, r))
    start = torch.cat([part.reshape(-1) for part in table.parts(x)])
    return {
        **{name: np.stack([row[name] for row in rows]) for name in rows[0]},
        "point": as_array(start).astype(np.float32),
        "decision": np.array(table.decision(x)),
    }


def _row(result: SVDResult, r: int) -> Arrays:
    """The leading subspace of one spectrum, with the bound of Davis, Kahan and Wedin."""
    values, residuals = as_array(result.values), as_array(result.residuals)
    rank = min(r, int((as_array(result.reliable) & (values > 0)).sum()))
    assert result.right is not None
    right = np.zeros((r, result.right.shape[0]), dtype=np.float32)
    right[:rank] = as_array(result.right)[:, :rank].T
    beyond = float(values[rank]) if rank < len(values) else 0.0
    gap = float(values[rank - 1]) - beyond if rank else 0.0
    off = float(np.linalg.norm(residuals[:rank]))
    kept = np.full(r + 1, np.nan)
    kept[: len(values)] = values[: r + 1]
    return {
        "right": right,
        "values": kept,
        "rank": np.array(rank),
        "doubt": np.array(min(1.0, off / gap) if gap > 0 else 1.0),
        "converged": np.array(result.converged),
    }


ENTRY = ExperimentEntry(
    subspaces, "leading subspaces by depth: angles, classes, differences of inputs, exponents"
)
