"""Arguments in another order are named, all of them, in one sentence."""

import re

import numpy as np
import pytest
import torch
from torch import nn

import nakami
from curvatures import perceptron
from nakami.results import UsageError

DATA, LOSS = (torch.randn(8, 4), torch.randint(0, 3, (8,))), "cross_entropy"
RATE = "(model, optimizer, data, loss, rate)"


def made():
    model = perceptron()
    return model, torch.optim.SGD(model.parameters(), lr=0.1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m, o: nakami.RateControl(o, m, DATA, LOSS, 0.1), ("model and optimizer must come "
         f"in the order {RATE}, got SGD as model and Sequential as optimizer; exchange them.")),
        (lambda m, o: nakami.RateControl(m, o, DATA, 0.1, LOSS), ("loss and rate must come in the "
         f"order {RATE}, got float as loss and str as rate; exchange them.")),
        (lambda m, o: nakami.RateControl(m, o, nn.MSELoss(), DATA, 0.1), "data and loss must come"),
        (lambda m, o: nakami.RateControl(m, DATA, LOSS, o, 0.1), ("optimizer, data and loss must "
         f"come in the order {RATE}, got tuple as optimizer, str as data and SGD as loss; pass")),
        (lambda m, o: nakami.learning_rate(m, LOSS, DATA, o), "data and loss must come in the "),
        (lambda m, o: nakami.rate_limit(m, LOSS, DATA, o), "data and loss must come in the order"),
        (lambda m, o: nakami.learning_rate(m, DATA, o, LOSS), "loss and optimizer must come in"),
        (lambda m, o: nakami.learning_rate(m, DATA, "adam", LOSS), "got str as loss and str as o"),
        (lambda m, o: nakami.learning_rate(m, DATA, o), "function of (outputs, targets), got SGD"),
        (lambda m, o: nakami.ggn(m, LOSS, DATA), "(model, data, loss), got str as data and tuple"),
        (lambda m, o: nakami.hessian(DATA, m, LOSS), "got tuple as model and Sequential as data"),
        (lambda m, o: nakami.fisher(nn.MSELoss(), DATA, m), "got MSELoss as model and Sequential"),
        (lambda m, o: nakami.ggn(m, *DATA), "got Tensor; pass inputs and targets as one pair, (x"),
        (lambda m, o: nakami.ggn(m, *DATA, LOSS), "got Tensor; pass inputs and targets as one"),
    ],
)  # fmt: skip
def test_exchanged_arguments(call, message):
    with pytest.raises(UsageError, match=re.escape(message)):
        call(*made())


def test_arrays_of_numpy_are_data():
    model, (x, y) = perceptron(), DATA
    wanted = nakami.ggn(model, DATA, LOSS).dense()
    locked = x.numpy().copy()
    locked.setflags(write=False)
    for data in (
        (x.numpy(), y.numpy()),
        [(locked, y.numpy())],
        ((x.numpy().astype(float), y),),
        {"input": x.numpy()[::-1][::-1], "labels": y.numpy()},
        [[x[:4].numpy(), y[:4]], [x[4:].numpy(), y[4:]]],
    ):
        torch.testing.assert_close(nakami.ggn(model, data, LOSS).dense(), wanted)
    found = nakami.svd(nakami.jacobian(model, x[:1].numpy())).values
    torch.testing.assert_close(found, nakami.svd(nakami.jacobian(model, x[:1])).values)
    read = nakami.initialisation(model, x.numpy())
    assert read.signal == nakami.initialisation(model, x).signal
    assert read.theory_outcome == nakami.initialisation(model, x).theory_outcome
    assert np.array_equal(nakami.xray(model, x.numpy()).inputs, x.numpy())
    with pytest.raises(UsageError, match=r"x must hold numbers, got an array of object; convert"):
        nakami.jacobian(model, np.array([None]))
    with pytest.raises(UsageError, match=r"targets of a batch must hold numbers, got an array of"):
        nakami.ggn(model, (x, np.array(["a"] * 8)), LOSS)


def test_a_loader_where_one_batch_is_wanted():
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*DATA), batch_size=8)
    with pytest.raises(UsageError, match=r"got DataLoader without any; pass .*, next\(iter\(data"):
        nakami.initialisation(perceptron(), loader)


def test_numbers_in_lists_are_no_tensors():
    with pytest.raises(UsageError, match=r"data must hold tensors, got tuple of numbers; convert"):
        nakami.ggn(perceptron(), (DATA[0].tolist(), DATA[1].tolist()), LOSS)
