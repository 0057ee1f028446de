"""Messages between agents: who speaks, how noisy, and that isolated agents learn as alone."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from nakami.results import UsageError
from nakami.training import Culture, fit

CLASSES = 3


class Says(nn.Module):
    """Names one class, whatever it is asked."""

    def __init__(self, name):
        super().__init__()
        self.bias = nn.Parameter(F.one_hot(torch.tensor(name), CLASSES).float())

    def forward(self, x):
        return self.bias.expand(len(x), -1) + 0 * x[:, :1]


def sgd(parameters):
    return torch.optim.SGD(parameters, 0.1)


def examples(n=6):
    gen = torch.Generator().manual_seed(n)
    return torch.randn(n, 2, generator=gen), torch.randint(CLASSES, (n,), generator=gen)


def talking(noise, seed=0):
    made = Culture([Says(i) for i in range(3)], [examples()] * 3, sgd, noise=noise)
    made.start((), torch.Generator().manual_seed(seed))
    return made


def test_each_hears_another_and_all_others_in_turn():
    method, heard = talking(0.0), [set(), set(), set()]
    for _ in range(60):
        for i, labels in enumerate(method.heard(torch.zeros(4, 2))):
            assert len(set(labels.tolist())) == 1
            heard[i].add(int(labels[0]))
    assert heard == [{1, 2}, {0, 2}, {0, 1}]


def test_noise_redraws_labels_uniformly():
    n, noise = 6000, 0.6
    labels = talking(noise).heard(torch.zeros(n, 2))[0]
    said = int(labels.mode().values)
    share = float((labels == said).double().mean())
    wanted = 1 - noise + noise / CLASSES
    assert share == pytest.approx(wanted, abs=4 * (wanted * (1 - wanted) / n) ** 0.5)
    blind = torch.bincount(talking(1.0).heard(torch.zeros(n, 2))[0]).double() / n
    assert blind == pytest.approx(torch.full((3,), 1 / 3).double(), abs=0.03)


def agents():
    made = []
    for seed in range(3):
        net = nn.Linear(2, CLASSES)
        with torch.no_grad():
            net.weight.normal_(generator=torch.Generator().manual_seed(seed))
            net.bias.zero_()
        made.append(net)
    return made


def test_without_weight_agents_learn_as_alone():
    nets, alone = agents(), agents()
    own = [examples(n) for n in (5, 6, 7)]
    pool = torch.zeros(20, 2)
    fit(Culture(nets, own, sgd, weight=0.0), (pool,), epochs=2, batch=5)
    for net, (x, y) in zip(alone, own, strict=True):
        optimizer = sgd(net.parameters())
        for _ in range(8):
            optimizer.zero_grad()
            F.cross_entropy(net(x), y).backward()
            optimizer.step()
    for net, other in zip(nets, alone, strict=True):
        assert torch.equal(net.weight, other.weight)


def test_one_round_is_one_step_on_own_and_heard_labels():
    nets, others = agents()[:2], agents()[:2]
    own, pool = [examples(5), examples(6)], examples(9)[0]
    fit(Culture(nets, own, sgd, weight=0.5), (pool,), epochs=1, batch=9)
    spoken = [other(pool).argmax(1) for other in reversed(others)]  # before any step
    for net, other, (x, y), said in zip(nets, others, own, spoken, strict=True):
        optimizer = sgd(other.parameters())
        (F.cross_entropy(other(x), y) + 0.5 * F.cross_entropy(other(pool), said)).backward()
        optimizer.step()
        torch.testing.assert_close(net.weight, other.weight)


def test_silent_rounds_have_no_messages():
    one, other = agents(), agents()
    own, pool = [examples(n) for n in (5, 6, 7)], examples(10)[0]
    fit(Culture(one, own, sgd, silent=2), (pool,), epochs=1, batch=5)
    fit(Culture(other, own, sgd, weight=0.0), (pool,), epochs=1, batch=5)
    assert all(torch.equal(a.weight, b.weight) for a, b in zip(one, other, strict=True))
    fit(talked := Culture(one, own, sgd, silent=1), (pool,), epochs=1, batch=5)
    fit(Culture(other, own, sgd, weight=0.0), (pool,), epochs=1, batch=5)
    assert not torch.equal(one[0].weight, other[0].weight)
    assert talked.state_dict() == {"rounds": 2}


def test_wrong_arguments_are_refused():
    with pytest.raises(UsageError, match="agents must be two or more"):
        Culture(agents()[:1], [examples()], sgd)
    with pytest.raises(UsageError, match="noise must be"):
        Culture(agents(), [examples()] * 3, sgd, noise=1.5)
    with pytest.raises(UsageError, match="weight must be"):
        Culture(agents(), [examples()] * 3, sgd, weight=-1.0)
