"""What docs/reach.md says is refused is refused, by the sentence that stands there."""

import re
import warnings

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

import nakami
from own_functions import Applied, OldSine
from pages import table_in_docs
from plain_models import OnceCube

pytestmark = pytest.mark.filterwarnings(
    "ignore:None of the inputs have requires_grad=True. Gradients will be None:UserWarning"
)

X, BATCH, CLASSES = torch.ones(1, 4), torch.ones(5, 4), torch.zeros(5, dtype=torch.long)


class Written(nn.Module):
    """A layer, and a forward written as a function of it and the input."""

    def __init__(self, function, layer=None):
        super().__init__()
        self.layer, self.function = layer or nn.Linear(4, 4), function

    def forward(self, x):
        return self.function(self.layer, x)


class Clipped(OldSine):
    @staticmethod
    def backward(ctx, g):
        return g.clamp(-0.01, 0.01)


class Tokens(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(5, 4)

    def forward(self, x):
        return checkpoint(self.table, x, use_reentrant=True)


def reads(function, x=X, **options):
    return lambda: nakami.jacobian(Written(function), x, **options)


def with_nan():
    layer = nn.Linear(4, 4)
    layer.weight.data[0, 0] = torch.nan
    return nakami.jacobian(layer, X)


def scripted():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return nakami.jacobian(torch.jit.script(nn.Linear(4, 4)), X)


def hessian():
    net = nn.Sequential(nn.Linear(4, 4), Applied(OnceCube))
    return nakami.hessian(net, (BATCH, torch.zeros(5, 4)), "mse") @ torch.ones(20, 1)


def dropout():
    view = nakami.View(nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5)), batch_statistics=True)
    return nakami.fisher(view, (BATCH, CLASSES), "cross_entropy")


REFUSED = {
    "a model that is random in evaluation mode": reads(lambda f, x: f(x) + torch.rand(4)),
    "an input of several examples": reads(lambda f, x: f(x), torch.ones(3, 4)),
    "NaN in the weights": with_nan,
    "NaN in the input": reads(lambda f, x: f(x), X * torch.nan),
    "weights without numbers": lambda: nakami.jacobian(nn.LazyLinear(3), X),
    "a start that is no cut": reads(lambda f, x: f(x) + x, start="layer"),
    "a scripted module": scripted,
    "a complex or whole-numbered output": reads(lambda f, x: torch.fft.fft(f(x))),
    "a gradient that is cut": reads(lambda f, x: f(x.detach())),
    "code that leaves torch without a backward of its own": reads(
        lambda f, x: f(torch.from_numpy(2 * x.detach().numpy()))
    ),
    "a backward that is not linear": lambda: nakami.jacobian(Applied(Clipped), X),
    "weights in a reentrant checkpoint that only tokens enter": lambda: nakami.jacobian(
        Tokens(), torch.tensor([[1, 2]]), wrt="parameters"
    ),
    "the Hessian of a function that is differentiable once": hessian,
    "half precision as `dtype=`": lambda: nakami.View(nn.Linear(4, 4), dtype=torch.float16),
    "dropout with `batch_statistics=True`": dropout,
    "`NLLLoss` for `ggn`": lambda: nakami.ggn(nn.Linear(4, 4), (BATCH, CLASSES), nn.NLLLoss()),
}


@pytest.mark.parametrize("what", REFUSED)
def test_the_error_is_the_one_in_the_docs(what):
    sentence = re.escape(table_in_docs("What is refused")[what].strip("`")).replace("…", ".*")
    with pytest.raises((ValueError, TypeError)) as error:
        REFUSED[what]()
    assert re.match(sentence, str(error.value), re.DOTALL), str(error.value)


def test_every_row_is_tried():
    assert list(table_in_docs("What is refused")) == list(REFUSED)
