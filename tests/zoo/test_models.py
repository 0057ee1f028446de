"""Every model for digits runs the same gauntlet."""

import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from nakami import zoo
from nakami.results import UsageError
from nakami.zoo.dbn import DBN

PARAMETERS = {
    "dbn": 784 * 1000 + 1000 + 2 * (1000 * 1000 + 1000) + 1000 * 10 + 10,
    "mlp": 784 * 300 + 300 + 300 * 100 + 100 + 100 * 10 + 10,
    "cnn": 431_080,  # as the Caffe example of these sizes
    "lenet": 431_080,
}
DIGITS = tuple(PARAMETERS)


def pictures(n=20):
    return torch.rand(n, 1, 28, 28, generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize("name", DIGITS)
def test_counts_shapes_and_names(name):
    model = zoo.build(name)
    assert sum(p.numel() for p in model.parameters()) == PARAMETERS[name]
    assert model(pictures(3)).shape == (3, 10)
    assert not model.training
    assert "output" in dict(model.named_children())


@pytest.mark.parametrize("name", DIGITS)
def test_loss_falls_on_a_fixed_tiny_batch(name):
    model = zoo.build(name)
    x, y = pictures(), torch.arange(20) % 10
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    losses = []
    for _ in range(40):
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.005  # three sigmoid layers from N(0, 0.01^2) start slowly


@pytest.mark.parametrize("name", DIGITS)
def test_weights_come_from_the_generator_alone(name):
    before = torch.get_rng_state()
    a, b, c = (
        torch.cat([p.flatten() for p in zoo.build(name, g).parameters()])
        for g in (None, torch.Generator().manual_seed(0), torch.Generator().manual_seed(1))
    )
    assert torch.equal(a, b)
    assert not torch.equal(a, c)
    assert torch.equal(torch.get_rng_state(), before)


def test_classifier_starts_as_the_stack():
    g = torch.Generator().manual_seed(0)
    dbn = DBN((784, 30, 20), generator=g)
    for rbm in dbn.rbms:
        nn.init.normal_(rbm.hidden_bias, generator=g)
    model = dbn.classifier(classes=4)
    x = pictures()
    top = nn.Sequential(*list(model)[:-1])(x)
    torch.testing.assert_close(top, dbn(x.flatten(1)))
    torch.testing.assert_close(model[:3](x), dbn(x.flatten(1), depth=1))
    with torch.no_grad():
        model.linear1.weight.zero_()
    assert dbn.rbms[0].weight.abs().sum() > 0  # weights are copied, not shared


def test_unknown_name_offers_the_nearest():
    with pytest.raises(UsageError, match=r"model 'cmn' is unknown; nearest.*'cnn'"):
        zoo.build("cmn")
    with pytest.raises(UsageError, match=r"sizes must name at least two layers, got \(3,\)"):
        DBN((3,))


def test_names_are_known_without_torch():
    code = (
        "import sys; from nakami import zoo, recipes; zoo.ENTRIES.names;"
        "recipes.SUBJECTS.names, recipes.DEFAULT;"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
