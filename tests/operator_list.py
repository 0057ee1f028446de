"""Every operator of the library, each at a small network: a new one joins with one entry.

An entry makes the operator and, from the model as it is at that moment, its dense float64
reference by ``torch.autograd`` alone.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

import nakami
from curvatures import Dense
from nakami.spectra import Gram, Preconditioned
from own_functions import OldSine, OnceSine, Sine


class Small(nn.Module):
    """Two layers, a normalisation with buffers, a flag; ``act`` says which products can be made."""

    def __init__(self, act: Callable = torch.sin):
        super().__init__()
        self.enter, self.norm = nn.Linear(4, 5), nn.BatchNorm1d(5)
        self.drop, self.leave = nn.Dropout(0.5), nn.Linear(5, 3)
        self.act, self.flag = act, True

    def forward(self, x):
        h = self.act(self.norm(self.enter(x)))
        return self.leave(self.drop(h) if self.flag else 2 * h)


class Sequence(nn.Module):
    """Tokens, a recurrent layer, and a weight that is used twice."""

    def __init__(self):
        super().__init__()
        self.table, self.cell = nn.Embedding(5, 4), nn.GRU(4, 4, batch_first=True)

    def forward(self, x):
        return self.cell(self.table(x))[0][:, -1] @ self.table.weight.T


def model(make=Small, dtype=torch.float64):
    torch.manual_seed(0)
    net = make()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.running_mean.uniform_(-0.5, 0.5)
            module.running_var.uniform_(0.5, 2.0)
    return net.to(dtype)


def plain(net):
    """A float64 copy in evaluation mode whose activation every mode of torch can differentiate."""
    net = copy.deepcopy(net).double().eval()
    for module in net.modules():
        if hasattr(module, "act"):
            module.act = torch.sin
    return net


GEN = torch.Generator().manual_seed(5)
X = torch.randn(7, 4, generator=GEN, dtype=torch.float64)
Y = torch.randint(0, 3, (7,), generator=GEN)
Z = torch.randn(7, 3, generator=GEN, dtype=torch.float64)
TOKENS = torch.randint(0, 5, (6, 3), generator=GEN)
WORDS = torch.randint(0, 5, (6,), generator=GEN)


@dataclass(frozen=True)
class Entry:
    """One operator.

    Attributes:
        net: Makes the model. build: ``build(model, dtype) -> operator``.
        dense: ``dense(model) -> matrix``, float64, of the model as it is.
        reruns: Whether every product runs the model's code again.
        current: Whether it has ``at_current_weights``.
    """

    net: Callable[[], nn.Module]
    build: Callable[[nn.Module, torch.dtype], Any]
    dense: Callable[[nn.Module], torch.Tensor]
    reruns: bool = False
    current: bool = True


def _input(net):
    return torch.autograd.functional.jacobian(plain(net), X[:1]).reshape(3, 4)


def _stage(net):
    net = plain(net)
    entered = net.enter(X[:1]).detach()
    return torch.autograd.functional.jacobian(
        lambda h: net.leave(net.act(net.norm(h))), entered
    ).reshape(3, 5)


def _several(net):
    return torch.cat([plain(net).enter.weight.detach(), _input(net)])


def _parameters(net, x=X[:1], only=None):
    net = plain(net)
    names = [n for n, _ in net.named_parameters() if only is None or n.startswith(only)]
    weights = dict(net.named_parameters())
    rows = []
    for out in net(x).reshape(-1):
        grads = torch.autograd.grad(out, [weights[n] for n in names], retain_graph=True)
        rows.append(torch.cat([g.reshape(-1) for g in grads]))
    return torch.stack(rows)


def _embedded(net):
    net = plain(net)
    state = net.table(TOKENS[:1]).detach()

    def rest(h):
        return net.cell(h)[0][:, -1] @ net.table.weight.T

    return torch.autograd.functional.jacobian(rest, state).reshape(5, -1)


def _curved(kind, loss=None, x=X, y=Y):
    loss = loss or nn.CrossEntropyLoss()

    def dense(net):
        found = Dense(plain(net), x, y, loss)
        matrix = {
            "fisher": found.fisher,
            "ggn": lambda: found.own(found.fisher()),
            "empirical_fisher": found.empirical_fisher,
            "hessian": lambda: found.hessian(y),
        }[kind]()
        return matrix.detach()

    return dense


def _block(matrix):
    """The rows and columns of ``leave.*`` of a network ``Small`` (the last 18 parameters)."""
    return lambda net: matrix(net)[-18:, -18:]


def jac(**options):
    return lambda net, dtype: nakami.jacobian(net, X[:1].to(dtype), **options)


def fisher(kind="fisher", x=X, y=Y, loss="cross_entropy", **options):
    def build(net, dtype):
        data = (x.to(dtype) if x.is_floating_point() else x, y)
        return getattr(nakami, kind)(net, data, loss, **options)

    return build


def batches(net, dtype):
    x = X.to(dtype)
    return nakami.ggn(net, [(x[:3], Y[:3]), (x[3:], Y[3:])], "cross_entropy")


def little(net, dtype):
    """No graph fits the budget: every product runs the model."""
    data = (X[:2].to(dtype), Y[:2])
    return nakami.ggn(net, data, "cross_entropy", memory_budget=3000)


def _scaled(net):
    scale = torch.linspace(0.5, 2, 53, dtype=torch.float64)
    return scale[:, None] * _curved("ggn")(net) * scale


def scaled(net, dtype):
    scale = torch.linspace(0.5, 2, 53, dtype=torch.float64)
    return Preconditioned(fisher("ggn")(net, dtype), scale)


def slopes(act):
    return lambda: model(lambda: Small(act))


OPERATORS = {
    "by the input": Entry(model, jac(), _input),
    "from a stage": Entry(model, jac(start="enter"), _stage),
    "to several stages": Entry(model, jac(to=["enter", "output"]), _several),
    "double reverse": Entry(slopes(Sine.apply), jac(), _input),
    "plain autograd": Entry(slopes(OldSine.apply), jac(), _input, reruns=True),
    "rows kept": Entry(slopes(OnceSine.apply), jac(), _input, reruns=True),
    "from an embedding": Entry(
        lambda: model(Sequence),
        lambda net, dtype: nakami.jacobian(net, TOKENS[:1]),
        _embedded,
    ),
    "by parameters": Entry(model, jac(wrt="parameters"), _parameters),
    "by some parameters": Entry(
        model,
        jac(wrt="parameters", params="leave.*"),
        lambda net: _parameters(net, only="leave"),
    ),
    "by parameters, plain autograd": Entry(
        slopes(OldSine.apply), jac(wrt="parameters"), _parameters, reruns=True
    ),
    **{
        f"{kind}": Entry(model, fisher(kind), _curved(kind))
        for kind in ("fisher", "ggn", "empirical_fisher", "hessian")
    },
    "squared error": Entry(
        model, fisher("ggn", y=Z, loss="mse"), _curved("ggn", nn.MSELoss(), y=Z)
    ),
    "ggn, plain autograd": Entry(slopes(OldSine.apply), fisher("ggn"), _curved("ggn"), reruns=True),
    "ggn in batches": Entry(model, batches, _curved("ggn")),
    "ggn without graphs": Entry(model, little, _curved("ggn", x=X[:2], y=Y[:2]), reruns=True),
    "fisher of tokens": Entry(
        lambda: model(Sequence),
        fisher("fisher", TOKENS, WORDS),
        _curved("fisher", x=TOKENS, y=WORDS),
    ),
    "ggn of some parameters": Entry(model, fisher("ggn", params="leave.*"), _block(_curved("ggn"))),
    "a layer's block": Entry(
        model, lambda net, dtype: fisher("ggn")(net, dtype).layer("leave.*"), _block(_curved("ggn"))
    ),
    "a scaled ggn": Entry(model, scaled, _scaled, current=False),
    "the square of a ggn": Entry(
        model,
        lambda net, dtype: Gram(fisher("ggn")(net, dtype)),
        lambda net: _curved("ggn")(net) @ _curved("ggn")(net),
        current=False,
    ),
}
