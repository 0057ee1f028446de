"""Odd calls of operators and losses: right, or one sentence that names the wrong argument."""

import re

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.testing import assert_close
from torch.utils.data import TensorDataset

import nakami
from curvatures import perceptron
from gauntlet import Reference
from nakami.results import UsageError

torch.manual_seed(0)
X, Y, AIMS = torch.randn(8, 4), torch.randint(0, 3, (8,)), torch.randn(8, 3)
P = 43


def op():
    return nakami.ggn(perceptron(), (X, Y), "cross_entropy")


def columns():
    return nakami.jacobian(perceptron(), X[:1], wrt="parameters")


def returning(value):
    return lambda z, y: value


def ggn(loss, y=AIMS):
    return nakami.ggn(perceptron(), (X, y), loss)


CALLS = [
    (lambda: op().split(torch.ones(3)), "flat must have shape (43,), got (3,); pass a number for"),
    (lambda: op().split(torch.ones(P, 2)), "flat must have shape (43,), got (43, 2)"),
    (lambda: columns().split(np.ones(P)), "flat must be a torch.Tensor, got ndarray; convert it"),
    (lambda: op().moved(torch.ones(3)), "point must have shape (43,), got (3,)"),
    (lambda: op().gradient(torch.ones(3)), "at must have shape (43,), got (3,)"),
    (lambda: op().loss_and_gradient({}), "at must be a torch.Tensor, got dict"),
    (lambda: op().layer(3), "pattern must be one shell pattern of parameter names, got 3; '*'"),
    (lambda: op().first(0), "count must be a whole number from 1 on, got 0; pass 1 for the first"),
    (lambda: op().unit_blocks(3), "module '3' is unknown; nearest: '0', '2'; linear layers"),
    (lambda: ggn("mse", AIMS / 0 * 0), "got nan (squared error); the targets of a batch hold NaN"),
    (lambda: ggn("bce_with_logits", Y[:, None].expand(8, 3)), "from 0 to 1, got 2 (and "),
    (lambda: ggn("cross_entropy", functional.one_hot(Y)), "be floating-point probabilities where "),
    (lambda: ggn("cross_entropy", Y[:, None]), "got (8, 1); use y.reshape(8,)."),
    (lambda: ggn(nn.CrossEntropyLoss(torch.ones(2)), Y), "a weight for each of 3 classes, got 2"),
    (
        lambda: ggn(nn.BCEWithLogitsLoss(pos_weight=torch.ones(2)), AIMS.sigmoid()),
        "have weights that spread over outputs of shape (8, 3), got (2,); give a weight to each",
    ),
    (
        lambda: nakami.ggn(nakami.View(perceptron(), target=lambda b: b[1]), [(X, Y)], "mse"),
        "pass forward=lambda model, batch: model(batch[0]) beside target=.",
    ),
    (lambda: ggn(returning(0.0)), "return a tensor, got float; compute it with torch, not .item"),
    (lambda: ggn(returning(None)), "got NoneType; end the function with return or pass loss=None"),
    (lambda: ggn(lambda z, y: (z.sum(), y)), "got tuple; return the loss alone."),
    (lambda: ggn(lambda z, y: torch.fft.fft(z).sum()), "a real number, got torch.complex64; ret"),
    (lambda: ggn(lambda z, y: z.argmax(1).float().mean()), "argmax (an accuracy) out of the loss"),
    (lambda: ggn(lambda z, y: (z + torch.rand(1)).square().mean()), "loss must be deterministic, "),
    (lambda: ggn(nn.BCELoss(), AIMS.sigmoid()), 'take "bce_with_logits" for outputs without a s'),
    (
        lambda: ggn(nn.AdaptiveLogSoftmaxWithLoss(3, 3, [1], 1.0), Y),
        "pass lambda z, t: loss(z, t).loss.",
    ),
    (
        lambda: nakami.ggn(perceptron(), TensorDataset(X, Y), "mse"),
        "got TensorDataset; pass torch.util",
    ),
    (lambda: nakami.ggn(perceptron(), "photos", "mse"), "batches of (x, y), got str; pass (x, y)."),
    (lambda: nakami.ggn(perceptron(), {"u": X, "y": Y}, "mse"), "lambda model, x: model(x['u']))."),
    (
        lambda: nakami.ggn(perceptron(), zip(X, Y, strict=True), "cross_entropy"),
        "pass examples along",
    ),
    (
        lambda: nakami.jacobian(perceptron(), (X[:1],) * 3),
        "several inputs are passed as model(*x): gi",
    ),
    (lambda: nakami.jacobian(nn.Linear, X), "be a torch.nn.Module, got the class Linear; pass L"),
    (
        lambda: nakami.jacobian(perceptron().state_dict(), X),
        "pass the module, after model.load_state",
    ),
    (
        lambda: nakami.View(nakami.View(perceptron())),
        "be a torch.nn.Module, got View; pass its .model",
    ),
    (
        lambda: nakami.xray(perceptron(), [X[0], X[1]]),
        "or torch.stack examples that come in a list.",
    ),
    (
        lambda: nakami.rate_limit(perceptron(), (X, Y), "cross_entropy", torch.optim.SGD),
        "got the class SGD; pass SGD(model.parameters(), lr=0.1).",
    ),
    (
        lambda: nakami.learning_rate(perceptron(), (X, Y), "cross_entropy", torch.optim.SGD),
        "got the class SGD; pass SGD(model.parameters(), lr=0.1).",
    ),
]


@pytest.mark.parametrize(("call", "message"), CALLS)
def test_one_sentence(call, message):
    with pytest.raises(UsageError, match=re.escape(message)) as error:
        call()
    assert "\n" not in str(error.value)


def test_what_came_is_shown_in_a_line():
    message = r"params must be one shell pattern, got \[Parameter co"
    with pytest.raises(UsageError, match=message) as error:
        nakami.ggn(perceptron(), (X, Y), "cross_entropy", params=list(perceptron().parameters()))
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 500


@pytest.mark.parametrize(
    "loss",
    [
        lambda z, y: z.sub_(y).square().mean(),
        lambda z, y: y.sub_(z).square().mean(),
        lambda z, y: z.sub_(y).square_().sum(),
    ],
)
def test_a_loss_that_writes_to_what_it_gets(loss):
    torch.manual_seed(1)
    model, x, y = perceptron().double(), X.double(), AIMS.double()
    wanted = Reference(model).hessian(x, y, lambda z, t: loss(z.clone(), t.clone()))
    for data in ((x, y), [(x[:3], y[:3]), (x[3:], y[3:])]):
        op = nakami.hessian(model, data, loss)
        assert_close(op.dense(), wanted, rtol=1e-8, atol=1e-10)
    assert torch.equal(y, AIMS.double())
