"""The up-down algorithm against enumeration of all states of a small network."""

import itertools

import pytest
import torch
from torch.nn import functional as F
from torch.testing import assert_close

from nakami import sampling
from nakami.results import UsageError
from nakami.training import ContrastiveDivergence, UpDown, fit
from nakami.zoo.dbn import DBN, LabelRBM
from nakami.zoo.rbm import RBM


def every(n):
    return torch.tensor(list(itertools.product((0.0, 1.0), repeat=n)), dtype=torch.float64)


def network(*sizes, top=None, seed=0):
    """Recognition and generative weights drawn apart."""
    made, gen = DBN(sizes).double().untied(top), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in made.parameters():
            p.normal_(0, 0.7, generator=gen)
    return made


def log_of(logit, x):
    """``log p(x)`` of all states x (columns) given each row of log odds."""
    return F.logsigmoid(logit) @ x.T + F.logsigmoid(-logit) @ (1 - x).T


def stepped(net, batch, k):
    """Gradients of one step."""

    def descend(loss, optimizer):
        optimizer.zero_grad()
        loss.backward()

    method = UpDown(net, torch.optim.SGD(net.parameters(), 0.0), k=k)
    method.step(batch, descend)
    return {name: p.grad for name, p in net.named_parameters()}


def test_the_expected_step_is_what_wake_and_sleep_say():
    net, h, n = network(4, 3, 3), every(3), 40_000
    v = every(4)[[2, 7, 12]]
    found = stepped(net, (v.repeat(n // 3, 1),), k=30)
    up, down, top = net.up[0], net.down[0], net.top
    wake = log_of(up(v), h).exp().detach()  # q(h | v), rows v
    ends = (-top.free_energy(h)).softmax(0).detach()  # of the chain, long enough
    sleep = ends[:, None] * log_of(down(h), every(4)).exp().detach()  # p(h, v)
    loss = -(wake * log_of(down(h), v).T).sum(1).mean()
    loss = loss - (sleep * log_of(up(every(4)), h).T).sum()
    loss = loss + (wake @ top.free_energy(h)).mean() - ends @ top.free_energy(h)
    wanted = torch.autograd.grad(loss, list(net.parameters()))
    for (name, gradient), exact in zip(found.items(), wanted, strict=True):
        assert_close(gradient, exact, rtol=0, atol=5 * 0.5 / n**0.5, msg=name)
        assert exact.abs().max() > 5 * 0.5 / n**0.5  # it can fail


def test_it_begins_as_the_tied_network():
    tied = DBN((4, 3, 3)).double()
    gen = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for p in tied.parameters():
            p.normal_(0, 0.8, generator=gen)
    net, v = tied.untied(), every(4)
    assert_close(net(v), tied(v))
    assert_close(net.bound(v), tied.bound(v))
    assert_close(net.sample(7, steps=3), tied.sample(7, steps=3))


def test_labels_of_the_top_machine_are_summed_and_held():
    top = LabelRBM(3, 2, 3, dtype=torch.float64)
    net = network(4, 3, 3, top=top)
    top, h, labels = net.top, every(3), torch.tensor([0, 1])
    both = [top.labelled(h, label.expand(8)) for label in labels]
    each = torch.stack([-top.free_energy(x) for x in both], 1)
    assert_close(top.label_logits(h).log_softmax(1), each.log_softmax(1))
    assert_close(net.top_log_weight(h), each.logsumexp(1))
    states = torch.cat(both)
    total = float(torch.logsumexp(-top.free_energy(states), 0).detach())
    assert sampling.log_partition(top) == pytest.approx(total, abs=1e-9)
    for label in labels:
        share = each[:, label].softmax(0).detach()  # p(h | label)
        wanted = share @ torch.sigmoid(net.down[0](h))
        drawn = net.sample(20_000, labels=label.expand(20_000), steps=30).detach()
        assert ((drawn.mean(0) - wanted).abs() < 4.5 * drawn.std(0) / 20_000**0.5).all()
    exact = log_of(net.down[0](h), every(4)).T + net.top_log_weight(h)
    exact = exact.logsumexp(1) - sampling.log_partition(top)
    found = sampling.likelihood_bound(net, every(4), runs=300, temperatures=200)
    assert (found.examples < exact + 0.1).all()


def test_it_learns_to_name_and_to_give_patterns():
    rows = every(3)
    bars = rows[:, :, None].expand(8, 3, 3).flatten(1)[1:-1]
    v = torch.cat([bars, bars.unflatten(1, (3, 3)).mT.flatten(1)])
    labels = torch.arange(12) // 6  # rows or columns
    dbn, gen = DBN((9, 12, 12)).double(), torch.Generator().manual_seed(0)
    top = LabelRBM(12, 2, 12, dtype=torch.float64)
    below = dbn.rbms[0]

    def learn(rbm, x):
        method = ContrastiveDivergence(rbm, rate=0.3, momentum=0.5, decay=0.0)
        method.start((x,), gen)
        for _ in range(500):
            method.step((x.repeat(3, 1),))

    learn(below, v)
    with torch.no_grad():
        learn(top, top.labelled(below(v), labels))
    net = dbn.untied(top)
    log_z = sampling.log_partition(net.top)
    before = sampling.likelihood_bound(net, v, log_partition=log_z).value
    method = UpDown(net, torch.optim.SGD(net.parameters(), 0.1), k=3)
    method.start((v, labels), gen)
    batch = v.repeat(10, 1), labels.repeat(10)

    def descend(loss, optimizer):
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    for _ in range(300):
        method.step(batch, descend)
    assert (net(v).argmax(1) == labels).double().mean() > 0.8
    log_z = sampling.log_partition(net.top)
    after = sampling.likelihood_bound(net, v, log_partition=log_z).value
    assert after > before + 0.1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: DBN((4, 3, 2)).untied(LabelRBM(4, 2, 2)),
            "top must have 3 visible units beside labels, got 4; see DBN.untied",
        ),
        (
            lambda: DBN((4, 3, 2)).untied().sample(2, labels=torch.tensor([0, 1])),
            r"labels must be left out without label units, got tensor\(\[0, 1\]\); pass a LabelRBM",
        ),
        (
            lambda: begun((4, 3, 2), None, torch.ones(5, 4), torch.zeros(5)),
            r"data must be pixels of shape \(N, 4\) alone, got 2 tensors, the first \(5, 4\)",
        ),
        (
            lambda: begun((4, 3, 2), LabelRBM(3, 2, 2), torch.ones(5, 4)),
            r"data must be pixels of shape \(N, 4\) and labels, got 1 tensors",
        ),
        (
            lambda: begun((4, 3, 2), None, torch.full((5, 4), 255.0)),
            "data must lie in 0..1, got 255 to 255; pass data / 255 for bytes",
        ),
        (
            lambda: begun((4, 3, 2), LabelRBM(3, 2, 2), torch.ones(5, 4), torch.arange(5) - 1),
            "labels must be 5 whole numbers from 0 to 1, a tensor, got -1 to 3; number the classes",
        ),
        (
            lambda: LabelRBM(3, 2, 2).labelled(torch.ones(2, 3), torch.zeros(2)),
            r"labels must be 2 whole numbers .*, got torch.float32 of shape \(2,\)",
        ),
        (
            lambda: DBN((4, 3, 2)).untied(LabelRBM(3, 2, 2)).sample(3, labels=torch.zeros(2).int()),
            r"labels must be 3 whole numbers .*, got torch.int32 of shape \(2,\)",
        ),
        (
            lambda: DBN((4, 3, 2)).untied(LabelRBM(3, 2, 2)).sample(2, labels=[0, 1]),
            "labels must be 2 whole numbers from 0 to 1, a tensor, got list",
        ),
        (
            lambda: sampling.likelihood_bound(RBM(3, 2), torch.ones(2, 3)),
            "model must bound .*, got RBM; pass a DBM or DBN, or take sampling.log_likelihood",
        ),
    ],
)
def test_wrong_use(call, message):
    with pytest.raises(UsageError, match=message):
        call()


def begun(sizes, top, *data):
    net = DBN(sizes).untied(top)
    fit(UpDown(net, torch.optim.SGD(net.parameters(), 0.1)), data, epochs=1)
