"""Optimal transport, the zoo, sampling, and the ladder of ways to differentiate."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

import nakami
from nakami import transport, zoo

from . import bounds
from .machine import arithmetic
from .networks import NETS, dense, placed
from .units import Found, Setting, Unit

REG, TOLERANCE = 0.02, 1e-5
LADDER = ("linearised", "forward mode", "double reverse", "plain autograd", "rows kept")
# depth and longest sum of each; inputs smaller than ImageNet's where the network takes them
ZOO = {
    "mlp": (4, 784, None),
    "cnn": (5, 800, None),
    "gru": (58, 60, None),
    "deep": (60, 784, None),
    "squeezenet": (26, 4608, (3, 64, 64)),
    "alexnet-features": (5, 3456, (3, 64, 64)),
    "efficientnet-lite0": (50, 1280, (3, 64, 64)),
    "alexnet": (8, 9216, None),
    "vgg16-features": (13, 4608, (3, 64, 64)),
    "rbm": (1, 784, None),
    "gaussian-rbm": (1, 784, None),
    "autoencoder": (1, 784, None),
    "dbm": (22, 1784, None),  # two layers upwards, and ten times again from both sides
    "dbn": (4, 1000, None),
}
LARGE = ("alexnet",)


def masses(dtype: torch.dtype, device: str) -> tuple[Tensor, Tensor]:
    """Two batches of histograms on 12 points, float32 numbers in any type."""
    gen = torch.Generator().manual_seed(0)
    made = torch.rand(2, 3, 12, generator=gen, dtype=torch.float64) + 0.01
    p, q = (made / made.sum(-1, keepdim=True)).to(device, dtype)
    return p / p.sum(-1, keepdim=True), q / q.sum(-1, keepdim=True)


def ot(setting: Setting, found: Found, *, dtype: torch.dtype) -> None:
    """Sinkhorn, its gradient, the lambda-divergence and a barycenter.

    Both ends stop at ``TOLERANCE`` of the masses. The plan is ``exp`` of potentials over ``reg``:
    a rounding of a potential of size 1 (the largest cost) is one of ``u / reg`` of the plan.
    """
    cost = transport.Grid(12)
    unit = bounds.UNIT["float64" if dtype == torch.float64 else "float32"]
    bound = 2 * TOLERANCE + bounds.SAFETY * 12**0.5 * unit / REG
    ends: list[dict[str, Any]] = []
    for device, kind in (("cpu", torch.float64), (setting.device, dtype)):
        p, q = masses(kind, device)
        p = p.requires_grad_()
        run = transport.sinkhorn(p.detach(), q, cost, REG, tolerance=TOLERANCE)
        value = transport.entropic_cost(p, q, cost, REG, tolerance=TOLERANCE).sum()
        (slope,) = torch.autograd.grad(value, p)
        bary = transport.barycenter(q, cost, REG, tolerance=TOLERANCE)
        sharp = transport.lambda_divergence(p.detach(), q, cost, REG, tolerance=TOLERANCE)
        ends.append({
            "plan": run.plan(), "cost": run.cost, "slope": slope - slope.mean(-1, keepdim=True),
            "barycenter": bary.mass, "lambda-divergence": sharp,
        })  # fmt: skip
    for what, wanted in ends[0].items():
        found.near(what, ends[1][what], wanted, 10 * bound)


def network(setting: Setting, found: Found, *, name: str) -> None:
    """A model of the zoo, as ``compared``."""
    layers, terms, shape = ZOO[name]
    compared(setting, found, zoo.build(name), shape or zoo.ENTRIES[name].input, (layers, terms))


def compared(
    setting: Setting, found: Found, model: nn.Module, shape: tuple[int, ...], size: tuple[int, int]
) -> None:
    """A model in float32: its output, and its Jacobian's products against each other.

    The references are float64 on the CPU, that of ``J v`` by torch's forward mode. ``size``: depth,
    and terms of the longest sum.
    """
    model = model.double().eval()
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.num_batches_tracked += 1  # its statistics are meant
    gen = torch.Generator().manual_seed(0)
    x = torch.rand(1, *shape, generator=gen, dtype=torch.float64)
    card = placed(model, setting.device, torch.float32)
    bound = bounds.product(*size)
    v = torch.randn(x.numel(), generator=gen, dtype=torch.float64)
    truth = torch.func.jvp(model, (x,), (v.reshape(x.shape),))[1]
    with arithmetic("float32", setting.device), torch.no_grad():
        wanted = model(x)
        found.near("output", card(x.to(setting.device).float()), wanted, bound)
        op = nakami.jacobian(card, x.to(setting.device).float())
        on = v.to(op.device, op.dtype)
        jv = op @ on
        found.near("J v", jv, truth.flatten(), bounds.kinked(*size))
        u = jv / jv.norm()
        back = float((op.T @ u).double() @ on.double())
        found.near("<J^T u, v> beside <u, J v>", back, float(jv.double().norm()), bound)
    found.notes |= {"route": op.route}


class NoForward(torch.autograd.Function):
    """A sine without a rule for forward mode."""

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        """``sin x``."""
        return x.sin()

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        """Keeps ``x``."""
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> Tensor:
        """``slope cos x``."""
        return slope * ctx.saved_tensors[0].cos()

    generate_vmap_rule = True


class Without(nn.Module):
    """An MLP with it."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = NETS["mlp"].drawn()[0]

    def forward(self, x: Tensor) -> Tensor:
        """As the MLP does, of a sine."""
        out: Tensor = self.inner(NoForward.apply(x))
        return out


def ladder(setting: Setting, found: Found) -> None:
    """Where a rule is missing, a slower way is taken, says so, and gives the same products.

    A GRU's fused step has no forward rule on a card; the route of ``jacobian/gru`` says what was
    taken. Here forward mode is missing on every device.
    """
    x = NETS["mlp"].drawn()[1]
    wanted = dense(Without(), x)
    op = nakami.jacobian(
        placed(Without(), setting.device, torch.float32), x.to(setting.device).float()
    )
    found.holds("not linearised", op.route.startswith(LADDER[2:]))
    found.near("J as a matrix", op.dense(), wanted, bounds.product(3, 64))
    found.notes |= {"route": op.route}
    for kind in ("gru", "lstm"):
        model, x = NETS[kind].drawn()
        card = placed(model, setting.device, torch.float32)
        route = nakami.jacobian(card, x.to(setting.device).float()).route
        found.holds(f"{kind}: on the ladder", route.startswith(LADDER))
        found.notes[kind] = f"{kind}: {route}"


UNITS = [
    Unit("transport/float64", partial(ot, dtype=torch.float64)),
    Unit("transport/float32", partial(ot, dtype=torch.float32)),
    Unit("ladder", ladder),
    *(Unit(f"zoo/{name}", partial(network, name=name), seconds=90) for name in ZOO),
]
