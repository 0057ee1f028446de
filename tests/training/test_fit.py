"""The loop that Lightning runs against the same loop written out, bit for bit."""

import copy
import csv
import logging
import signal
import sys

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from nakami.results import RunError, UsageError
from nakami.training import Method, Supervised, Unsupervised, _batches, _fit, fit


def network(seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Linear(5, 3))


def examples(n=50):
    g = torch.Generator().manual_seed(3)
    return torch.randn(n, 6, generator=g), torch.randint(3, (n,), generator=g)


def method(model):
    return Supervised(model, torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9))


def written_out(model, data, epochs, batch, generator):
    """Plain gradient descent, with the mean loss of each epoch."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    x, y = data
    losses = []
    model.train()
    for _ in range(epochs):
        total = 0.0
        for rows in torch.randperm(len(x), generator=generator).split(batch):
            loss = F.cross_entropy(model(x[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rows)
        losses.append(total / len(x))
    model.eval()
    return losses


def bits(model):
    return torch.cat([v.flatten().double() for v in model.state_dict().values()])


@pytest.mark.parametrize("group", [1, 3, 20])
def test_same_bits_as_the_loop_written_out(group, monkeypatch):
    monkeypatch.setattr(_batches, "GROUP", group)
    ours, plain, data = network(), network(), examples()
    losses = fit(method(ours), data, epochs=3, batch=8, generator=torch.Generator().manual_seed(5))
    wanted = written_out(plain, data, 3, 8, torch.Generator().manual_seed(5))
    assert torch.equal(bits(ours), bits(plain))
    assert losses == pytest.approx(wanted, rel=1e-6)
    assert not ours.training
    other = network()
    fit(method(other), data, epochs=3, batch=8, generator=torch.Generator().manual_seed(6))
    assert not torch.equal(bits(other), bits(plain))  # the check can fail


def test_large_mini_batches_go_one_by_one(monkeypatch):
    x, y = examples()
    whole = _batches.Batches([x, y], 7, torch.Generator())
    assert (len(whole), [len(group) for group in whole]) == (1, [8])
    monkeypatch.setattr(_batches, "GROUP_BYTES", 7 * (6 * 4 + 8) * 3)  # of three mini-batches
    few = _batches.Batches([x, y], 7, torch.Generator())
    assert (len(few), [len(group) for group in few]) == (3, [3, 3, 2])
    monkeypatch.setattr(_batches, "GROUP_BYTES", 1)
    assert len(_batches.Batches([x, y], 7, torch.Generator())) == 8


def test_several_optimizers_step_in_turn():
    class Two(Method):
        """Two halves, each with an optimizer."""

        loss_name = "sum of both losses"

        def __init__(self):
            self.module = nn.ModuleList([nn.Linear(6, 3), nn.Linear(6, 3)])
            self.both = [torch.optim.SGD(m.parameters(), lr=0.1) for m in self.module]

        def optimizers(self):
            return self.both

        def step(self, batch, descend):
            x, y = batch
            losses = []
            for part, optimizer in zip(self.module, self.both, strict=True):
                losses.append(F.cross_entropy(part(x), y))
                descend(losses[-1], optimizer)
            return sum(losses).detach()

    two = Two()
    start = bits(two.module)
    losses = fit(two, examples(), epochs=5, batch=10)
    assert losses[-1] < losses[0]
    assert (bits(two.module) != start).all()


def test_leaves_no_trace_and_says_nothing(capfd, recwarn):
    before = torch.get_rng_state()
    levels = [logging.getLogger(f"lightning.{p}").level for p in ("pytorch", "fabric")]
    fit(method(network()), examples(), epochs=2, batch=10)
    assert torch.equal(torch.get_rng_state(), before)
    assert capfd.readouterr() == ("", "")
    assert not list(recwarn)
    assert [logging.getLogger(f"lightning.{p}").level for p in ("pytorch", "fabric")] == levels


def test_an_interrupt_stays_an_interrupt():
    handler = signal.getsignal(signal.SIGINT)

    def stop(done, loss):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(method(network()), examples(), epochs=2, after_epoch=stop)
    assert signal.getsignal(signal.SIGINT) is handler


def test_a_logger_of_the_host_gets_the_losses(tmp_path):
    from lightning.pytorch.loggers import CSVLogger

    logger = CSVLogger(tmp_path)
    losses = fit(method(network()), examples(), epochs=3, batch=10, logger=logger)
    logger.save()
    with (tmp_path / "lightning_logs/version_0/metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["cross-entropy, nats"]) for row in rows] == losses
    assert [int(row["step"]) for row in rows] == [1, 2, 3]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"data": (torch.zeros(4, 6), torch.zeros(3))}, r"data must hold .*, got \[4, 3\]; pass"),
        ({"data": (torch.zeros(0, 6),)}, r"data must hold .* one at least, got \[0\]"),
        ({"batch": 0}, r"batch must be a whole number from 1 on, got 0"),
        ({"epochs": -1}, r"epochs must be a whole number from 0 on, got -1; pass epochs=10"),
        (
            {"data": (torch.full((9, 6), torch.inf), torch.zeros(9, dtype=torch.long))},
            r"rate must keep loss and parameters finite, epoch 1 included, got parameters",
        ),
    ],
)
def test_wrong_use_is_one_sentence(change, match):
    with pytest.raises(UsageError, match=match):
        fit(method(network()), **{"data": examples(), "epochs": 1, **change})


def newton(model):
    return torch.optim.LBFGS(model.parameters(), max_iter=5, line_search_fn="strong_wolfe")


class ByValue(Method):
    """Gives its loss as a number alone."""

    def __init__(self, module):
        self.module, self.optimizer = module, newton(module)

    def optimizers(self):
        return [self.optimizer]

    def step(self, batch, descend):
        return descend(torch.zeros(()), self.optimizer)


def test_an_optimizer_that_wants_a_closure_is_given_one_or_refused():
    model, rows = network(), len(examples()[0])
    with pytest.raises(UsageError, match=r"optimizer must step without a closure, got LBFGS"):
        fit(ByValue(model), examples())
    with pytest.raises(UsageError, match=rf"batch must hold all {rows} rows for LBFGS.* got 10"):
        fit(Supervised(model, newton(model)), examples(), batch=10)
    other = copy.deepcopy(model)
    losses = fit(Supervised(model, newton(model)), examples(), batch=rows, epochs=3)
    optimizer, (x, y) = newton(other), examples()

    def closure():
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(other(x), y)
        loss.backward()
        return loss

    wanted = [float(optimizer.step(closure).detach()) for _ in range(3)]
    torch.testing.assert_close(losses, wanted, rtol=1e-4, atol=1e-6)  # rows in another order
    assert losses[2] < losses[1] < losses[0]


def test_an_objective_without_targets_is_lowered():
    model = torch.nn.Linear(3, 3, bias=False)
    x = torch.randn(40, 3, generator=torch.Generator().manual_seed(0))

    def objective(x):
        return (model(x) - x).square().sum(1)

    method = Unsupervised(model, newton(model), objective)
    losses = fit(method, (x,), batch=40, epochs=6)
    assert losses[-1] < 1e-6 < losses[0]


def test_without_the_host_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "lightning", None)
    monkeypatch.setattr(_fit, "find_spec", lambda name: None)
    with pytest.raises(RunError, match=r"needs lightning; pip install 'nakami\[train\]' adds it"):
        fit(method(network()), examples())


def test_the_mode_of_gradients_is_that_of_before():
    """Lightning left gradients on for the rest of a ``torch.no_grad()``."""
    module = torch.nn.Linear(2, 1)
    method = Supervised(module, torch.optim.SGD(module.parameters(), 0.1), torch.nn.MSELoss())
    data = (torch.ones(4, 2), torch.zeros(4, 1))
    with torch.no_grad():
        first, last = fit(method, data, epochs=2, batch=2)
        assert not torch.is_grad_enabled()
    assert last < first
    assert torch.is_grad_enabled()


def test_a_tensor_alone_is_no_tuple_of_its_rows():
    net = nn.Linear(3, 2)
    method = Supervised(net, torch.optim.SGD(net.parameters(), 0.1))
    with pytest.raises(UsageError, match=r"data must be a tuple of tensors, got Tensor; pass \(d"):
        fit(method, torch.randn(2, 3))
