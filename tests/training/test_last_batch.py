"""A last batch of few rows weighs by its own rows, however many chains there are."""

import pytest
import torch
from torch.testing import assert_close

from machines import tiny
from nakami.sampling import Sampler
from nakami.training import ContrastiveDivergence, MeanFieldLearning
from nakami.zoo.dbm import DBM
from nakami.zoo.rbm import RBM


class Given(Sampler):
    """The same states at every update."""

    def __init__(self, states):
        self.states = states

    def begin(self, model, data, generator):
        pass

    def draw(self, batch):
        return self.states


def moved(module, method, v):
    """What one step changes, by name."""
    before = {name: p.detach().clone() for name, p in module.named_parameters()}
    method.step([v], descend)
    return {name: p.detach() - before[name] for name, p in module.named_parameters()}


def descend(loss, optimizer):
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


@pytest.mark.parametrize("rows", [1, 3, 100])
def test_statistics_of_data_and_chains_are_means_over_their_own_number(rows):
    rbm, gen = tiny(), torch.Generator().manual_seed(0)
    v, chains = (torch.randint(0, 2, (n, 4), generator=gen).to(rbm.weight) for n in (rows, 100))
    wanted = {}
    for sign, states in ((1, v), (-1, chains)):
        p = torch.sigmoid(states @ rbm.weight.detach().T + rbm.hidden_bias.detach())
        pairs = p[:, :, None] * states[:, None]
        for name, each in (("weight", pairs), ("visible_bias", states), ("hidden_bias", p)):
            wanted[name] = wanted.get(name, 0) + sign * each.mean(0)
    method = ContrastiveDivergence(rbm, rate=1.0, momentum=0.0, decay=0.0, sampler=Given(chains))
    for name, change in moved(rbm, method, v).items():
        assert_close(change, wanted[name], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("rows", [1, 3, 100])
def test_those_of_a_deep_machine_too(rows):
    machine, gen = DBM((4, 3, 2), dtype=torch.float64), torch.Generator().manual_seed(0)
    v = torch.randint(0, 2, (rows, 4), generator=gen).double()
    even = torch.randint(0, 2, (100, 6), generator=gen).double()  # layers 0 and 2
    optimizer = torch.optim.SGD(machine.parameters(), 1.0)
    method = MeanFieldLearning(machine, optimizer, sampler=Given(even))
    data = [v, *(mu.detach() for mu in machine.mean_field(v, 10))]
    odd = torch.sigmoid(even @ machine.weight.T + machine.hidden_bias).detach()
    model = [even[:, :4], odd, even[:, 4:]]
    change = moved(machine, method, v)
    for layer in range(3):
        wanted = data[layer].mean(0) - model[layer].mean(0)
        assert_close(change[f"biases.{layer}"], wanted, rtol=1e-9, atol=1e-12)
    for layer in range(2):
        wanted = data[layer + 1].T @ data[layer] / rows - model[layer + 1].T @ model[layer] / 100
        assert_close(change[f"weights.{layer}"], wanted, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("reconstruction", ["sample", "mean"])
def test_repeated_examples_weigh_alike_in_both_halves(reconstruction):
    """A machine that copies its data learns nothing from them, however often each is there."""
    rbm = RBM(6, 6, dtype=torch.float64)
    with torch.no_grad():
        rbm.weight.copy_(200 * torch.eye(6))
        rbm.visible_bias.fill_(-100)
        rbm.hidden_bias.fill_(-100)
    gen = torch.Generator().manual_seed(0)
    v = torch.randint(0, 2, (40, 6), generator=gen).double()
    v = v.repeat_interleave(1 + 9 * v[:, 0].long(), 0)  # ten times where the first is on
    assert v[:, 0].mean() > 0.85
    method = ContrastiveDivergence(
        rbm, rate=1.0, momentum=0.0, decay=0.0, reconstruction=reconstruction
    )
    for name, change in moved(rbm, method, v).items():
        assert_close(change, torch.zeros_like(change), rtol=0, atol=1e-12, msg=name)
    other = v[v[:, 0] == 0]
    method = ContrastiveDivergence(rbm, rate=1.0, momentum=0.0, decay=0.0, sampler=Given(other))
    assert moved(rbm, method, v)["visible_bias"][0] > 0.85  # by itself the data's half pulls
