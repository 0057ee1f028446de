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
    assert talked.state_dict()["rounds"] == 2


def test_agents_speak_in_evaluation_mode_and_learn_in_their_own():
    nets = [nn.Sequential(nn.BatchNorm1d(2), nn.Dropout(0.9), net) for net in agents()]
    method = Culture(nets, [examples(n) for n in (5, 6, 7)], sgd)
    method.start((), torch.Generator().manual_seed(0))
    pool, before = examples(9)[0], [p.clone() for p in method.module.state_dict().values()]
    spoken = [labels.tolist() for labels in method.heard(pool)]
    assert all(net.training for net in nets)
    assert all(map(torch.equal, method.module.state_dict().values(), before))
    said = [net.eval()(pool).argmax(1).tolist() for net in nets]
    assert all(labels in said[:i] + said[i + 1 :] for i, labels in enumerate(spoken))


def speakers(*names):
    """Agents that name one class, and examples mostly of class 0, of class 2 a single one."""
    labels = [torch.tensor([0, 0, 0, 1]), torch.tensor([0, 0, 1, 1]), torch.tensor([0, 0, 0, 2])]
    return [Says(name) for name in names], [(torch.zeros(4, 2), y) for y in labels]


def test_the_worst_on_the_examples_of_others_begins_again_and_hears_the_best_alone():
    nets, own = speakers(0, 1, 2)
    method = Culture(nets, own, lambda p: torch.optim.SGD(p, 0.1, 0.9), select=2)
    method.start((), torch.Generator().manual_seed(0))
    cpu = torch.device("cpu")
    assert method.right_of_others(cpu) == [5 / 8, 1 / 8, 0]  # not on the examples of its own
    first = nets[2].bias.detach().clone()
    fit(method, (torch.zeros(4, 2),), epochs=2, batch=4)  # two rounds of messages
    pupil, teacher = method.state_dict()["taught"].tolist()
    assert (pupil, teacher) == (-1, -1)
    assert not torch.equal(nets[2].bias, first)
    shares = method.right_of_others(cpu)
    worst, best = shares.index(min(shares)), shares.index(max(shares))
    method._selected(cpu)
    assert method.state_dict()["taught"].tolist() == [worst, best]
    assert torch.equal(nets[worst].bias, F.one_hot(torch.tensor(worst), CLASSES).float())
    others = [i for i in range(3) if i != worst]
    assert [len(method.optimizers()[i].state) for i in (worst, *others)] == [0, 1, 1]
    said = int(nets[best](torch.zeros(1, 2)).argmax())
    for _ in range(20):
        assert method.heard(torch.zeros(1, 2))[worst].tolist() == [said]


def test_selections_come_after_so_many_rounds_of_messages_and_go_on_where_they_were():
    (nets, own), pool = speakers(0, 1, 2), torch.zeros(4, 2)
    method = Culture(nets, own, sgd, silent=1, select=2)
    pairs, step = [], method.step

    def listened(batch, descend):
        found = step(batch, descend)
        pairs.append(method.state_dict()["taught"].tolist())
        return found

    method.step = listened
    fit(method, (pool,), epochs=6, batch=4)
    assert pairs[:3] == [[-1, -1]] * 3  # one silent, two of messages
    assert pairs[3][0] >= 0
    assert pairs[3] == pairs[4]
    again = Culture(speakers(0, 1, 2)[0], own, sgd, silent=1, select=2)
    again.load_state_dict(method.state_dict())
    assert again.state_dict()["taught"].tolist() == pairs[-1]


def test_without_selection_all_weights_stay_those_of_the_rounds():
    one, other = agents(), agents()
    own, pool = [examples(n) for n in (5, 6, 7)], examples(10)[0]
    fit(Culture(one, own, sgd), (pool,), epochs=2, batch=5)
    fit(Culture(other, own, sgd, select=4), (pool,), epochs=2, batch=5)  # would come in the fifth
    assert all(torch.equal(a.weight, b.weight) for a, b in zip(one, other, strict=True))


def test_wrong_arguments_are_refused():
    with pytest.raises(UsageError, match="agents must be two or more"):
        Culture(agents()[:1], [examples()], sgd)
    with pytest.raises(UsageError, match="noise must be"):
        Culture(agents(), [examples()] * 3, sgd, noise=1.5)
    with pytest.raises(UsageError, match="select must be"):
        Culture(agents(), [examples()] * 3, sgd, select=-1)
    with pytest.raises(UsageError, match="weight must be"):
        Culture(agents(), [examples()] * 3, sgd, weight=-1.0)
