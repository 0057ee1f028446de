"""Parallel tempering against enumeration, and its temperatures."""

import pytest
import torch

from nakami import sampling
from nakami.results import UsageError
from nakami.sampling import ParallelTempering, stationary
from nakami.sampling._tempering import equal_rejection
from small_machines import random_machine

WORTH = 2.0 ** torch.arange(7, -1, -1, dtype=torch.float64)


def distance(machine, chains, sweeps, tempering):
    """Total variation between the states of the run and the law."""
    counts = torch.zeros(256, dtype=torch.float64)
    for _ in range(sweeps):
        v = tempering.sweep()
        counts += torch.bincount((v @ WORTH).long(), minlength=256)
    return float((counts / counts.sum() - stationary(machine)).abs().sum() / 2)


def test_reaches_the_law_where_gibbs_sampling_is_caught():
    machine, g = random_machine(3.0), torch.Generator().manual_seed(0)
    tempering = ParallelTempering(machine, chains=100, generator=g)
    tempering.sweep(50)
    assert distance(machine, 100, 200, tempering) < 0.05
    v = torch.zeros(100, 8, dtype=torch.float64)
    counts = torch.zeros(256, dtype=torch.float64)
    for _ in range(250):
        v = sampling.BlockGibbs().sweep(machine, v, g)
        counts += torch.bincount((v @ WORTH).long(), minlength=256)
    assert (counts / counts.sum() - stationary(machine)).abs().sum() / 2 > 0.1


@pytest.mark.parametrize(
    "kernel", [sampling.SuwaTodo(2), sampling.CollapsedSuwaTodo(2), sampling.Lifted()]
)
def test_any_kernel_and_base_keep_every_temperature(kernel):
    machine = random_machine(1.0, 4, 3, seed=5)
    base = torch.tensor([0.5, -1.0, 0.0, 2.0], dtype=torch.float64)
    n = 1500
    tempering = ParallelTempering(
        machine, kernel=kernel, temperatures=3, chains=n, base=base,
        generator=torch.Generator().manual_seed(0),
    )  # fmt: skip
    tempering.sweep(12)
    for beta, v in zip(tempering.betas.tolist(), tempering.states, strict=True):
        law = stationary(machine.at(beta, base))
        shares = torch.bincount((v @ WORTH[4:]).long(), minlength=16) / n
        assert ((shares - law).abs() < 5 * (law * (1 - law) / n).sqrt() + 1e-9).all()
        assert (shares - law.flip(0)).abs().max() > 0.05  # the check can fail


def test_exchanges_alone_keep_the_laws():
    """Exact states at each temperature stay so; the acceptance is that of enumeration."""
    machine, g, n = random_machine(1.5, 4, 3), torch.Generator().manual_seed(3), 8000
    tempering = ParallelTempering(machine, temperatures=2, chains=n, generator=g)
    laws = [stationary(machine.at(beta)) for beta in (0.0, 1.0)]
    table = sampling.states(4, laws[0])
    for i, law in enumerate(laws):
        tempering.states[i] = table[torch.multinomial(law, n, replacement=True, generator=g)]
    tempering._exchange(0)
    log_p = [machine.at(beta).log_weight(table) for beta in (0.0, 1.0)]
    ratio = log_p[0] - log_p[1]  # moves of the machine's state to the base
    chance = (ratio[None, :] - ratio[:, None]).clamp(max=0).exp()  # rows base, columns machine
    wanted = laws[0] @ chance @ laws[1]
    assert float(tempering.swap_rates) == pytest.approx(float(wanted), abs=5 * 0.5 / n**0.5)
    for v, law in zip(tempering.states, laws, strict=True):
        shares = torch.bincount((v @ WORTH[4:]).long(), minlength=16) / n
        assert ((shares - law).abs() < 5 * (law * (1 - law) / n).sqrt() + 1e-9).all()


def test_burn_in_makes_pairs_reject_alike_and_then_temperatures_stay():
    machine = random_machine(3.0)
    tempering = ParallelTempering(machine, temperatures=6, chains=50)
    tempering.sweep(40)
    before = tempering.swap_rates
    betas = tempering.burn_in(300)
    tempering.sweep(100)
    after = tempering.swap_rates
    assert torch.equal(tempering.betas, betas)
    assert betas[0] == 0
    assert betas[-1] == 1
    assert (betas.diff() > 0).all()
    assert float(after.max() - after.min()) < 0.4 * float(before.max() - before.min())


def test_equal_rejection_is_a_fixed_point_of_equal_rates():
    betas = torch.tensor([0.0, 0.2, 0.5, 1.0], dtype=torch.float64)
    torch.testing.assert_close(equal_rejection(betas, torch.full((3,), 0.4).double()), betas)
    found = equal_rejection(betas, torch.tensor([0.9, 0.9, 0.1], dtype=torch.float64))
    assert found[1] > 0.5  # most temperatures go to where most is rejected


def test_a_run_goes_on_to_the_same_bits():
    machine = random_machine(1.5)
    runs = []
    for split in (False, True):
        g = torch.Generator().manual_seed(0)
        tempering = ParallelTempering(machine, kernel=sampling.Lifted(), chains=3, generator=g)
        tempering.sweep(3)
        if split:
            state = tempering.state_dict()
            tempering = ParallelTempering(
                machine, kernel=sampling.Lifted(), chains=3, generator=torch.Generator()
            )
            tempering.load_state_dict(state)
            tempering._generator = g
        runs.append(tempering.sweep(3))
    assert torch.equal(*runs)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"temperatures": 1}, r"temperatures must be at least 2 replicas, got 1"),
        ({"temperatures": torch.tensor([0.0, 0.9])}, r"temperatures must rise from 0 to 1"),
        ({"chains": 0}, r"chains must be a whole number from 1 on, got 0"),
        ({"base": torch.ones(2)}, r"base must be finite, of shape \(8,\), got \(2,\)"),
    ],
)
def test_wrong_use_is_one_sentence(options, match):
    with pytest.raises(UsageError, match=match):
        ParallelTempering(random_machine(0.7), **options)


def test_a_short_burn_in_is_refused():
    tempering = ParallelTempering(random_machine(0.7), chains=2)
    with pytest.raises(UsageError, match=r"sweeps must be a whole number from 30 on, got 10"):
        tempering.burn_in(10)
    with pytest.raises(UsageError, match=r"count must be a whole number from 1 on, got 0"):
        tempering.sweep(0)
