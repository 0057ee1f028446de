"""Runs of chains: what they begin from, go on with and record."""

import pytest
import torch

from nakami import sampling
from nakami.results import UsageError
from nakami.sampling import Chains, ParallelTempering, states, stationary
from nakami.zoo.rbm import RBM
from small_machines import random_machine


def test_long_chains_reach_the_law():
    machine = random_machine(1.0, 4, 3, seed=5)
    law = stationary(machine)
    chains = Chains(machine, sampling.SuwaTodo(2), start=4000)
    v = chains.sweep(30)
    shares = torch.bincount((v @ law.new_tensor([8.0, 4, 2, 1])).long(), minlength=16) / 4000
    margin = 5 * (law * (1 - law) / 4000).sqrt() + 1e-9
    assert ((shares - law).abs() < margin).all()
    assert not ((shares - 1 / 16).abs() < margin).all()  # the start's law: the check can fail


def test_records_are_the_states_one_by_one():
    def lit(v):
        return torch.stack([v.sum(1), v[:, 0]], 1)

    one, other = (Chains(random_machine(0.7), start=3) for _ in range(2))
    found = one.record(lit, 4)
    assert found.shape == (4, 3, 2)
    assert torch.equal(found, torch.stack([lit(other.sweep()) for _ in range(4)]))
    tempering = ParallelTempering(random_machine(0.7), chains=3)
    assert tempering.record(lit, 2).shape == (2, 3, 2)


def test_a_run_goes_on_and_sees_a_machine_that_changes():
    rbm, start = RBM(4, 3), states(4, torch.zeros(())).float()
    chains = Chains(rbm, sampling.Lifted(), start=start)
    again = Chains(rbm, sampling.Lifted(), start=1)
    again.load_state_dict({k: x.clone() for k, x in chains.state_dict().items()})
    again._generator.set_state(chains._generator.get_state())
    assert torch.equal(chains.sweep(3), again.sweep(3))
    with torch.no_grad():
        rbm.visible_bias.fill_(50.0)
    assert Chains(rbm, start=5).sweep(1).min() == 1
    assert not chains.sweep(1).requires_grad


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: Chains(RBM(2, 2), start=0), r"start must be a whole number from 1 on, got 0"),
        (
            lambda: Chains(RBM(2, 2), start=torch.full((1, 2), 0.5)),
            r"start must be zeros and ones, got 0\.5 to 0\.5",
        ),
        (lambda: Chains(RBM(2, 2)).sweep(0), r"count must be a whole number from 1 on, got 0"),
        (lambda: Chains(RBM(2, 2)).record(len, 0), r"sweeps must be a whole number from 1 on"),
    ],
)
def test_wrong_use_is_one_sentence(call, match):
    with pytest.raises(UsageError, match=match):
        call()


def test_a_generator_elsewhere_is_refused():
    class Elsewhere:
        device = torch.device("cuda")

    with pytest.raises(UsageError, match=r"generator must be on the device of the model, got cuda"):
        Chains(RBM(2, 2), generator=Elsewhere())
