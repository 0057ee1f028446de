"""The plain deep network: shape, count, and weights drawn as torch draws them."""

import pytest
import torch
from torch import nn

from nakami.results import UsageError
from nakami.zoo import deep


def test_shape_count_and_bounds():
    model = deep.make(generator=torch.Generator().manual_seed(1))
    assert model(torch.rand(3, 1, 28, 28)).shape == (3, 10)
    count = 784 * 128 + 128 + 48 * (128 * 128 + 128) + 128 * 10 + 10
    assert sum(p.numel() for p in model.parameters()) == count
    torch.manual_seed(0)
    for made, like in ((model.linear2, nn.Linear(128, 128)), (model.output, nn.Linear(128, 10))):
        for p, q in zip(made.parameters(), like.parameters(), strict=True):
            assert p.detach().abs().max() <= 128**-0.5
            assert float(p.detach().std()) == pytest.approx(float(q.detach().std()), rel=0.5)


def test_same_generator_same_weights():
    one, other = deep.make(3, 8, "relu"), deep.make(3, 8, "relu")
    assert all(map(torch.equal, one.parameters(), other.parameters()))
    assert isinstance(one.hidden1, nn.ReLU)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"depth": 1}, "depth must be 2 or more"), ({"activation": "gelu"}, "be 'tanh' or 'relu'")],
)
def test_refused(options, message):
    with pytest.raises(UsageError, match=message):
        deep.make(**options)
