"""Whether there is something to learn: gradients of batches against those written out."""

import copy
import math

import pytest
import torch
from torch import nn

import nakami
from nakami.geometry import AdviceNote
from nakami.geometry.rate._signal import Signal, signal
from nakami.operators import LiveLoss, View


def batches(count, size, shuffled=False, seed=0):
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(count, size, 10, generator=g)
    y = x[..., :4].argmax(-1)
    order = torch.randperm(count * size, generator=g)
    return list(zip(x, y.flatten()[order].reshape(count, size) if shuffled else y, strict=True))


def network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(10, 16), nn.Tanh(), nn.Linear(16, 4))


def read(model, data, loss="cross_entropy", most=16, known=None):
    live = LiveLoss(View(model), data, loss)
    with torch.no_grad():
        value = float(live(live.copy(), 0))
    return signal(live, 0, most, value if known is None else known)


def statistic(rows):
    """The largest of the weight matrices, by two loops."""
    found = []
    for parts in zip(*rows, strict=True):
        if parts[0].ndim > 1:
            pairs = [
                float((a.double() * b.double()).sum())
                for i, a in enumerate(parts)
                for b in parts[i + 1 :]
            ]
            found.append(sum(pairs) / math.sqrt(sum(p * p for p in pairs)))
    return max(found)


CENTRED = {
    "cross_entropy": lambda y: nn.functional.one_hot(y, 4).double(),
    "mse": lambda y: y.double(),
    "bce_with_logits": lambda y: y.double(),
}


@pytest.mark.parametrize("loss", CENTRED)
@pytest.mark.parametrize("parts", [10, 5, 1])
def test_the_statistic_is_that_of_gradients_at_the_best_constant_of_each_group(loss, parts):
    """Their slope by the outputs is the mean of the targets less the targets.

    Fewer than ten batches are cut: five into halves, one of 32 into four.
    """
    model, data = network(), batches(parts, 32)
    if loss != "cross_entropy":
        data = [(x, nn.functional.one_hot(y, 4).float()) for x, y in data]
    rows, double = [], copy.deepcopy(model).double()
    cut = {10: 32, 5: 16, 1: 8}[parts]
    groups = [pair for x, y in data for pair in zip(x.split(cut), y.split(cut), strict=True)]
    for x, y in groups:
        t = CENTRED[loss](y)
        z = double(x.double())
        rows.append(torch.autograd.grad((z * (t.mean(0) - t)).sum(), list(double.parameters())))
    before = [p.clone() for p in model.parameters()]
    found = read(model, data, loss)
    assert found.statistic == pytest.approx(statistic(rows), rel=1e-4)
    assert (found.groups, found.n_batches, found.cost) == (len(groups), parts, float(parts))
    assert found.of_constant
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    assert found.seen == min(3, 0.85 * math.sqrt(len(groups) * (len(groups) - 1) / 2))


def test_a_network_that_knows_something_is_read_by_the_gradients_of_its_loss():
    model, data = network(), batches(16, 32)
    rows = [
        torch.autograd.grad(nn.functional.cross_entropy(model(x), y), list(model.parameters()))
        for x, y in data
    ]
    found = read(model, data, known=0.1)
    assert found.statistic == pytest.approx(statistic(rows), rel=1e-4)
    assert not found.of_constant
    alike = [data[0]] * 16
    same = read(model, alike, known=0.1)
    assert same.statistic == pytest.approx(math.sqrt(16 * 15 / 2))  # the most that it can be


def test_shuffled_targets_are_told_from_true_ones():
    """Over draws the statistic has a mean near 0 where there is nothing, and far from it else."""
    none = [read(network(s), batches(8, 32, True, s)).statistic for s in range(25)]
    some = [read(network(s), batches(8, 32, False, s)).statistic for s in range(25)]
    assert abs(sum(none) / 25) < 1.2  # the larger of two about normal ones: 0.56
    assert sum(value >= 3 for value in none) <= 1
    assert sum(value >= 3 for value in some) >= 24
    assert Signal(2.9, 16, 16, 16.0, True).note.kind is AdviceNote.NO_LINK
    assert Signal(2.9, 16, 16, 16.0, False).note.kind is AdviceNote.SETTLED
    assert Signal(3.1, 16, 16, 16.0, True).note is None
    assert Signal(0, 4, 4, 4.0, True).seen == pytest.approx(0.85 * math.sqrt(6))


def test_small_batches_are_joined_and_too_few_say_nothing():
    found = read(network(), batches(40, 2))
    assert (found.groups, found.n_batches, found.cost) == (4, 16, 16.0)  # of four batches
    assert read(network(), batches(40, 2), most=15) is None
    assert read(network(), batches(3, 8)) is None
    assert read(network(), batches(3, 32)).groups == 12
    assert read(network(), batches(3, 32), most=0.9) is None


class Fixed(nn.Module):
    """A network that takes batches of 32 alone."""

    def __init__(self):
        super().__init__()
        self.inner = network()

    def forward(self, x):
        return self.inner(x.reshape(32, 10))


def test_a_model_of_one_batch_size_is_read_by_whole_batches():
    found = read(Fixed(), batches(5, 32))
    assert (found.groups, found.n_batches) == (5, 5)
    assert read(Fixed(), batches(3, 32)) is None
    advice = nakami.learning_rate(Fixed(), batches(20, 32), "cross_entropy", "adam", steps=200)
    alone = nakami.learning_rate(network(), batches(20, 32), "cross_entropy", "adam", steps=200)
    assert advice.advised == alone.advised
    assert advice.cost == alone.cost


def test_outputs_with_a_row_for_each_position_are_counted_as_they_are():
    """Targets of the same rows: whole batches, since targets cannot be cut beside examples."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Embedding(7, 8), nn.Linear(8, 7), nn.Flatten(0, 1))
    ids = torch.randint(7, (5, 4, 6))
    data = [(x, ((x + 1) % 7).flatten()) for x in ids]
    live = LiveLoss(View(model), data, "cross_entropy")
    with torch.no_grad():
        live(live.copy(), 0)
    assert live.samples(0) == 24
    found = signal(live, 0, 5.0)
    assert found.groups == 5
    p = torch.bincount(torch.cat([y for _, y in data])).double() / 120
    assert live.constant() == pytest.approx(float(torch.special.entr(p).sum()), rel=1e-5)


def test_dead_networks_and_losses_of_the_model_itself():
    dead = nn.Sequential(nn.Linear(10, 16), nn.ReLU(), nn.Linear(16, 4))
    with torch.no_grad():
        dead[0].bias.fill_(-100)
    assert read(dead, batches(8, 32)).statistic == 0

    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = network()

        def forward(self, x, labels):
            z = self.inner(x)
            return {"loss": nn.functional.cross_entropy(z, labels), "logits": z}

    named = [{"x": x, "labels": y} for x, y in batches(8, 32)]
    found = read(Own(), named, None)
    assert not found.of_constant  # no constant output is known
    assert found.statistic > 3
    advice = nakami.learning_rate(Own(), named, None, "adam", steps=1500)
    alone = nakami.learning_rate(network(), batches(8, 32), "cross_entropy", "adam", steps=1500)
    assert advice.advised == pytest.approx(alone.advised)
    assert (advice.n_samples, advice.constant_loss) == (8 * 32, None)
    assert nakami.tune(Own(), named, None, steps=1500).noise.value > 0


def test_the_note_says_how_many_batches_and_what_would_be_seen():
    model, data = network(), batches(20, 32, shuffled=True)
    found = nakami.learning_rate(model, data, "cross_entropy", "adam", steps=1500)
    (note,) = found.notes
    assert note.kind is AdviceNote.NO_LINK
    assert "gradients of 16 batches show no link between inputs and targets" in note.reason
    assert "from 3.0 on they would" in note.reason
