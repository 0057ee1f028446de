"""Bad input is refused in one clear sentence each."""

import numpy as np
import pytest
import torch
from torch import nn

import nakami
from curvatures import case
from nakami.geometry import LimitOptions, Measures

MODEL, X, Y, LOSS = case("classes")


def sgd(**settings):
    return torch.optim.SGD(MODEL.parameters(), **{"lr": 0.1, **settings})


def two_groups(**settings):
    groups = [{"params": MODEL[0].parameters()}, {"params": MODEL[2].parameters(), **settings}]
    return torch.optim.SGD(groups, lr=0.1, momentum=0.9)


REFUSED = {
    "an unknown name": ({"optimizer": "adamm"}, r"optimizer 'adamm' is unknown; nearest.*'adam'"),
    "no optimizer": (
        {"optimizer": 3},
        r"optimizer must be torch's, or a name, got int; use one of 'sgd'",
    ),
    "another model's": (
        {"optimizer": torch.optim.SGD(nn.Linear(2, 2).parameters())},
        r"optimizer must hold parameters of the model, got none of them; build it from model",
    ),
    "maximize": ({"optimizer": sgd(maximize=True)}, r"optimizer must minimise.*maximize=True"),
    "momentum 1": (
        {"optimizer": sgd(momentum=1.0)},
        r"have momentum below 1, got 1\.0; build it with",
    ),
    "dampening 1": (
        {"optimizer": sgd(momentum=0.5, dampening=1.0)},
        r"have dampening below 1, got 1\.0; build it with",
    ),
    "rate 0": (
        {"optimizer": sgd(lr=0.0)},
        r"have a learning rate above 0, got none; build it with lr",
    ),
    "nesterov in one group": (
        {"optimizer": two_groups(nesterov=True)},
        r"share momentum between groups where one is nesterov, got 2 settings",
    ),
    "an empty loader": ({"data": []}, r"data must hold at least one batch, got an empty iterable"),
    "labels": (
        {"data": (X, Y + 1)},
        r"the targets of a batch must be classes from 0 to 2, got 3 \(and \d+ more\)",
    ),
    "an infinite input": ({"data": (X.clone().fill_(1e400), Y)}, r"must be finite|not finite"),
    "no model": ({"model": 3}, r"model must be a torch\.nn\.Module, got int"),
}


LBFGS = {"optimizer": torch.optim.LBFGS(MODEL.parameters())}
OF_LIMITS = {
    "another optimizer": (
        LBFGS,
        r"optimizer must make steps that are linear .*, got LBFGS; ask nakami\.learning_rate for",
    ),
    "fill_steps 0": (
        {"fill_steps": 0},
        r"fill_steps must be a whole number from 1 on, got 0; leave it",
    ),
    "fill_steps true": (
        {"fill_steps": True},
        r"fill_steps must be a whole number from 1 on, got True",
    ),
    "no batch": ({"options": {"batches": 0}}, r"batches must be a whole number from 1 on, got 0"),
    "seed": ({"seed": -1}, r"seed must be a whole number from 0"),
    "tolerance": ({"options": {"tol": 2}}, r"tol must lie between 0 and 1, got 2"),
}
OF_ADVICE = {
    "another optimizer": (
        LBFGS,
        r"optimizer must step by dense gradients, without a closure, got LBFGS; use torch\.optim",
    ),
    "trial_steps 0": (
        {"trial_steps": 0},
        r"trial_steps must be a whole number from 1 on, got 0; leave it",
    ),
    "trial_steps true": (
        {"trial_steps": True},
        r"trial_steps must be a whole number from 1 on, got True",
    ),
}


@pytest.mark.parametrize("name", [*REFUSED, *OF_ADVICE])
def test_refused_of_advice(name):
    refused(nakami.learning_rate, *{**REFUSED, **OF_ADVICE}[name])


@pytest.mark.parametrize("name", [*REFUSED, *OF_LIMITS])
def test_refused_of_a_limit(name):
    def reading(options=None, **settings):
        return nakami.rate_limit(**settings, options=LimitOptions(**(options or {})))

    refused(reading, *{**REFUSED, **OF_LIMITS}[name])


def refused(reading, changed, message):
    settings = {"model": MODEL, "data": (X, Y), "loss": LOSS, **changed}
    with pytest.raises(ValueError, match=message) as caught:
        reading(**settings)
    assert "\n" not in str(caught.value)


def test_numbers_of_numpy_and_torch_become_plain():
    found = nakami.learning_rate(MODEL, (X, Y), LOSS, trial_steps=torch.tensor(4))
    assert type(found.outcome.numbers["steps"]) is type(found.steps) is int
    options = LimitOptions(batches=np.int64(1), tol=torch.tensor(1e-3))
    found = nakami.rate_limit(MODEL, (X, Y), LOSS, options=options, fill_steps=torch.tensor(4))
    assert type(found.outcome.numbers["tol"]) is type(options.tol) is float
    assert type(options.batches) is int
    measures = Measures(torch.tensor(0.5), np.int64(9), settle=torch.tensor(2), seed=np.int64(3))
    kinds = [type(each) for each in (measures.budget, measures.every, measures.settle)]
    assert kinds == [float, int, int]
    assert type(measures.seed) is int


def test_options_of_another_kind():
    with pytest.raises(TypeError, match=r"options must be LimitOptions, got 0\.1; pass nakami"):
        nakami.rate_limit(MODEL, (X, Y), LOSS, options=0.1)


READINGS = pytest.mark.parametrize("reading", [nakami.learning_rate, nakami.rate_limit])


@READINGS
def test_frozen_parameters(reading):
    model, x, y, loss = case("classes")
    for p in model.parameters():
        p.requires_grad_(False)
    with pytest.raises(ValueError, match="must have parameters that require a gradient, got none"):
        reading(model, (x, y), loss)


@READINGS
def test_a_loss_that_overflows(reading):
    model, x, y, _ = case("squared")
    with pytest.raises(ValueError, match="the loss must be finite at the present weights"):
        reading(model, (x, y * 1e200), nn.MSELoss())


def test_a_probe_that_diverges():
    model, x, y, loss = case("squared")
    optimizer = torch.optim.Adam(model.parameters(), lr=1e300)
    with pytest.raises(nakami.results.RunError, match=r"20 steps on a copy led to .* lower"):
        nakami.rate_limit(model, (x, y), loss, optimizer)
