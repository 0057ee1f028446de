"""Which statistics batch normalisation is read by: said everywhere, with a warning if untouched."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.testing import assert_close

import nakami
from nakami.results import NakamiWarning

UNTOUCHED = (
    r"batch normalisation is read by its running statistics, which are untouched \(mean 0, "
    r"variance 1\), .*pass nakami.View\(model, batch_statistics=True\)"
)


def net(norm=nn.BatchNorm1d, **options):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), norm(6, **options), nn.Tanh(), nn.Linear(6, 3)).double()


def batch(n=8):
    generator = torch.Generator().manual_seed(1)
    x = 3 + 2 * torch.randn(n, 4, generator=generator, dtype=torch.float64)
    return x, torch.arange(n) % 3


def trained(model):
    model.train()
    model(batch()[0])
    return model


READINGS = {
    "xray": lambda m: nakami.xray(m, batch(2)[0]).settings["batch_normalisation"],
    "jacobian": lambda m: nakami.jacobian(m, batch(1)[0]).batch_normalisation,
    "by parameters": lambda m: (
        nakami.jacobian(m, batch(1)[0], wrt="parameters").batch_normalisation
    ),
    "fisher": lambda m: nakami.fisher(m, batch(), "cross_entropy").batch_normalisation,
    "ggn": lambda m: nakami.ggn(m, batch(), "cross_entropy").batch_normalisation,
    "initialisation": lambda m: nakami.initialisation(m, batch()[0]).batch_normalisation,
    "learning_rate": lambda m: (
        nakami.learning_rate(m, batch(), "cross_entropy", "sgd").batch_normalisation
    ),
    "rate_limit": lambda m: (
        nakami.rate_limit(m, batch(), "cross_entropy", "sgd").batch_normalisation
    ),
}


@pytest.mark.parametrize("name", READINGS)
def test_a_reading_by_untouched_statistics_warns(name):
    with pytest.warns(NakamiWarning, match=UNTOUCHED):
        said = READINGS[name](net())
    assert said == "running statistics as made, mean 0 and variance 1"


@pytest.mark.parametrize("name", READINGS)
def test_a_reading_by_statistics_of_batches_seen_says_so(name):
    assert READINGS[name](trained(net())) == "running statistics"


@pytest.mark.parametrize("name", ["fisher", "ggn", "initialisation", "learning_rate"])
def test_a_reading_by_the_batch_says_so(name):
    said = READINGS[name](nakami.View(net(), batch_statistics=True))
    assert said == "statistics of the batch"


@pytest.mark.parametrize("name", READINGS)
def test_running_statistics_that_are_asked_for_are_no_surprise(name):
    said = READINGS[name](nakami.View(net(), batch_statistics=False))
    assert said == "running statistics as made, mean 0 and variance 1"


def test_statistics_without_a_count_count_when_they_are_others():
    """Old checkpoints have no number of batches."""
    model = net()
    model[1].running_mean += 1
    assert nakami.View(model).batch_normalisation == "running statistics"
    assert nakami.View(net(track_running_stats=False)).batch_normalisation == ""
    assert nakami.View(nn.Linear(2, 2)).batch_normalisation == ""
    assert nakami.View(net(nn.InstanceNorm1d)).batch_normalisation == ""


def test_where_a_network_can_be_cut_needs_no_statistics():
    assert "3" in nakami.stages(net(), batch(1)[0]).names


def test_the_untouched_statistics_are_another_network():
    """Why it is a warning: the limit by them is another one than torch's own in training mode."""
    model, (x, y) = net(), batch()
    model.train()

    def loss(*weights):
        names = [n for n, _ in model.named_parameters()]
        parts = dict(zip(names, weights, strict=True))
        return torch.func.functional_call(model, parts, (x,))

    weights = tuple(p.detach() for p in model.parameters())
    kept = {k: v.clone() for k, v in model.state_dict().items()}
    rows = torch.autograd.functional.jacobian(loss, weights)
    model.load_state_dict(kept)
    j = torch.cat([r.reshape(24, -1) for r in rows], 1).reshape(8, 3, -1)
    p = loss(*weights).softmax(1).detach()
    model.load_state_dict(kept)
    h = torch.diag_embed(p) - p[:, :, None] * p[:, None]
    exact = torch.linalg.eigvalsh(torch.einsum("nap,nab,nbq->pq", j, h, j) / 8)[-1]
    view = nakami.View(model, batch_statistics=True)
    op = nakami.ggn(view, (x, y), "cross_entropy")
    np.testing.assert_allclose(nakami.eigh(op, 1).values[0], exact, rtol=1e-6)
    op = nakami.ggn(nakami.View(model, batch_statistics=False), (x, y), "cross_entropy")
    assert not 0.5 < float(nakami.eigh(op, 1).values[0] / exact) < 2


def test_products_without_a_kept_graph_are_those_of_kept_ones():
    torch.manual_seed(3)
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 3)
    ).double()
    x, y = torch.randn(40, 1, 8, 8, dtype=torch.float64), torch.arange(40) % 3
    data = [(x[:20], y[:20]), (x[20:], y[20:])]
    view = nakami.View(net, batch_statistics=True)
    kept = nakami.ggn(view, data, "cross_entropy")
    thrifty = nakami.ggn(view, data, "cross_entropy", memory_budget=2**20)
    assert [part.keep for part in (kept.parts[0], thrifty.parts[0])] == [True, False]

    def run(flat, some):  # torch's own network, in training
        sizes = [p.numel() for p in net.parameters()]
        named = zip(net.named_parameters(), flat.split(sizes), strict=True)
        weights = {name: part.view_as(p) for (name, p), part in named}
        return torch.func.functional_call(net.train(), weights, (some,))

    point = torch.cat([p.detach().reshape(-1) for p in net.parameters()])
    dense = torch.zeros(len(point), len(point), dtype=torch.float64)
    for some, _ in data:
        j = torch.autograd.functional.jacobian(lambda w, some=some: run(w, some), point)
        p = run(point, some).detach().softmax(1)
        h = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]
        dense += torch.einsum("nip,nij,njq->pq", j, h, j) / len(x)
    net.eval()
    for columns in (1, 5):
        v = torch.randn(len(point), columns, dtype=torch.float64)
        for op in (kept, thrifty):
            assert_close(op @ v, dense @ v, rtol=1e-9, atol=1e-11)
            assert_close(op.root.T @ (op.root @ v), dense @ v, rtol=1e-9, atol=1e-11)
