"""A curriculum's weights, entropy and number of updates, counted by a method that only listens."""

from itertools import chain, pairwise

import pytest
import torch
from torch import nn

from nakami.results import UsageError
from nakami.training import Curriculum, Method, Supervised, Training, fit

N = 40
DIFFICULTY = torch.randperm(N, generator=torch.Generator().manual_seed(5)).float()


class Listening(Method):
    """Keeps the rows it is given."""

    def __init__(self):
        self.module, self.batches, self.epochs = nn.Linear(1, 1), [], []

    def epoch(self, index):
        self.epochs.append(len(self.batches))

    def step(self, batch, descend):
        self.batches.append(batch[0].long().tolist())
        return torch.zeros(())


def listened(order=None, epochs=6, **options):
    heard = Listening()
    method = Curriculum(heard, DIFFICULTY, 4, order=order, **options) if order else heard
    fit(method, (torch.arange(N),), epochs=epochs, batch=12)
    return heard, method


def by_epoch(heard):
    ends = [*heard.epochs[1:], len(heard.batches)]
    return [list(chain(*heard.batches[a:b])) for a, b in zip(heard.epochs, ends, strict=True)]


@pytest.mark.parametrize("order", ["easy", "hard", "random"])
def test_there_are_as_many_updates_of_the_same_sizes_as_without(order):
    plain, found = (listened(o)[0] for o in (None, order))
    assert list(map(len, found.batches)) == list(map(len, plain.batches))
    assert found.epochs == plain.epochs


@pytest.mark.parametrize("order", ["easy", "hard", "random"])
def test_weights_never_fall_entropy_grows_and_all_are_in_at_the_end(order):
    _, method = listened(order, first=0.25)
    steps = [method.weights(i / 10) for i in range(11)]
    assert int(steps[0].sum()) == 10
    assert steps[-1].eq(1).all()
    entropies = []
    for one, other in pairwise(steps):
        assert (other >= one).all()
    for weights in steps:
        q = (weights / weights.sum())[weights > 0]
        entropies.append(float(-(q * q.log()).sum()))
    assert all(b > a for a, b in pairwise(entropies))


def test_easy_ones_come_in_first_each_as_often_as_any_other():
    epochs = by_epoch(listened("easy", first=0.25)[0])
    order = DIFFICULTY.argsort().tolist()
    for index, rows in enumerate(epochs):
        count = round(N * (0.25 + 0.75 * min(1, index / 4)))
        times = torch.bincount(torch.tensor(rows), minlength=N)
        assert set(rows) == set(order[:count])
        inside = times[order[:count]]
        assert int(inside.max() - inside.min()) <= 1
    assert sorted(epochs[-1]) == list(range(N))  # a usual epoch


def test_hard_ones_first_is_the_other_way_round_and_random_is_neither():
    hard, random = (by_epoch(listened(o, first=0.25)[0])[0] for o in ("hard", "random"))
    order = DIFFICULTY.argsort().tolist()
    assert set(hard) == set(order[-10:])
    assert len(set(random)) == 10
    assert set(random) not in (set(order[:10]), set(order[-10:]))


def trained(folder, stop=None):
    x = torch.linspace(-1, 1, N)[:, None]
    net = nn.Linear(1, 2)
    with torch.no_grad():
        net.weight.fill_(0.1)
        net.bias.zero_()
    training = Training(folder, {"seed": 0}, {"all": 8})
    method = Supervised(net, torch.optim.SGD(net.parameters(), 0.1))
    wrapped = Curriculum(method, x[:, 0].abs(), 5, order="random")
    if stop:
        seen, count = wrapped.epoch, iter(range(99))

        def epoch(index):
            if next(count) == stop:
                raise KeyboardInterrupt("stopped")
            seen(index)

        wrapped.epoch = epoch
    training.run("all", wrapped, lambda: (x, (x[:, 0] > 0).long()), batch=7)
    return net.weight.detach().clone()


def test_a_training_that_was_stopped_ends_in_the_same_bits(tmp_path, monkeypatch):
    monkeypatch.setattr("nakami.training._training.SECONDS", 0.0)
    wanted = trained(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt, match="stopped"):
        trained(tmp_path / "cut", stop=4)
    assert torch.equal(trained(tmp_path / "cut"), wanted)


def test_wrong_arguments_are_refused():
    method = Supervised(nn.Linear(1, 2), torch.optim.SGD(nn.Linear(1, 2).parameters(), 0.1))
    with pytest.raises(UsageError, match="first must lie between 0 and 1"):
        Curriculum(method, DIFFICULTY, 4, first=0.0)
    with pytest.raises(UsageError, match="difficulty must be finite"):
        Curriculum(method, torch.tensor([1.0, float("nan")]), 4)
    with pytest.raises(UsageError, match="order must be"):
        Curriculum(method, DIFFICULTY, 4, order="simple")
    short = Curriculum(Listening(), DIFFICULTY[:5], 4)
    with pytest.raises(UsageError, match="difficulty must have a number for each of the 40 rows"):
        fit(short, (torch.arange(N),), epochs=1)
