"""Wide random networks: the tangent kernel from its definition, and mean-field theory."""

import numpy as np
import pytest
import torch
from torch import nn

from borders import limits
from nakami.theory import meanfield
from wide_networks import LAWS, draw, kernel

SAMPLES, OUTPUTS = 30, 3


@pytest.mark.parametrize("name", ["tanh", "linear"])
def test_limit_against_the_kernel_and_the_theory(name):
    rng, widths = np.random.default_rng(2), (300,) * 4 + (OUTPUTS,)
    drawn, x = draw(widths, *LAWS[name], rng), rng.standard_normal((SAMPLES, 300))
    layers = []
    for weight, bias in drawn:
        layer = nn.Linear(*weight.shape[::-1], dtype=torch.float64)
        layer.weight.data, layer.bias.data = torch.tensor(weight), torch.tensor(bias)
        layers += [layer, nn.Tanh() if name == "tanh" else nn.Identity()]
    model = nn.Sequential(*layers[:-1])
    data = torch.tensor(x), torch.zeros(SAMPLES, OUTPUTS, dtype=torch.float64)
    found = limits(model, data, nn.MSELoss(), "nesterov", tol=1e-8)
    largest = np.linalg.eigvalsh(kernel(drawn, x, name)[0])[-1] / SAMPLES
    assert found.lambda_max == pytest.approx(2 / OUTPUTS * largest, rel=1e-7)
    order = meanfield.order_parameters(widths, name, *LAWS[name])
    told = meanfield.learning_rate(order, SAMPLES, "mean", momentum=0.9, nesterov=True)
    assert told.advised < found.limit < 1.25 * told.limit  # one draw at finite width scatters
