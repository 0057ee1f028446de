"""Dense float64 matrices by torch.autograd and torch.func alone, of a model as one function."""

from unittest.mock import patch

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._pytree import tree_flatten, tree_unflatten


class Reference:
    """Dense matrices of ``loss(model(x), y)`` at all of ``x`` at once, by torch.autograd.

    ``call(model, x)`` gives what the loss takes; ``frozen``: whether parameters that ask for no
    gradient count, too.
    """

    def __init__(self, model, call=lambda model, x: model(x), frozen=False):
        named = {n: p for n, p in model.named_parameters() if p.requires_grad or frozen}
        self.point = torch.cat([p.detach().reshape(-1) for p in named.values()])

        class Whole(nn.Module):
            def __init__(self):
                super().__init__()
                self.inner = model

            def forward(self, x):
                return call(self.inner, x)

        whole = Whole()

        def outputs(flat, x):
            parts = flat.split([p.numel() for p in named.values()])
            items = zip(named.items(), parts, strict=True)
            new = {f"inner.{n}": part.reshape(p.shape) for (n, p), part in items}
            mode = {m: m.training for m in model.modules()}
            model.eval()
            try:  # fused attention has no second derivative, fused weight norm a wrong one
                with sdpa_kernel(SDPBackend.MATH), patch("torch._weight_norm", weight_norm):
                    return torch.func.functional_call(whole, new, (x,))
            finally:
                for module, training in mode.items():
                    module.training = training

        self.outputs = outputs

    def value(self, x, y, loss):
        return float(loss(self.outputs(self.point, x), y))

    def hessian(self, x, y, loss):
        return torch.autograd.functional.hessian(
            lambda flat: loss(self.outputs(flat, x), y), self.point
        )

    def ggn(self, x, y, loss):
        return gauss_newton(lambda flat: self.outputs(flat, x), lambda z: loss(z, y), self.point)


def weight_norm(v, g, dim=0):
    return g * v / torch.norm_except_dim(v, 2, dim)


def gauss_newton(outputs, loss, point):
    """``J^T H J`` of a function whose outputs are a tree of tensors."""
    leaves, spec = tree_flatten(outputs(point))
    shapes = [leaf.shape for leaf in leaves]
    z = torch.cat([leaf.detach().reshape(-1) for leaf in leaves])

    def of_flat(flat):
        parts = flat.split([shape.numel() for shape in shapes])
        tree = [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]
        return loss(tree_unflatten(tree, spec))

    jac = torch.autograd.functional.jacobian(
        lambda flat: torch.cat([leaf.reshape(-1) for leaf in tree_flatten(outputs(flat))[0]]), point
    )
    return jac.T @ torch.autograd.functional.hessian(of_flat, z) @ jac


class Truth:
    """What every reading of a loss over batches should give.

    Args:
        batches: ``(inputs by name, y)`` of each.
        loss: An entry of ``losses``.
        form: How the outputs lie, ``Kind.outputs``.
    """

    def __init__(self, model, batches, loss, form):
        self.model, self.loss, self.form = model, loss, form
        self.reference = Reference(model, lambda m, x: m(**x))
        self.point = self.reference.point
        self.inputs, self.ys = [x for x, _ in batches], [y for _, y in batches]

    def outputs(self, flat):
        return [self.reference.outputs(flat, x) for x in self.inputs]

    def total(self, flat):
        return self.loss.total(self.outputs(flat), self.ys, self.form)

    def each(self, flat):
        """The negative log-likelihood of each sample."""
        return self.loss.each(self.outputs(flat), self.ys, self.form)

    def value(self):
        return float(self.total(self.point))

    def gradient(self):
        return torch.func.grad(self.total)(self.point)

    def hessian(self, point=None):
        point = self.point if point is None else point
        return torch.autograd.functional.hessian(self.total, point)

    def ggn(self, point=None):
        return gauss_newton(
            self.outputs,
            lambda outs: self.loss.total(outs, self.ys, self.form),
            self.point if point is None else point,
        )

    def fisher(self):
        count = len(self.each(self.point))
        return gauss_newton(
            self.outputs, lambda outs: self.loss.each(outs, self.ys, self.form).sum(), self.point
        ) / count  # fmt: skip

    def empirical_fisher(self):
        rows = torch.autograd.functional.jacobian(self.each, self.point)
        return rows.T @ rows / len(rows)

    def by_input(self, x):
        """The Jacobian of the output by all floating inputs."""
        moving = {name: value for name, value in x.items() if value.is_floating_point()}

        def outputs(*values):
            return self._first(x | dict(zip(moving, values, strict=True))).reshape(-1)

        blocks = torch.autograd.functional.jacobian(outputs, tuple(moving.values()))
        return torch.cat([block.reshape(len(block), -1) for block in blocks], 1)

    def by_embedding(self, x):
        """The Jacobian of the output by what the layer ``table`` returns."""
        table = next(m for m in self.model.modules() if isinstance(m, nn.Embedding))
        (token_input,) = [v for n, v in x.items() if n in ("x", "ids")]
        state = table(token_input).detach()

        def outputs(value):
            hook = table.register_forward_hook(lambda *_: value)
            try:
                return self._first(x).reshape(-1)
            finally:
                hook.remove()

        found = torch.autograd.functional.jacobian(outputs, state)
        return found.reshape(len(found), -1)

    def by_parameters(self, x):
        """The Jacobian of the output by all parameters, frozen ones as well."""
        every = Reference(self.model, lambda m, x: first_tensor(m(**x)).reshape(-1), frozen=True)
        return torch.autograd.functional.jacobian(lambda flat: every.outputs(flat, x), every.point)

    def _first(self, x):
        return first_tensor(self.reference.outputs(self.point, x))


def first_tensor(tree):
    """Of a model that was given labels: the logits beside its loss."""
    if isinstance(tree, dict) and "logits" in tree:
        return tree["logits"]
    leaves = [leaf for leaf in tree_flatten(tree)[0] if isinstance(leaf, torch.Tensor)]
    return leaves[0]
