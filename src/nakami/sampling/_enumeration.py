"""What enumeration of all states says of a small machine and of the kernels that sample it.

Written without the samplers: dense matrices over the ``2^visible`` states, in float64. Index of a
state: its units as binary digits, the first unit highest (``sampling.states``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce, singledispatch

import torch
from torch import Tensor
from torch.nn import functional as F

from ..results import UsageTypeError, check_at_least, wrong, wrong_type
from ._allocation import suwa_todo
from ._collapsed import CollapsedGibbs, CollapsedSuwaTodo, Lifted, RandomFlips
from ._kernels import BlockGibbs, Kernel, MetropolisedGibbs, SuwaTodo, check_kernel, states
from ._machine import Machine, PairEnergy, check_binary, check_states, machine_of
from ._units import BINARY

MOST_UNITS = 25  # of the smaller side, for the partition function
MOST_STATES = 12  # units of a side, for tables of states
CHUNK = 1 << 16


def log_partition(model: PairEnergy | Machine) -> float:
    """``log sum_v p*(v)`` in nats, by summing over all states of the smaller side.

    For visible units that are not binary it sums over the states of the hidden ones.

    Raises:
        UsageError: Both sides have more than 25 units; take ``annealed_importance_sampling``.
    """
    machine = _double(machine_of(model))
    w, a, b = machine.weight * float(machine.beta), machine.offset, machine.hidden_bias
    b, units, shift = b * float(machine.beta), machine.units, 0.0
    if machine.base is not None:
        shift = float(units.mixed(machine.visible_bias, machine.base, float(machine.beta)))
    if w.shape[0] < w.shape[1] or not units.binary:
        w, a, b = w.T, b, a  # s is the hidden side, w s drives the visible one
    else:
        units = BINARY
    n = len(a)
    if n > MOST_UNITS:
        way_out = "take sampling.annealed_importance_sampling"
        raise wrong("model", f"have a side of at most {MOST_UNITS} units", n, way_out)
    parts = []
    bits = torch.arange(n - 1, -1, -1, device=w.device)
    for index in torch.arange(1 << n, device=w.device).split(CHUNK):
        s = (index[:, None] >> bits & 1).to(w)
        parts.append((s @ a + units.log_normaliser(b, F.linear(s, w))).logsumexp(0))
    return float(torch.stack(parts).logsumexp(0)) + shift


def stationary(model: PairEnergy | Machine) -> Tensor:
    """``p(v)`` of all visible states, ``(2^visible,)`` float64."""
    machine = _small(model)
    return machine.log_weight(states(machine.visible_units, machine.weight)).softmax(0)


def transition_matrix(model: PairEnergy | Machine, kernel: Kernel) -> Tensor:
    """``K[x, y]``, the chance that one sweep leads from visible state x to y, float64.

    ``(2^visible, 2^visible)``; for ``Lifted`` twice as many, first all states with direction 1,
    then with -1, and its invariant law is ``p(v) / 2`` on both.

    Raises:
        UsageError: More than 12 units on a side.
    """
    return _matrix(check_kernel(kernel), _small(model))


def exact_autocorrelation_time(matrix: Tensor, law: Tensor, statistic: Tensor) -> Tensor:
    """Integrated autocorrelation time in sweeps, exactly; 1 for independent samples.

    ``tau = (2 <f, (1 - K + 1 law)^-1 f> - <f, f>) / <f, f>`` with ``f`` less its mean and ``<.,.>``
    weighted by the law; the variance of a mean of n sweeps is ``tau var(f) / n``. Needs no detailed
    balance.

    Args:
        matrix: ``K``, ``(S, S)``.
        law: Its invariant law, ``(S,)``.
        statistic: ``f`` of each state, ``(S,)`` or ``(S, m)``. For ``Lifted`` all three are of the
            doubled states; a law and a statistic of half the length are doubled.

    Returns:
        ``()`` or ``(m,)``; NaN where the statistic does not vary.
    """
    parts: dict[str, object] = {"matrix": matrix, "law": law, "statistic": statistic}
    for name, given in parts.items():
        if not isinstance(given, Tensor):
            rule, way_out = (
                "be a tensor",
                "pass transition_matrix(model, kernel), stationary(model)",
            )
            got = type(given).__name__
            raise wrong_type(name, rule, got, f"{way_out} and one number a state")
    if matrix.ndim != 2 or len(matrix) not in (len(law), 2 * len(law)):
        rule, shape = "be (S, S) for a law of S or S / 2 states", tuple(matrix.shape)
        raise wrong(
            "matrix", rule, shape, "pass transition_matrix(model, kernel) of the law's model"
        )
    if len(statistic) != len(law):
        rule = f"have one row for each state of the law, {len(law)}"
        raise wrong("statistic", rule, tuple(statistic.shape), "pass pair_statistics(model)")
    if len(matrix) == 2 * len(law):
        law, statistic = torch.cat([law, law]) / 2, torch.cat([statistic, statistic])
    f = statistic.reshape(len(law), -1).double()
    f = f - law @ f
    solved = torch.linalg.solve(torch.eye(len(law)).to(matrix) - matrix + law, f)
    variance = law @ f.square()
    tau = (2 * (law @ (f * solved)) - variance) / variance
    return tau.reshape(statistic.shape[1:])


def pair_statistics(model: PairEnergy | Machine) -> Tensor:
    """``v_i p(h_j = 1 | v)`` of all states, ``(2^visible, hidden * visible)``; ``j`` first."""
    machine = _small(model)
    v = states(machine.visible_units, machine.weight)
    return (machine.hidden_logit(v).sigmoid()[:, :, None] * v[:, None, :]).flatten(1)


def divergence_bias(
    model: PairEnergy | Machine, data: Tensor, kernel: Kernel | None = None, k: int = 1
) -> Tensor:
    """What CD-k's mean direction of the weights lacks to the gradient of the log-likelihood.

    ``p_model s - p_data K^k s`` with ``s_ij(v) = v_i p(h_j = 1 | v)``: the direction of CD-k is the
    gradient plus this.

    Args:
        model: A machine of at most 12 units on a side.
        data: ``(N, visible)`` zeros and ones.
        kernel: Of the chain; None: block Gibbs.
        k: Sweeps.

    Returns:
        ``(hidden, visible)`` float64.
    """
    machine, kernel = _small(model), check_kernel(kernel)
    k = check_at_least("k", k, 1, "pass k=1")
    return divergence_biases(machine, check_states("data", data, machine), kernel, [k])[0]


def divergence_biases(
    machine: Machine, v: Tensor, kernel: Kernel, steps: Sequence[int]
) -> list[Tensor]:
    """As ``divergence_bias`` after each of several numbers of sweeps, rising, of checked parts."""
    index = (v @ (2.0 ** torch.arange(v.shape[1] - 1, -1, -1).to(v))).long()
    size = 1 << machine.visible_units
    law = torch.bincount(index, minlength=size).to(v) / len(v)
    matrix = transition_matrix(machine, kernel)
    after = torch.cat([law, law]) / 2 if len(matrix) == 2 * size else law
    expected, statistic, found = stationary(machine), pair_statistics(machine), list[Tensor]()
    for k in range(1, steps[-1] + 1):
        after = after @ matrix
        if k in steps:
            bias = (expected - after.reshape(-1, size).sum(0)) @ statistic
            found.append(bias.reshape(machine.weight.shape))
    return found


@singledispatch
def _matrix(kernel: Kernel, machine: Machine) -> Tensor:
    raise UsageTypeError(
        "kernel {got} has no transition matrix; pass one of sampling's own.",
        got=type(kernel).__name__,
    )


@_matrix.register
def _(kernel: BlockGibbs, machine: Machine) -> Tensor:
    up, down = _conditionals(machine)
    return up @ down


@_matrix.register
def _(kernel: MetropolisedGibbs, machine: Machine) -> Tensor:
    def flips(p: Tensor) -> Tensor:  # of one unit, p = (p0, p1)
        go = (p.flip(-1) / p).clamp(max=1)
        return torch.diag_embed(1 - go) + torch.diag_embed(go).flip(-1)

    return _given_hidden(machine, 1, flips)


@_matrix.register
def _(kernel: SuwaTodo, machine: Machine) -> Tensor:
    return _given_hidden(machine, kernel.block, suwa_todo)


@_matrix.register
def _(kernel: CollapsedGibbs, machine: Machine) -> Tensor:
    def drawn(weights: Tensor) -> Tensor:
        p = weights / weights.sum(-1, keepdim=True)
        return p[..., None, :].expand(*p.shape, p.shape[-1])

    return _scan(machine, kernel.block, drawn)


@_matrix.register
def _(kernel: CollapsedSuwaTodo, machine: Machine) -> Tensor:
    return _scan(machine, kernel.block, suwa_todo)


@_matrix.register
def _(kernel: RandomFlips, machine: Machine) -> Tensor:
    n, step = machine.visible_units, _flips(machine)
    step.diagonal().add_(1 - step.sum(1))
    return torch.linalg.matrix_power(step, kernel.steps or n)


@_matrix.register
def _(kernel: Lifted, machine: Machine) -> Tensor:
    n, all_flips = machine.visible_units, _flips(machine)
    v = states(n, machine.weight)
    total = v.sum(1) if kernel.signs is None else v @ kernel.signs.to(v)
    up = torch.where(total[None, :] > total[:, None], all_flips, 0.0)
    down = all_flips - up
    excess = down.sum(1) - up.sum(1)
    turn_up, turn_down = excess.clamp(min=0), (-excess).clamp(min=0)
    up.diagonal().add_(1 - up.sum(1) - turn_up)
    down.diagonal().add_(1 - down.sum(1) - turn_down)
    rows = [torch.cat([up, turn_up.diag()], 1), torch.cat([turn_down.diag(), down], 1)]
    return torch.linalg.matrix_power(torch.cat(rows), kernel.steps or n)


def _flips(machine: Machine) -> Tensor:
    """Metropolis flips of units drawn at random, without the diagonal."""
    n, law = machine.visible_units, stationary(machine)
    index = torch.arange(len(law))
    step = torch.zeros(len(law), len(law)).to(law)
    for i in range(n):
        other = index ^ (1 << i)
        step[index, other] = (law[other] / law).clamp(max=1) / n
    return step


def _conditionals(machine: Machine) -> tuple[Tensor, Tensor]:
    """``p(h | v)``, rows v, and ``p(v | h)``, rows h."""
    v, h = (states(n, machine.weight) for n in (machine.visible_units, machine.hidden_units))
    return _products(machine.hidden_logit(v), h), _products(machine.visible_logit(h), v)


def _products(logit: Tensor, s: Tensor) -> Tensor:
    """``prod_j sigmoid(+-logit_j)`` for all states s of the units."""
    return (F.logsigmoid(logit) @ s.T + F.logsigmoid(-logit) @ (1 - s).T).exp()


def _given_hidden(machine: Machine, block: int, kernel: Callable[[Tensor], Tensor]) -> Tensor:
    """``sum_h p(h | v)`` of the product of the blocks' kernels given h."""
    up, _ = _conditionals(machine)
    logits = machine.visible_logit(states(machine.hidden_units, machine.weight))
    blocks = [
        kernel((part @ states(part.shape[1], up).T).softmax(1)) for part in logits.split(block, 1)
    ]  # (2^hidden, 2^size, 2^size) each
    total = torch.zeros(len(up), len(up)).to(up)
    for p, *moves in zip(up.T, *blocks, strict=True):
        total.addcmul_(p[:, None], reduce(torch.kron, moves))
    return total


def _scan(machine: Machine, block: int, kernel: Callable[[Tensor], Tensor]) -> Tensor:
    """Product over the blocks, in order, of the kernel of each given all others."""
    law, n = stationary(machine), machine.visible_units
    total = torch.eye(len(law)).to(law)
    for start in range(0, n, block):
        size = min(block, n - start)
        shape = (1 << start, 1 << size, 1 << (n - start - size))
        moves = kernel(law.reshape(shape).transpose(1, 2))  # (before, after, state, state)
        rows = total.reshape(-1, *shape)
        total = torch.einsum("sbxa,baxy->sbya", rows, moves).reshape(len(law), -1)
    return total


def _double(machine: Machine) -> Machine:
    base = None if machine.base is None else machine.base.double()
    w, a, b = machine.weight, machine.visible_bias, machine.hidden_bias
    return Machine(w.double(), a.double(), b.double(), machine.beta, base, machine.units)


def _small(model: PairEnergy | Machine) -> Machine:
    machine = check_binary(machine_of(model), "tables of their states")
    most = max(machine.visible_units, machine.hidden_units)
    if most > MOST_STATES:
        way_out = "take a smaller machine, or measure sampling.autocorrelation_time of a run"
        raise wrong("model", f"have at most {MOST_STATES} units on a side", most, way_out)
    return _double(machine)
