"""Exact figures of small machines against reference values, and against long sums."""

import pytest
import torch

from machines import expected_cd, tiny
from machines import states as digits
from nakami import sampling
from nakami.results import UsageError
from nakami.sampling import (
    exact_autocorrelation_time,
    pair_statistics,
    stationary,
    transition_matrix,
)
from nakami.training import ContrastiveDivergence
from nakami.zoo.rbm import RBM
from small_machines import LOG_PARTITIONS, random_machine

# mean autocorrelation time over v_i p(h_j | v), in sweeps; computed independently
TIMES = {
    "block Gibbs": (sampling.BlockGibbs(), (1.21, 2.33, 135)),
    "Metropolised": (sampling.MetropolisedGibbs(), (0.45, 1.38, 114)),
    "pairs": (sampling.SuwaTodo(2), (0.65, 1.54, 116)),
    "triples": (sampling.SuwaTodo(3), (0.81, 1.66, 117)),
    "collapsed Gibbs": (sampling.CollapsedGibbs(), (1.02, 1.29, 22.9)),
    "collapsed Metropolis": (sampling.CollapsedSuwaTodo(1), (0.37, 0.53, 17.2)),
    "collapsed pairs": (sampling.CollapsedSuwaTodo(2), (0.49, 0.70, 15.8)),
    "collapsed triples": (sampling.CollapsedSuwaTodo(3), (0.66, 0.87, 16.3)),
    "random flips": (sampling.RandomFlips(), (1.32, 1.68, 34.4)),
}


@pytest.mark.parametrize("name", TIMES)
def test_autocorrelation_times_are_the_reference_values(name):
    kernel, wanted = TIMES[name]
    for scale, reference in zip((0.7, 1.5, 3.0), wanted, strict=True):
        machine = random_machine(scale)
        found = exact_autocorrelation_time(
            transition_matrix(machine, kernel), stationary(machine), pair_statistics(machine)
        )
        last = 1.0 if reference > 100 else 0.1 if reference > 10 else 0.01
        assert float(found.mean()) == pytest.approx(reference, abs=0.6 * last)


@pytest.mark.parametrize(
    ("scale", "mean", "total", "flips"),
    [(0.7, 1.94, 0.36, 0.99), (1.5, 2.64, 0.90, 1.39), (3.0, 58.7, None, None)],
)
def test_lifting_speeds_up_its_own_sum_alone(scale, mean, total, flips):
    """Looked at after every step, in units of as many steps as there are units."""
    machine = random_machine(scale)
    law, pairs = stationary(machine), pair_statistics(machine)
    matrix = transition_matrix(machine, sampling.Lifted(steps=1))
    found = exact_autocorrelation_time(matrix, law, pairs).mean() / 8
    assert float(found) == pytest.approx(mean, rel=0.003)
    if total is None:
        return
    lit = sampling.states(8, law).sum(1)
    assert float(exact_autocorrelation_time(matrix, law, lit)) / 8 == pytest.approx(
        total, abs=0.006
    )
    plain = transition_matrix(machine, sampling.RandomFlips(1))
    found = exact_autocorrelation_time(plain, law, lit) / 8
    assert float(found) == pytest.approx(flips, abs=0.006)


def test_autocorrelation_is_the_sum_over_lags():
    machine = random_machine(0.7)
    law = stationary(machine)
    f = sampling.states(8, law).sum(1)
    for kernel in (sampling.SuwaTodo(2), sampling.Lifted()):
        matrix = transition_matrix(machine, kernel)
        double = law if len(matrix) == len(law) else torch.cat([law, law]) / 2
        g = f if len(matrix) == len(law) else torch.cat([f, f])
        centred = g - double @ g
        variance, ahead, total = double @ centred**2, centred, 1.0
        for _ in range(400):
            ahead = matrix @ ahead
            total = total + 2 * (double @ (centred * ahead)) / variance
        found = exact_autocorrelation_time(matrix, law, f)
        assert float(found) == pytest.approx(float(total), rel=1e-9)
        assert float(found) != pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("seed", range(3))
def test_breaking_detailed_balance_never_mixes_slower_in_continuous_time(seed):
    """Ichiki, Ohzeki, Phys. Rev. E 88, 020101 (2013), for a generator and its symmetric part."""
    g = torch.Generator().manual_seed(seed)
    law = torch.rand(30, generator=g, dtype=torch.float64)
    law /= law.sum()
    flow = torch.rand(30, 30, generator=g, dtype=torch.float64) / 900
    flow = torch.triu(flow, 1) + torch.triu(flow, 1).T
    turned = torch.zeros_like(flow)
    for _ in range(40):  # a cycle of three states takes from one way and gives to the other
        i, j, k = torch.randperm(30, generator=g)[:3].tolist()
        for x, y in ((i, j), (j, k), (k, i)):
            turned[x, y] += 2e-4
            turned[y, x] -= 2e-4
    f = torch.randn(30, 8, generator=g, dtype=torch.float64)
    f -= law @ f
    gaps, variances = [], []
    for flux in (flow, flow + turned, 0.99 * flow + turned):  # the last: the check can fail
        rates = flux / law[:, None]
        rates -= rates.sum(1).diag()
        values = torch.linalg.eigvals(rates).real.sort(descending=True).values
        gaps.append(float(-values[1]))
        solved = torch.linalg.lstsq(-rates + law, f).solution
        variances.append(2 * law @ (f * solved))
    assert gaps[1] > gaps[0]
    assert (variances[1] < variances[0]).all()
    assert gaps[2] < gaps[0]
    assert (variances[2] > variances[0]).all()


@pytest.mark.parametrize("scale", [1.5, 3.0])
def test_log_partition_is_the_reference_value(scale):
    found = sampling.log_partition(random_machine(scale))
    assert found == pytest.approx(LOG_PARTITIONS[scale], abs=5e-5)


def test_log_partition_sums_the_smaller_side():
    wide = random_machine(0.3, 40, 4, seed=0)
    w, a, b = wide.weight, wide.visible_bias, wide.hidden_bias
    h = sampling.states(4, w)
    wanted = (h @ b + torch.nn.functional.softplus(h @ w + a).sum(1)).logsumexp(0)
    assert sampling.log_partition(wide) == pytest.approx(float(wanted), rel=1e-14)
    turned = sampling.Machine(w.T, b, a)
    assert sampling.log_partition(turned) == pytest.approx(float(wanted), rel=1e-13)
    base = torch.zeros_like(a)
    cold = sampling.log_partition(wide.at(0.0, base))
    assert cold == pytest.approx(44 * 0.693147180559945, rel=1e-14)


@pytest.mark.parametrize("k", [1, 3])
def test_bias_of_contrastive_divergence_is_what_its_mean_lacks(k):
    rbm, v = tiny(), digits(4)[[3, 9, 14]]
    machine = sampling.Machine(*(p.detach() for p in rbm.parameters()))
    pair = pair_statistics(machine)
    law = torch.bincount(torch.tensor([3, 9, 14]), minlength=16).double() / 3
    gradient = ((law - stationary(machine)) @ pair).reshape(3, 4)
    found = sampling.divergence_bias(rbm, v, k=k)
    torch.testing.assert_close(gradient + found, expected_cd(rbm, v, k), rtol=1e-10, atol=1e-13)
    assert found.abs().max() > 1e-4


def test_machines_of_the_zoo_and_after_training_are_taken_and_not_changed():
    rbm = RBM(4, 3, dtype=torch.float64)
    method = ContrastiveDivergence(rbm)
    method.step([digits(4)])
    before = [p.detach().clone() for p in rbm.parameters()]
    value = sampling.log_partition(rbm)
    wanted = torch.logsumexp(-rbm.free_energy(digits(4)), 0).item()
    assert value == pytest.approx(wanted, rel=1e-13)
    for p, q in zip(rbm.parameters(), before, strict=True):
        assert torch.equal(p, q)
        assert p.requires_grad


def test_a_machine_too_large_names_the_way_out():
    with pytest.raises(UsageError, match=r"side of at most 25 units, got 30; take sampling\.ann"):
        sampling.log_partition(RBM(40, 30))


def test_kernels_of_others_have_no_matrix():
    class Stay(sampling.Kernel):
        def sweep(self, machine, v, generator, memory=None):
            return v

    with pytest.raises(TypeError, match=r"kernel Stay has no transition matrix; pass one"):
        transition_matrix(random_machine(0.7), Stay())
