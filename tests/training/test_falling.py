"""Rates that fall to 0, beside the same rates set by hand."""

import pytest
import torch
from torch.testing import assert_close

from nakami.results import UsageError
from nakami.training import ContrastiveDivergence, Falling, Supervised, TopDown, fit
from nakami.zoo.dbn import DBN
from nakami.zoo.rbm import RBM

X = (torch.rand(20, 4, generator=torch.Generator().manual_seed(0)) < 0.5).float()


def test_a_machine_learns_at_the_rate_of_each_epoch():
    fallen, by_hand = RBM(4, 3), RBM(4, 3)
    fit(Falling(ContrastiveDivergence(fallen, rate=0.4), 4), (X,), epochs=4, batch=5)
    method, gen = ContrastiveDivergence(by_hand), torch.Generator().manual_seed(0)
    method.start((X,), gen)
    for epoch, rate in enumerate((0.4, 0.3, 0.2, 0.1)):
        method.rate = rate
        method.epoch(epoch)
        for rows in torch.randperm(20, generator=gen).split(5):
            method.step((X[rows],))
    for p, q in zip(fallen.parameters(), by_hand.parameters(), strict=True):
        assert_close(p, q, rtol=1e-6, atol=1e-7)


def test_optimizers_and_machines_within_a_method_fall_too():
    net = torch.nn.Linear(4, 2)
    descent = torch.optim.SGD([{"params": [net.weight], "lr": 0.2}, {"params": [net.bias]}], lr=0.1)
    method = Falling(Supervised(net, descent), 10)
    for index, share in ((0, 1.0), (4, 0.6), (9, 0.1), (12, 0.0)):
        method.epoch(index)
        assert [g["lr"] for g in descent.param_groups] == pytest.approx([0.2 * share, 0.1 * share])
    stack = TopDown(DBN((4, 3, 2)), lambda rbm: ContrastiveDivergence(rbm, rate=0.3))
    Falling(stack, 2).epoch(1)
    assert [learner.rate for learner in stack._learners] == pytest.approx([0.15, 0.15])


def test_wrong_epochs():
    with pytest.raises(UsageError, match="epochs must be a whole number from 0 on, got -1"):
        Falling(ContrastiveDivergence(RBM(4, 3)), -1)
