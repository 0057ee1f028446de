"""Layers' own spectra of the large networks of the zoo, small pictures, random weights."""

import numpy as np
import pytest
import torch
from torch import nn

import nakami
from nakami import zoo

CASES = {  # stages, size of the picture, what lies between the last two
    "squeezenet": (
        ("features.9", "features.11", "output"),
        31,
        ("features.9", "features.11", lambda m: m.features[10:12]),
    ),
    "efficientnet-lite0": (
        ("_blocks.4", "_blocks.6"),
        32,
        ("_blocks.4", "_blocks.6", lambda m: nn.Sequential(*m._blocks[5:7])),
    ),
}


@pytest.mark.slow  # deep networks take seconds to build
@pytest.mark.parametrize("name", CASES)
def test_layers_of(name):
    stages, size, (start, to, part) = CASES[name]
    net = zoo.build(name).double()
    x = torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(0)).double()
    view = nakami.View(net, batch_statistics=False)  # untouched ones, as the reference reads them
    run = nakami.xray(view, x, stages, k=5, layers=True)
    assert run.converged
    assert [s.source for s in run.spectra if s.source != "input"] == list(stages[:-1])
    (s,) = run.at(to, start)
    h = {}
    dict(net.named_modules())[start].register_forward_hook(lambda m, a, out: h.update(state=out))
    net(x)
    between = part(net).requires_grad_(False)
    jac = torch.func.jacrev(lambda z: between(z).reshape(-1), chunk_size=64)(h["state"].detach())
    values = torch.linalg.svdvals(jac.reshape(s.shape))[:5].numpy()
    np.testing.assert_allclose(s.values, values, rtol=1e-4)
