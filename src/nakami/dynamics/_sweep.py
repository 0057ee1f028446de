"""Stages of one input whose whole matrices come from one sweep through the network."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from ..operators import Jacobian
from ..results import Spectrum, StageInfo, UsageError
from ..spectra import LinearOperator, MatrixOperator, dense_bytes
from ._one_spectrum import spectrum_of
from ._plan import Outline, Plan

Piece = tuple[int, StageInfo, StageInfo]  # an input, where the Jacobian starts, where it ends
ENOUGH = 4  # tasks for each worker, or pieces are sent one by one


def tasks(plan: Plan, pieces: Sequence[Piece], workers: int) -> list[tuple[Piece, ...]]:
    """Pieces that are measured together: those of one input from one sweep."""
    shared = {stage.name for stage in swept(plan)}

    def together(piece: Piece) -> tuple[int, str]:
        i, source, stage = piece
        return i, "" if source == plan.chosen[0] and stage.name in shared else stage.name

    groups = [tuple(group) for _, group in groupby(pieces, together)]
    few = len(groups) < ENOUGH * workers
    return [(piece,) for piece in pieces] if few else groups


def swept(plan: Plan) -> tuple[StageInfo, ...]:
    """Stages whose matrices, from the source of the plan, come from products with one identity.

    All values are asked for, so the whole matrix is made; it is no wider than tall, so the products
    are those with the columns of the identity; and all of them fit the budget. Depends on the plan
    alone, so that the numbers do too.
    """
    n = plan.chosen[0].size
    able = [
        stage
        for source, stage in plan.readings()
        if source == plan.chosen[0] and stage.size >= n and plan.values((stage.size, n)) is None
    ]
    if len(able) < 2:
        return ()
    outlines = [Outline((stage.size, n), plan.dtype) for stage in able]
    held = 2 * n * sum(stage.size for stage in able) * plan.dtype.itemsize
    need = held + max(dense_bytes(op) for op in outlines)
    return tuple(able) if need <= plan.budget else ()


def spectra_of(plan: Plan, task: Sequence[Piece]) -> list[Spectrum]:
    """The spectra of one task, in its order."""
    i, shared = task[0][0], swept(plan)
    operators: dict[str, LinearOperator] = {}
    if any(source == plan.chosen[0] and stage in shared for _, source, stage in task):
        operators = _matrices(plan, i, shared)
    return [
        spectrum_of(
            plan, i, source, stage, plan.values,
            op=operators.get(stage.name) if source == plan.chosen[0] else None,
        )
        for i, source, stage in task
    ]  # fmt: skip


def _matrices(plan: Plan, i: int, stages: Sequence[StageInfo]) -> dict[str, LinearOperator]:
    """The whole Jacobian of each stage at an input; none where no route takes all of them."""
    x, names = plan.inputs.at(i), [stage.name for stage in stages]
    one_length = plan.inputs.longest == plan.inputs.shortest
    places = plan.places if one_length else plan.network.stages(x)  # in their shapes at this text
    try:
        joint = Jacobian(plan.network, x, places, names, plan.chosen[0].name, plan.budget)
    except UsageError:
        return {}
    found: dict[str, LinearOperator] = {}
    for name, rows in joint.by_stage(joint.dense()).items():
        found[name] = MatrixOperator(rows)
        found[name].route = joint.route
    return found
