"""The Gauss-Newton matrix at the weights a model has now, against the one built there."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

import nakami
from curvatures import Gated, case
from own_functions import Applied, Sine


def block(op):
    gen = torch.Generator().manual_seed(2)
    return torch.randn(op.shape[0], 2, generator=gen, dtype=op.dtype)


def moved(model):
    gen = torch.Generator().manual_seed(1)
    for p in model.parameters():
        p.data += 0.3 * torch.randn(p.shape, generator=gen, dtype=p.dtype)


@pytest.mark.parametrize("name", ["classes", "sum", "squared", "tokens", "cnn"])
def test_the_matrix_of_the_moved_model(name):
    model, x, y, loss = case(name)
    op = nakami.ggn(model, (x, y), loss)
    v = block(op)
    before = op @ v
    moved(model)
    wanted = nakami.ggn(model, (x, y), loss) @ v
    assert_close(op.at_current_weights() @ v, wanted)
    assert not torch.allclose(before, wanted)


def test_buffers_are_read_anew():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Tanh(), nn.Linear(6, 2)).double()
    x, y = torch.randn(8, 4).double(), torch.randn(8, 2).double()
    model[1].running_mean += 0.1  # no longer untouched
    op = nakami.ggn(model, (x, y), nn.MSELoss())
    v = block(op)
    before = op.at_current_weights() @ v
    model.train()(3 + 2 * x)
    buffers = {k: v.clone() for k, v in model.named_buffers()}
    wanted = nakami.ggn(model, (x, y), nn.MSELoss()) @ v
    assert_close(op.at_current_weights() @ v, wanted)
    assert not torch.allclose(before, wanted)
    assert all(torch.equal(v, buffers[k]) for k, v in model.named_buffers())


def test_other_arithmetic_and_recurrent_layers():
    torch.manual_seed(0)
    model, x, y = Gated(), torch.randn(5, 4, 3), torch.randint(0, 3, (5,))
    op = nakami.ggn(nakami.View(model, dtype=torch.float64), (x, y), "cross_entropy")
    moved(model)
    v = block(op)
    wanted = nakami.ggn(nakami.View(model, dtype=torch.float64), (x, y), "cross_entropy") @ v
    assert_close(op.at_current_weights() @ v, wanted)


def test_without_forward_mode():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 5), Applied(Sine), nn.Linear(5, 2)).double()
    x, y = torch.randn(6, 4).double(), torch.randn(6, 2).double()
    op = nakami.ggn(model, (x, y), nn.MSELoss())
    moved(model)
    plain = nn.Sequential(model[0], nn.Identity(), model[2])
    plain.forward = lambda x: model[2](model[0](x).sin())
    v = block(op)
    wanted = nakami.ggn(plain, (x, y), nn.MSELoss()) @ v
    assert_close(op.at_current_weights() @ v, wanted)


def test_a_sampled_matrix_draws_anew_by_the_same_numbers():
    model, x, y, loss = case("classes")
    batches = [(x[:5], y[:5]), (x[5:], y[5:])]
    op = nakami.fisher(model, batches, loss, samples=2, seed=3)
    before = op.dense()
    moved(model)
    wanted = nakami.fisher(model, batches, loss, samples=2, seed=3).dense()
    assert_close(op.at_current_weights().dense(), wanted)
    assert_close(op.dense(), before)
    assert not torch.allclose(before, wanted)
