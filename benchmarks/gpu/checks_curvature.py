"""Matrices of the loss by the parameters: products, spectra and traces beside float64 autograd."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import cross_entropy

import nakami

from . import bounds
from .machine import arithmetic
from .networks import NETS, placed
from .units import Found, Setting, Unit

N, K, TOL = 6, 3, 1e-4


@dataclass
class Reference:
    """What float64 on the CPU says of a network and its cross entropy, by autograd alone.

    Attributes:
        rows: ``R_n J_n / sqrt(N)`` of all samples one above the other: the Fisher matrix is
            ``rows^T rows``, with ``R^T R = diag(p) - p p^T``.
        slopes: Gradients of the samples over ``sqrt(N)``; the empirical Fisher is their product.
        weights: Parameters. loss: the mean cross entropy, with its graph.
    """

    rows: Tensor
    slopes: Tensor
    weights: list[nn.Parameter]
    loss: Tensor

    def hessian(self, v: Tensor) -> Tensor:
        """``H v`` by two reverse passes."""
        flat = _flat(torch.autograd.grad(self.loss, self.weights, create_graph=True))
        return _flat(torch.autograd.grad(flat @ v, self.weights))


def _flat(parts: tuple[Tensor, ...]) -> Tensor:
    return torch.cat([part.reshape(-1) for part in parts])


def reference(model: nn.Module, x: Tensor, y: Tensor) -> Reference:
    """Row by row."""
    weights, rows, slopes = list(model.parameters()), [], []
    with sdpa_kernel(SDPBackend.MATH):  # which can be differentiated twice
        loss = cross_entropy(model(x), y)
    for one, label in zip(x, y, strict=True):
        z = model(one[None])[0]
        jacobian = torch.stack(
            [_flat(torch.autograd.grad(out, weights, retain_graph=True)) for out in z]
        )
        p = z.detach().softmax(0)
        root = torch.diag(p.sqrt()) - torch.outer(p.sqrt(), p)
        rows.append(root @ jacobian)
        slopes.append((p - torch.eye(len(p), dtype=p.dtype)[label]) @ jacobian)
    scale = len(x) ** -0.5
    return Reference(torch.cat(rows) * scale, torch.stack(slopes) * scale, weights, loss)


def curvature(setting: Setting, found: Found, *, net: str, how: str) -> None:
    """Fisher, GGN, empirical Fisher and Hessian: products; spectrum and trace of the Fisher."""
    case = NETS[net]
    model, x = case.drawn(N)
    classes = model(x).shape[1]
    y = torch.arange(N) % classes
    with arithmetic(how, setting.device) as dtype:
        card = placed(model, setting.device, dtype)
        truth = reference(card.double().cpu(), x.to(dtype).double(), y)
        card = placed(model, setting.device, dtype)
        data = x.to(setting.device, dtype), y.to(setting.device)
        # both ways through the network, then a sum over samples
        bound = 2 * bounds.product(case.layers, case.terms, how)
        n = truth.rows.shape[1]
        gen = torch.Generator().manual_seed(1)
        v = torch.randn(n, 2, generator=gen, dtype=torch.float64)
        fisher = nakami.fisher(card, data, "cross_entropy")
        on = partial(torch.Tensor.to, device=fisher.device, dtype=fisher.dtype)
        wanted = truth.rows.T @ (truth.rows @ v)
        found.near("Fisher V, 2 columns", fisher @ on(v), wanted, bound)
        ggn = nakami.ggn(card, data, "cross_entropy")
        found.near("GGN v", ggn @ on(v[:, 0]), wanted[:, 0], bound)
        own = nakami.empirical_fisher(card, data, "cross_entropy") @ on(v)
        found.near("empirical Fisher V", own, truth.slopes.T @ (truth.slopes @ v), bound)
        hessian = nakami.hessian(card, data, "cross_entropy")
        found.near("Hessian v", hessian @ on(v[:, 0]), truth.hessian(v[:, 0]), 2 * bound)
        found.notes |= {"route": fisher.route}
        spectrum(fisher, truth, bound, found)


def spectrum(
    fisher: nakami.operators.CurvatureOperator, truth: Reference, bound: float, found: Found
) -> None:
    """The largest eigenvalues, the norm and the trace."""
    values = torch.linalg.eigvalsh(truth.rows @ truth.rows.T).flip(0)
    spread = float(values.sum() / values[0])  # of |A|_F / |A|_2, from above
    allowed = bounds.value(bound, spread, TOL)
    run = nakami.eigh(fisher, K, TOL)
    error = (run.values.double().cpu() - values[:K]).abs().max() / values[0]
    found.within("eigenvalues", float(error), allowed)
    found.holds("converged", run.converged)
    norm = nakami.norm(fisher, TOL)
    found.within("norm", abs(float(norm.value) / float(values[0]) - 1), allowed)
    trace = nakami.trace(fisher)
    # an exact trace has rounding alone, an estimated one six standard errors
    doubt = 6 * float(trace.se) / float(values.sum())
    found.within("trace", abs(float(trace.value) / float(values.sum()) - 1), bound + doubt)


UNITS = [
    Unit(f"curvature/{net}/{how}", partial(curvature, net=net, how=how))
    for net in ("mlp", "conv", "attention", "gru")
    for how in ("float64", "float32", "tf32", "bfloat16", "autocast")
]
