"""Every kernel: invariance by enumeration, detailed balance, and samples against the matrix."""

import pytest
import torch

from nakami import sampling
from nakami.results import UsageError
from nakami.sampling import states, stationary, transition_matrix
from nakami.zoo.rbm import RBM
from small_machines import doubled, random_machine, violation

KERNELS = {
    "block Gibbs": sampling.BlockGibbs(),
    "Metropolised": sampling.MetropolisedGibbs(),
    "pairs": sampling.SuwaTodo(2),
    "triples": sampling.SuwaTodo(3),
    "collapsed Gibbs": sampling.CollapsedGibbs(),
    "collapsed Gibbs, pairs": sampling.CollapsedGibbs(2),
    "collapsed Metropolis": sampling.CollapsedSuwaTodo(1),
    "collapsed pairs": sampling.CollapsedSuwaTodo(2),
    "collapsed triples": sampling.CollapsedSuwaTodo(3),
    "random flips": sampling.RandomFlips(),
    "three random flips": sampling.RandomFlips(3),
    "lifted": sampling.Lifted(),
    "lifted, two steps": sampling.Lifted(steps=2),
    "lifted, signs": sampling.Lifted(torch.tensor([1.0, -1, 1, 1, -1, 1, -1, 1])),
}
REVERSIBLE = ("block Gibbs", "Metropolised", "random flips", "three random flips")


@pytest.mark.parametrize("name", KERNELS)
def test_law_is_invariant(name):
    machine = random_machine(1.5)
    matrix = transition_matrix(machine, KERNELS[name])
    law = doubled(stationary(machine), matrix)
    assert (matrix.sum(1) - 1).abs().max() < 1e-14
    assert matrix.min() > -1e-16
    assert (law @ matrix - law).abs().max() < 1e-14
    balance = violation(matrix, law)
    assert balance < 1e-15 if name in REVERSIBLE else balance > 1e-4
    wrong = matrix.clone()
    wrong[3] = wrong[3].roll(1)
    assert (law @ wrong - law).abs().max() > 1e-6  # the check can fail


def test_block_gibbs_is_the_sum_over_hidden_states():
    machine = random_machine(1.5, 4, 3)
    v, h = states(4, machine.weight), states(3, machine.weight)
    e = v @ machine.weight.T @ h.T + (v @ machine.visible_bias)[:, None] + h @ machine.hidden_bias
    matrix = e.softmax(1) @ e.softmax(0).T
    torch.testing.assert_close(
        transition_matrix(machine, KERNELS["block Gibbs"]), matrix, rtol=1e-12, atol=1e-15
    )
    law = e.logsumexp(1).softmax(0)
    torch.testing.assert_close(stationary(machine), law, rtol=1e-12, atol=0)


def frequencies(machine, kernel, n, seed=0, sweeps=1):
    """After sweeps from every state, n chains each: ``(states, states)`` shares; for lifted 2."""
    g = torch.Generator().manual_seed(seed)
    table = states(machine.visible_units, machine.weight)
    v = table.repeat_interleave(n, 0)
    memory = kernel.begin(v, g)
    if memory is not None:  # half of the chains in each direction
        memory[:] = (
            torch.tensor([1.0, -1.0], dtype=v.dtype).repeat_interleave(n // 2).repeat(len(table))
        )
    for _ in range(sweeps):
        before = v.clone()
        moved = kernel.sweep(machine, v, g, memory)
        assert torch.equal(v, before)
        v = moved
    worth = 2.0 ** torch.arange(table.shape[1] - 1, -1, -1, dtype=v.dtype)
    index = (v @ worth).long()
    if memory is not None:
        index += len(table) * (memory < 0)
    return index.reshape(len(table), n)


@pytest.mark.parametrize("name", [name for name in KERNELS if name != "lifted, signs"])
def test_samples_follow_the_matrix(name):
    machine, kernel, n = random_machine(1.0, 4, 3, seed=5), KERNELS[name], 2000
    index = frequencies(machine, kernel, n)
    matrix = transition_matrix(machine, kernel)
    size = len(matrix)
    if size > 16:  # rows: states with direction 1, then with -1
        index = torch.cat([index[:, : n // 2], index[:, n // 2 :]])
    counts = torch.stack([torch.bincount(row, minlength=size) for row in index]).double()
    expected = matrix * counts.sum(1, keepdim=True)
    assert (counts[expected < 1e-9] == 0).all()
    often = expected > 5
    chi = ((counts - expected).square() / expected)[often].sum()
    freedom = float(often.sum() - size)
    assert abs(chi - freedom) < 5 * (2 * freedom) ** 0.5
    other = expected.roll(1, 0)  # of another state: the check can fail
    often = other > 5
    assert ((counts - other).square() / other)[often].sum() > freedom + 50 * (2 * freedom) ** 0.5


@pytest.mark.parametrize("beta", [0.4, 1.0])
def test_at_a_temperature_each_chain_has_its_own(beta):
    machine, n = random_machine(1.5, 4, 3), 4000
    base = torch.tensor([0.5, -1.0, 0.0, 2.0], dtype=torch.float64)
    betas = torch.tensor([1.0, beta], dtype=torch.float64).repeat_interleave(n)[:, None]
    law = stationary(machine.at(beta, base))
    for kernel in (KERNELS["block Gibbs"], KERNELS["pairs"], KERNELS["collapsed pairs"]):
        g = torch.Generator().manual_seed(1)
        start = torch.multinomial(law, 2 * n, replacement=True, generator=g)
        v = kernel.sweep(machine.at(betas, base), states(4, law)[start], g)[n:]
        index = (v @ torch.tensor([8.0, 4, 2, 1], dtype=v.dtype)).long()
        shares = torch.bincount(index, minlength=16) / n
        assert ((shares - law).abs() < 5 * (law * (1 - law) / n).sqrt() + 1e-9).all()


def test_float32_samples_are_zeros_and_ones_and_leave_global_random_state():
    rbm, g = RBM(7, 3), torch.Generator().manual_seed(0)
    machine = sampling.Machine(rbm.weight.detach(), rbm.visible_bias.detach(), torch.zeros(3))
    before = torch.get_rng_state()
    for kernel in KERNELS.values():
        if getattr(kernel, "signs", None) is not None:
            continue
        v = torch.ones(5, 7)
        moved = kernel.sweep(machine, v, g, kernel.begin(v, g))
        assert moved.dtype == torch.float32
        assert ((moved == 0) | (moved == 1)).all()
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: sampling.SuwaTodo(0), r"block must be a whole number from 1 on, got 0"),
        (lambda: sampling.CollapsedGibbs(0), r"block must be a whole number from 1 on"),
        (lambda: sampling.RandomFlips(0), r"steps must be a whole number from 1 on, got 0"),
        (lambda: sampling.Lifted(torch.zeros(2)), r"signs must be 1 or -1, got \[0\.0, 0\.0\]"),
        (
            lambda: transition_matrix(RBM(30, 2), sampling.BlockGibbs()),
            r"model must have at most 12 units on a side, got 30",
        ),
        (
            lambda: stationary(torch.nn.Linear(2, 2)),
            r"model must have the tensors weight \(hidden, visible\).*, got Linear",
        ),
        (
            lambda: stationary(sampling.Machine(torch.ones(3, 2), torch.ones(3), torch.ones(2))),
            r"visible_bias must have shape \(2,\), got \(3,\); .* pass W\.T",
        ),
        (
            lambda: stationary(
                sampling.Machine(torch.full((3, 2), torch.nan), torch.ones(2), torch.ones(3))
            ),
            r"weight must be finite, got 6 values that are NaN or infinite",
        ),
    ],
)
def test_wrong_use_is_one_sentence(call, match):
    with pytest.raises(UsageError, match=match):
        call()
