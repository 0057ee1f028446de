"""Each optimizer of torch: its limit is where its own steps, as a dense matrix, stop shrinking."""

import copy
import math

import pytest
import torch
from torch import nn
from torch.optim import (
    ASGD,
    LBFGS,
    SGD,
    Adadelta,
    Adafactor,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    Muon,
    NAdam,
    RAdam,
    RMSprop,
    Rprop,
    SparseAdam,
)
from torch.testing import assert_close

import nakami
from borders import limits
from nakami.geometry import AdviceNote, RateControl, learning_rate_report
from nakami.geometry.rate._kinds import KINDS
from nakami.geometry.rate._optimizers import coordinates
from nakami.geometry.rate._trials import Training
from nakami.optim import Adastand, SDProp

LATE, NEAR_1 = 1e12, 1 - 2.0**-53  # so many steps, so slow an average: squares stay as they are
FILLED = 1 - NEAR_1**LATE
SLOW = {"betas": (0.9, NEAR_1), "eps": 0.0}


def adam_like(d, p):
    return {"step": LATE, "exp_avg": 0 * d, "exp_avg_sq": d**2 * FILLED}


def nadam_like(d, p):
    return {**adam_like(d, p), "mu_product": 0.0}


def rmsprop_like(d, p):
    return {"step": LATE, "square_avg": d**2 + 0.09, "grad_avg": 0.3 + 0 * d,
            "momentum_buffer": 0 * d}  # fmt: skip


def sdprop_like(d, p):
    return {"step": LATE, "grad_avg": 0.3 + 0 * d, "grad_var": d**2}


def adastand_like(d, p):
    return {"step": LATE, "deviation_avg": 0 * d, "deviation_avg_sq": d**2 * FILLED}


def factors(d, p):
    if p.ndim == 1:
        return {"step": 1e4, "variance": 1e-10 * d**2}
    rows, columns = d[:, :1] ** 2, d[:1] ** 2
    return {"step": 1e4, "row_var": 1e-10 * rows, "col_var": 1e-10 * columns}


# Name: class, settings, the state of a parameter whose squares are given.
CASES = {
    "sgd": (SGD, {"momentum": 0.9}, lambda d, p: {"momentum_buffer": 0 * d}),
    "asgd": (ASGD, {"lambd": 0.01}, lambda d, p: {"step": 1e9, "mu": 1.0, "ax": p.detach() + 0}),
    "adam": (Adam, SLOW, adam_like),
    "adamw": (AdamW, SLOW, adam_like),
    "amsgrad": (Adam, {**SLOW, "amsgrad": True},
                lambda d, p: {**adam_like(d, p), "max_exp_avg_sq": 4 * d**2 * FILLED}),
    "adamax": (Adamax, SLOW, lambda d, p: {"step": LATE, "exp_avg": 0 * d, "exp_inf": d + 2}),
    "nadam": (NAdam, SLOW, nadam_like),
    "nadam, early": (NAdam, {**SLOW, "momentum_decay": 0.0}, nadam_like),
    "nadam, without average": (NAdam, {**SLOW, "betas": (0.0, NEAR_1)}, nadam_like),
    "radam": (RAdam, SLOW, adam_like),
    "radam, first steps": (RAdam, {"betas": (0.0, 0.999)}, lambda d, p: {
        **adam_like(d, p), "step": 2.0}),
    "rmsprop": (RMSprop, {"alpha": NEAR_1}, rmsprop_like),
    "rmsprop, momentum": (RMSprop, {"alpha": NEAR_1, "momentum": 0.8}, rmsprop_like),
    "rmsprop, centered": (RMSprop, {"alpha": NEAR_1, "centered": True}, rmsprop_like),
    "rmsprop, both": (
        RMSprop, {"alpha": NEAR_1, "centered": True, "momentum": 0.8}, rmsprop_like),
    "sdprop": (SDProp, {"gamma": NEAR_1}, sdprop_like),
    "sdprop, decoupled": (
        SDProp, {"gamma": NEAR_1, "decoupled_weight_decay": True}, sdprop_like),
    "adastand": (Adastand, {"betas": (0.7, NEAR_1)}, adastand_like),
    "adastand, short memory": (Adastand, {"betas": (0.2, NEAR_1)}, adastand_like),
    "adagrad": (Adagrad, {"lr_decay": 1e-6}, lambda d, p: {"step": 1e6 + 1, "sum": 1e6 * d**2}),
    "adadelta": (Adadelta, {"rho": NEAR_1, "eps": 0.1},
                 lambda d, p: {"step": LATE, "square_avg": d**2, "acc_delta": 1 / d}),
    "adafactor": (Adafactor, {"beta2_decay": -3.0}, factors),
}  # fmt: skip
APART = ("adamw", "nadam", "radam", "adafactor")  # weight decay beside the gradient


def problem():
    """A linear model at its optimum, and what its steps are divided by."""
    gen = torch.Generator().manual_seed(0)
    model = nn.Linear(3, 2).double()
    for p in model.parameters():
        p.data = torch.randn(p.shape, generator=gen, dtype=torch.float64)
    x = torch.randn(7, 3, generator=gen, dtype=torch.float64)
    d = [torch.rand(p.shape, generator=gen).double() + 0.5 for p in model.parameters()]
    return model, x, model(x).detach(), d


def started(name, model, d, rate, decay=0.0, groups=False):
    """torch's optimizer in the middle of a training."""
    kind, settings, state = CASES[name]
    weight, bias = model.parameters()
    apart = {"decoupled_weight_decay": True} if decay and name in ("nadam", "radam") else {}
    parts = (
        [{"params": [weight]}, {"params": [bias], "lr": 0.4 * rate}] if groups else [weight, bias]
    )
    optimizer = kind(parts, lr=rate, **{**settings, **apart, "weight_decay": decay})
    for group in optimizer.param_groups:
        for p in group["params"]:
            own = state(d[0] if p is weight else d[1], p)
            counts = {k: torch.tensor(v, dtype=torch.float64) for k, v in own.items()
                      if isinstance(v, float)}  # fmt: skip
            if kind is ASGD:
                read = 0.1 if p is weight or not groups else 0.04  # rates when the limit is read
                later = (1 + settings["lambd"] * read * own["step"]) ** 0.75
                counts["eta"] = torch.tensor(float(group["lr"]) / later, dtype=torch.float64)
            optimizer.state[p] = {**own, **counts}
    return optimizer


def step_matrix(model, x, y, make):
    """A step of weights and averages as a matrix, by torch's own steps from each unit vector."""
    average = next((key for key in ("exp_avg", "momentum_buffer", "deviation_avg")
                    if key in make(model).state[model.weight]), None)  # fmt: skip
    sizes = [p.numel() for p in model.parameters()] * (2 if average else 1)

    def step(start):
        net = copy.deepcopy(model)
        optimizer = make(net)
        parts, shapes = start.split(sizes), [p.shape for p in net.parameters()] * 2
        held = [p.data for p in net.parameters()]
        if average:
            held += [optimizer.state[p][average] for p in net.parameters()]
        for tensor, part, shape in zip(held, parts, shapes, strict=False):
            tensor += part.reshape(shape)
        nn.functional.mse_loss(net(x), y).backward()
        optimizer.step()
        return torch.cat([tensor.reshape(-1) for tensor in held])

    small = 1e-9  # so that the squares do not feel it
    still = step(torch.zeros(sum(sizes)).double())
    units = small * torch.eye(sum(sizes)).double()
    return torch.stack([(step(unit) - still) / small for unit in units], 1)


def reach(matrix):
    return float(torch.linalg.eigvals(matrix).abs().max())


@pytest.mark.parametrize("groups", [False, True])
@pytest.mark.parametrize("decay", [0.0, 0.5])
@pytest.mark.parametrize("name", CASES)
def test_the_limit_is_where_the_matrix_of_a_step_has_the_radius_1(name, decay, groups):
    model, x, y, d = problem()
    optimizer = started(name, model, d, 0.1, decay, groups)
    found = limits(model, (x, y), nn.MSELoss(), optimizer, tol=1e-10)
    source = "" if name == "sgd" else "the optimizer's state"
    assert found.preconditioner.partition(";")[0] == source
    for share in (1 - 1e-4, 1, 1 + 1e-4):
        matrix = step_matrix(
            model,
            x,
            y,
            lambda net: started(name, net, d, share * found.limit, decay, groups),  # noqa: B023
        )
        size = reach(matrix)
        if share == 1:
            assert size == pytest.approx(1, abs=1e-5)
        else:
            assert (size > 1) == (share > 1)


def test_another_limit_is_seen():
    model, x, y, d = problem()
    found = limits(model, (x, y), nn.MSELoss(), started("rmsprop, both", model, d, 0.1), tol=1e-10)
    as_adam = found.limit / (1 - 0.8)  # with an average that is weighted
    matrix = step_matrix(model, x, y, lambda net: started("rmsprop, both", net, d, as_adam))
    assert reach(matrix) > 1.1


def test_every_entry_is_tried():
    assert {kind for kind, _, _ in CASES.values()} == set(KINDS)


def bowl():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 1)).double()
    x = torch.randn(12, 4, dtype=torch.float64)
    return model, (x, x[:, :1].sin())


@pytest.mark.parametrize("name", [kind.__name__.lower() for kind in KINDS])
def test_advice_and_limit_by_name_and_nothing_is_touched(name):
    model, data = bowl()
    weights = copy.deepcopy(model.state_dict())
    found = learning_rate_report(model, data, "mse", name, spectrum=False)
    assert found.rate.optimizer.lower() == found.limit.optimizer.lower() == name
    assert found.rate.advised > 0
    assert 0 < found.limit.limit < float("inf")
    assert found.limit.converged
    assert 0 < nakami.rate_limit(model, data, "mse", name).limit < float("inf")
    assert_close(model.state_dict(), weights, rtol=0, atol=0)


class Signed(torch.optim.Optimizer):
    """Steps of one size, as Lion makes them."""

    def __init__(self, params, lr=1e-3):
        super().__init__(params, {"lr": lr, "betas": (0.9, 0.99)})
        self.own = "beside torch's fields"

    @torch.no_grad()
    def step(self, closure=None):
        assert self.own
        for group in self.param_groups:
            for p in group["params"]:
                m = self.state[p].setdefault("exp_avg", torch.zeros_like(p))
                p -= group["lr"] * (0.9 * m + 0.1 * p.grad).sign()
                m.lerp_(p.grad, 0.01)


def matrices(model):
    return [p for p in model.parameters() if p.ndim == 2]


@pytest.mark.parametrize(
    "make",
    [
        lambda model: Signed(model.parameters(), lr=0.1),
        lambda model: Rprop(model.parameters(), lr=0.1),
        lambda model: Muon(matrices(model.float()), lr=0.1),
    ],
)
def test_without_a_linear_step_there_is_advice_and_no_limit(make):
    model, (x, y) = bowl()
    optimizer = make(model)
    data = (x.to(model[0].weight.dtype), y.to(model[0].weight.dtype))
    found = nakami.learning_rate(model, data, "mse", optimizer)
    assert found.advised > 0
    assert found.optimizer == type(optimizer).__name__
    assert not optimizer.state
    with pytest.raises(TypeError, match=r"make steps that are linear.*; ask nakami\.learning_rate"):
        limits(model, data, "mse", optimizer)
    with pytest.raises(TypeError, match=r"make steps that are linear.*; ask nakami\.learning_rate"):
        learning_rate_report(model, data, "mse", optimizer)
    with pytest.raises(TypeError, match="make steps that are linear in the gradient once"):
        RateControl(model, optimizer, data, "mse", 0.1)


@pytest.mark.parametrize("kind", [LBFGS, SparseAdam])
def test_optimizers_that_trials_cannot_drive_are_refused(kind):
    model, data = bowl()
    message = rf"step by dense gradients, without a closure, got {kind.__name__}; use torch\.optim"
    with pytest.raises(TypeError, match=message):
        nakami.learning_rate(model, data, "mse", kind(model.parameters()))


class Named(RMSprop):
    """A subclass with torch's steps."""


def test_a_subclass_with_the_steps_of_its_parent_is_its_parent():
    model, data = bowl()
    own, torchs = (kind(model.parameters(), lr=0.01, momentum=0.9) for kind in (Named, RMSprop))
    found = nakami.rate_limit(model, data, "mse", own)
    assert (found.optimizer, found.limit) == (
        "Named",
        nakami.rate_limit(model, data, "mse", torchs).limit,
    )
    advised = [nakami.learning_rate(model, data, "mse", each).advised for each in (own, torchs)]
    assert advised[0] == advised[1]


def test_hooks_and_schedulers_of_the_optimizer_see_no_trial():
    model, data = bowl()
    optimizer, seen = Adam(model.parameters(), lr=0.01), []
    optimizer.register_step_pre_hook(lambda *_: seen.append(1))
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
    counted = optimizer._opt_called if hasattr(optimizer, "_opt_called") else None
    nakami.learning_rate(model, data, "mse", optimizer)
    nakami.rate_limit(model, data, "mse", optimizer)
    assert not seen
    assert scheduler.last_epoch == 0
    assert getattr(optimizer, "_opt_called", None) == counted


def test_adafactor_says_which_rates_have_no_effect():
    model, x, y, d = problem()
    optimizer = started("adafactor", model, [1e6 * part for part in d], 0.1)
    found = limits(model, (x, y), nn.MSELoss(), optimizer)
    assert found.limit > 0.01
    assert "no rate above 0.01 has an effect" in found.preconditioner


def test_the_warm_up_of_radam_is_no_reason_for_a_high_rate():
    model, data = bowl()
    both = learning_rate_report(model, data, "mse", "radam", spectrum=False)
    found = both.rate
    end = max(found.trials, key=lambda trial: len(trial.losses))
    steps = len(end.losses)
    length = 1999 - 2 * steps * 0.999**steps / (1 - 0.999**steps)
    factor = ((length - 4) * (length - 2) * 1999 / (1995 * 1997 * length)) ** 0.5
    assert found.notes[-1].kind is AdviceNote.WARMS_UP
    assert found.notes[-1].numbers["growth"] == pytest.approx(1 / factor)
    assert f"lowers the limit by {1 / factor:.3g}" in both.limit.preconditioner
    best = math.exp(sum(math.log(rate) for rate in found.interval) / 2)
    adam = nakami.learning_rate(model, data, "mse", "adam").advised
    assert 0.1 < best / adam < 10  # its full steps are those of Adam


class Turned(nn.Module):
    """One complex weight matrix, whole or as pairs of numbers."""

    def __init__(self, whole):
        super().__init__()
        gen = torch.Generator().manual_seed(0)
        w = torch.randn(3, 4, 2, generator=gen, dtype=torch.float64)
        self.w = nn.Parameter(torch.view_as_complex(w) if whole else w)

    def forward(self, x):
        w = self.w if self.w.is_complex() else torch.view_as_complex(self.w)
        return torch.view_as_real(x @ w).flatten(1)


class Held:
    """What a training asks of a matrix, by plain torch."""

    names = ("w",)
    device, dtype = torch.device("cpu"), torch.float64

    def __init__(self, model, x, y):
        self.model, self.x, self.y = copy.deepcopy(model), x, y
        self.weights = {"model.w": self.model.w.detach().clone()}

    def by_batch(self):
        return [self]

    def split(self, flat):
        return {"w": flat.reshape(3, 4, 2)}

    def loss_and_gradient(self, point):
        w = self.model.w.data
        own = torch.view_as_real(w) if w.is_complex() else w
        own.copy_(point.reshape(3, 4, 2))
        loss = nn.functional.mse_loss(self.model(self.x), self.y)
        (found,) = torch.autograd.grad(loss, self.model.w)
        found = torch.view_as_real(found) if found.is_complex() else found
        return float(loss.detach()), found.reshape(-1)


COMPLEX = ("sgd", "adam", "adamax", "nadam", "radam", "rmsprop, both", "adagrad", "adadelta")


@pytest.mark.parametrize("name", COMPLEX)
def test_complex_parameters_count_as_pairs(name):
    kind, settings, _ = CASES[name]
    settings = {**settings, **({"betas": (0.9, 0.99), "eps": 1e-8} if "betas" in settings else {})}
    settings |= {"alpha": 0.9} if "alpha" in settings else {}
    settings |= {"rho": 0.9} if "rho" in settings else {}
    gen = torch.Generator().manual_seed(1)
    x = torch.randn(5, 3, generator=gen, dtype=torch.float64).to(torch.complex128)
    y = torch.randn(5, 8, generator=gen, dtype=torch.float64)
    found = []
    for whole in (True, False):
        model = Turned(whole)
        optimizer = kind(model.parameters(), lr=0.05, **settings)
        op = Held(model, x, y)
        training = Training(optimizer, {"w": model.w}, op)
        losses = [training.step() for _ in range(12)]
        frame = coordinates(training.optimizer, training.copies, op)
        found.append((torch.tensor(losses), training.point, frame.scale))
    (losses, point, scale), wanted = found
    assert_close((losses, point, scale), wanted, rtol=1e-9, atol=1e-12)
    assert losses[-1] < losses[0]
    assert len(point) == len(scale) == 24
    assert float(scale.min()) > 0


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("sgd", "SGD"),
        ("momentum", "SGD with momentum 0.9"),
        ("nesterov", "SGD with Nesterov's momentum 0.9"),
        ("adam", "Adam"),
    ],
)
def test_an_optimizer_in_words_has_its_momentum(name, words):
    torch.manual_seed(0)
    x = torch.randn(6, 2)
    found = nakami.rate_limit(torch.nn.Linear(2, 1), (x, x[:, :1]), "mse", name)
    assert found.method == words
    assert f", {words}, sharpness" in repr(found)
