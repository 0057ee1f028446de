"""Readings leave a recurrent layer's second list of weights as it was."""

import pytest
import torch
from torch import nn

import nakami


class Last(nn.Module):
    """A recurrent layer, and a linear one on its last state."""

    def __init__(self, kind):
        super().__init__()
        self.layer, self.out = kind(3, 4, batch_first=True), nn.Linear(4, 2)

    def forward(self, x):
        return self.out(self.layer(x)[0][:, -1])


READINGS = {
    "jacobian": lambda m, x, y: nakami.svd(nakami.jacobian(m, x[:1]), 2),
    "by parameters": lambda m, x, y: nakami.jacobian(m, x[:1], wrt="parameters").T @ torch.ones(2),
    "ggn": lambda m, x, y: nakami.eigh(nakami.ggn(m, (x, y), "cross_entropy"), 1),
    "fisher": lambda m, x, y: nakami.trace(nakami.fisher(m, (x, y), "cross_entropy")),
    "xray": lambda m, x, y: nakami.xray(m, x),
    "refused": lambda m, x, y: refused(m, x[:1, :, :2]),
}


def refused(model, x):
    with pytest.raises(nakami.results.UsageError, match="cannot take an input of shape"):
        nakami.jacobian(model, x)


@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
@pytest.mark.parametrize("reading", READINGS)
def test_the_layer_holds_its_own_weights(reading, kind):
    model, x = Last(kind), torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0))
    READINGS[reading](model, x, torch.tensor([0, 1]))
    own = [getattr(model.layer, name) for name in model.layer._flat_weights_names]
    assert all(map(lambda a, b: a is b, model.layer._flat_weights, own))


def test_the_check_can_fail():
    model = Last(nn.GRU)
    weights = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    torch.func.functional_call(model, weights, (torch.zeros(1, 5, 3),))
    assert model.layer._flat_weights[0] is not model.layer.weight_ih_l0
