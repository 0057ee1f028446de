"""What fails in a loss, a model or a view of the caller's is reported as that, in one sentence."""

import re

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.testing import assert_close

import nakami
from curvatures import perceptron
from gauntlet import Reference
from nakami.results import UsageError

torch.manual_seed(0)
X, Y, AIMS = torch.randn(8, 4), torch.randint(0, 3, (8,)), torch.randn(8, 3)


class Two(nn.Module):
    """Two outputs; ``form`` puts them together."""

    def __init__(self, form=lambda a, b: (a, b)):
        super().__init__()
        self.a, self.b, self.form = nn.Linear(4, 3), nn.Linear(4, 3), form

    def forward(self, x):
        return self.form(self.a(x), self.b(x).exp())


def absent(z, y):
    raise KeyError("absent")


LOSSES = [
    (lambda z: z.sum(), AIMS, "got lambda(z); wrap it: lambda z, t: loss(z)."),
    (lambda a, b, c: a.sum(), AIMS, "got lambda(a, b, c); wrap it: lambda z, t: loss("),
    (nn.GaussianNLLLoss(), AIMS, ("GaussianNLLLoss(input, target, var); wrap it: lambda z, t: "
     "loss(z[0], t, z[1]).")),
    (nn.TripletMarginLoss(), AIMS, "wrap it: lambda z, t: loss(z[0], z[1], z[2])."),
    (nn.CTCLoss(), AIMS, "wrap it: lambda z, t: loss(z, t[0], t[1], t[2])."),
    (nn.CosineEmbeddingLoss(), AIMS, "wrap it: lambda z, t: loss(z[0], z[1], t)."),
    (functional.gaussian_nll_loss, AIMS, "wrap it: lambda z, t: loss(z[0], t, z[1])."),
    (absent, AIMS, "loss raised KeyError: 'absent' (absent of outputs (8, 3) and targets (8, 3))"),
    (lambda z, y: z[:, 7].sum(), AIMS, "loss raised IndexError: index 7 is out of bounds"),
    (lambda z, y: (z - y).mean(), AIMS[:4].repeat(2, 2), "loss raised RuntimeError: The size of"),
    (lambda z, y: (z - y).mean(), Y, 'take "cross_entropy" for classes or pass functional.one_hot'),
    (nn.BCELoss(), Y, 'loss raised ValueError: Using a target size'),
    (nn.L1Loss(), Y, 'the outputs, (8, 3), got (8,); take "cross_entropy" for classes or pass'),
    (nn.MSELoss(), Y, 'the outputs, (8, 3), got (8,); take "cross_entropy" for classes or pass'),
    ("bce_with_logits", Y, 'got (8,); take "cross_entropy" for classes or pass functional.one_hot'),
    (nn.SmoothL1Loss(), AIMS[:, :1], "got (8, 1); reshape them as the outputs are or"),
    (functional.huber_loss, AIMS[:, :1], "got (8, 1); reshape them as the outputs are or"),
]  # fmt: skip


@pytest.mark.parametrize(("loss", "y", "message"), LOSSES)
def test_a_loss_that_fails_is_named(loss, y, message):
    kind = nakami.hessian if y is Y else nakami.ggn
    with pytest.raises(UsageError, match=re.escape(message)) as error:
        kind(perceptron(), (X, y), loss)
    raised = str(error.value).startswith("loss raised")
    assert (error.value.__cause__ is not None) == raised
    assert "\n" not in str(error.value)


def test_what_the_message_says_to_type_is_right():
    loss, model = nn.GaussianNLLLoss(), Two().double()
    data = (X.double(), AIMS.double())
    op = nakami.hessian(model, data, lambda z, t: loss(z[0], t, z[1]))
    wanted = Reference(model).hessian(*data, lambda z, t: loss(z[0], t, z[1]))
    assert_close(op.dense(), wanted, rtol=1e-8, atol=1e-10)


READINGS = {
    "ggn": lambda view: nakami.ggn(view, (X, Y), "cross_entropy"),
    "own loss": lambda view: nakami.hessian(view, (X, Y), lambda z, y: z.square().mean()),
    "jacobian": lambda view: nakami.jacobian(view, X[:1]),
    "initialisation": lambda view: nakami.initialisation(view, X),
    "xray": lambda view: nakami.xray(view, X),
}


@pytest.mark.parametrize("reading", READINGS)
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"forward": lambda m, x: m(x["a"])}, r"forward raised \w+: .* \(x of shape \(\d, 4\)\); "),
        ({"select": lambda out: out[:, :, 3]}, r"select raised IndexError: .* \(outputs of shape"),
        ({"select": lambda out: absent(out, out)}, r"select raised KeyError: 'absent' .*; leave"),
    ],
)
def test_a_view_that_fails_is_named(options, message, reading):
    with pytest.raises(UsageError, match=message) as error:
        READINGS[reading](nakami.View(perceptron(), **options))
    assert error.value.__cause__ is not None


class Wrong(nn.Linear):
    def forward(self, x):
        return super().forward(x)[:, :, 0]


@pytest.mark.parametrize("reading", READINGS)
def test_a_model_that_fails_is_named_with_its_shapes(reading):
    with pytest.raises(UsageError, match=r"model \(Wrong\) cannot take an input of shape \(\d, 4"):
        READINGS[reading](Wrong(4, 3))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"forward": lambda m: m}, ("forward must be a function, called as forward(model, x), got "
         "lambda(m); pass a function of (model, x), where")),
        ({"select": lambda a, b: a}, "called as select(output), got lambda(a, b); pass a function"),
        ({"target": lambda a, b: b}, "called as target(batch), got lambda(a, b); pass a function"),
    ],
)  # fmt: skip
def test_functions_of_a_view_with_other_arguments(options, message):
    with pytest.raises(UsageError, match=re.escape(message)):
        nakami.View(perceptron(), **options)


def test_a_target_that_fails_is_named():
    view = nakami.View(perceptron(), target=lambda batch: batch["k"])
    with pytest.raises(UsageError, match=r"target raised TypeError: .* \(a tuple of shape \(8, 4"):
        nakami.ggn(view, [(X, Y)], "cross_entropy")


@pytest.mark.parametrize(
    ("form", "message"),
    [
        (lambda a, b: (a, b), ("got '0' of shape (8, 3), '1' of shape (8, 3); pass "
         "nakami.View(model, select='0') or pass a function of all outputs")),
        (lambda a, b: {"u": a, "v": [b, None]}, "got 'u' of shape (8, 3), 'v.0' of"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("loss", ["cross_entropy", nn.CrossEntropyLoss(), functional.cross_entropy])
def test_one_of_several_outputs_is_not_guessed(form, message, loss):
    with pytest.raises(UsageError, match=re.escape(message)):
        nakami.ggn(Two(form), (X, Y), loss)


@pytest.mark.parametrize(
    "form",
    [
        lambda a, b: {"hidden": b, "logits": a},
        lambda a, b: (a, b.argmax(1), None),
        lambda a, b: [{"u": a}],
    ],
)
def test_the_logits_or_the_only_floating_output_is_the_one(form):
    torch.manual_seed(0)
    model = Two(form).double()
    wanted = Reference(model, lambda m, x: m.a(x)).ggn(X.double(), Y, nn.CrossEntropyLoss())
    found = nakami.ggn(model, (X.double(), Y), "cross_entropy").dense()
    assert_close(found, wanted, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("reading", ["jacobian", "initialisation", "xray"])
def test_targets_beside_an_input_are_named(reading):
    rows = slice(0, 1) if reading == "jacobian" else slice(None)
    for pair in ((X[rows], Y[rows]), [X[rows], AIMS[rows]]):
        with pytest.raises(UsageError, match=r"the input must be without targets, .* x alone"):
            getattr(nakami, reading)(perceptron(), pair)
    mapping = {"input": X[rows], "labels": Y[rows]}
    with pytest.raises(UsageError, match=r"without targets, got one with 'input', 'labels'; pass"):
        getattr(nakami, reading)(perceptron(), mapping)


def test_the_loss_of_a_model_that_returns_none():
    with pytest.raises(UsageError, match=r"loss must be given for a model that takes inputs with"):
        nakami.hessian(perceptron(), (X, Y), None)
    with pytest.raises(UsageError, match=r"loss must be given for a model that takes inputs with"):
        nakami.learning_rate(perceptron(), (X, Y), None)
    with pytest.raises(UsageError, match=r"loss must be given for a model that takes inputs with"):
        nakami.rate_limit(perceptron(), (X, Y), None)


def test_progress_is_called_with_four_arguments():
    with pytest.raises(UsageError, match=r"called as progress\(done, total, seconds_left, what\)"):
        nakami.learning_rate(perceptron(), (X, Y), "cross_entropy", progress=print_one)
    with pytest.raises(UsageError, match=r"called as progress\(done, total, seconds_left, what\)"):
        nakami.rate_limit(perceptron(), (X, Y), "cross_entropy", progress=print_one)


def print_one(done):
    raise AssertionError(done)


def of_logits(z, y):
    return functional.cross_entropy(z[:, :3].reshape(-1, 3), y) + 0.1 * z.square().mean()


@pytest.mark.parametrize("kind", ["ggn", "hessian"])
@pytest.mark.parametrize("form", [
    lambda a, b: {"logits": a, "states": b},
    lambda a, b: {"logits": a, "cache": (b, b)},
    lambda a, b: (a,),
])  # fmt: skip
def test_a_loss_that_cannot_take_all_outputs_gets_the_logits(form, kind):
    model, plain = Two(form).double(), Two(lambda a, b: a).double()
    plain.load_state_dict(model.state_dict())
    x = X.double()
    found = getattr(nakami, kind)(model, (x, Y), of_logits, params="a.*").dense()
    wanted = getattr(nakami, kind)(plain, (x, Y), of_logits, params="a.*").dense()
    assert_close(found, wanted, rtol=1e-12, atol=1e-14)
    z = plain(x).detach()
    weights = torch.autograd.functional.hessian(lambda z: of_logits(z, Y), z).reshape(24, 24)
    a = torch.cat([x, torch.ones(8, 1).double()], 1)
    jacobian = torch.einsum("ij,nk->nijk", torch.eye(3).double(), a).reshape(24, 15)
    order = torch.cat(
        [torch.cat([torch.arange(4) + 5 * i for i in range(3)]), torch.arange(4, 15, 5)]
    )
    dense = (jacobian.T @ weights @ jacobian)[order][:, order]
    assert_close(found, dense, rtol=1e-10, atol=1e-12)


def test_a_loss_that_takes_neither_all_outputs_nor_the_logits_is_told_of_the_first():
    model = Two(lambda a, b: {"logits": a, "states": b})
    with pytest.raises(UsageError, match=r"loss raised KeyError: 'absent' \(lambda of"):
        nakami.ggn(model, (X, Y), lambda out, y: out["absent"].sum())
