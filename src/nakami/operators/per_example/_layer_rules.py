"""Layers whose gradients by their own weights follow from their input and the output's gradient."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.instancenorm import _InstanceNorm


class Layer(ABC):
    """A weighted module at one run over n examples.

    ``slope`` is the gradient of anything by the module's output, of the output's shape, axis 0 the
    examples; what returns is that example by example, for ``"weight"`` and ``"bias"`` whether the
    module has them or not.

    Attributes:
        cells: Numbers that are held for each example.
        single: Whether a gradient is one product ``delta a^T``, at one position.
    """

    cells: int
    single = False

    @abstractmethod
    def squares(self, slope: Tensor) -> dict[str, Tensor]:
        """Squared norms of the gradients, ``(n,)`` each."""

    @abstractmethod
    def gradients(self, slope: Tensor) -> dict[str, Tensor]:
        """The gradients, ``(n, *weight)`` each."""


class Product(Layer):
    """Linear layers and convolutions: ``sum_p delta_p a_p^T`` over positions p, by group.

    ``|sum_p delta_p a_p^T|^2`` is that of the product itself, or, where positions are fewer than
    inputs, ``sum_{p,q} (delta_p . delta_q)(a_p . a_q)``, which never forms it.

    Args:
        module: What holds the weight; a linear layer's may be given as it is.
        x: The input, axis 0 the examples.
    """

    def __init__(self, module: nn.Linear | _ConvNd | Tensor, x: Tensor):
        self.module, self.x = module, x
        self.shape = module.shape if isinstance(module, Tensor) else module.weight.shape
        self.groups = module.groups if isinstance(module, _ConvNd) else 1
        self.spatial = isinstance(module, _ConvNd)
        _, g, p, k = self._positions(x[:1]).shape
        self.paired, self.single = p <= k, g == p == 1
        self.overlaps: Tensor | None = None  # (n, groups, positions, positions)
        self.cells = g * p * (k + p * self.paired + 2 * self.shape[0] // g)
        self.cells += 0 if self.paired else g * self.shape[0] // g * k

    @cached_property
    def inputs(self) -> Tensor:
        """``(n, groups, positions, fan-in)``."""
        return self._positions(self.x)

    def _positions(self, x: Tensor) -> Tensor:
        if isinstance(self.module, _ConvNd):
            return patches(self.module, x)
        return x.reshape(len(x), 1, -1, x.shape[-1])

    def slopes(self, slope: Tensor) -> Tensor:
        """The output's gradient as ``(n, groups, outputs, positions)``."""
        n = len(slope)
        if self.spatial:
            return slope.reshape(n, self.groups, self.shape[0] // self.groups, -1)
        return slope.reshape(n, 1, -1, self.shape[0]).transpose(2, 3)

    def squares(self, slope: Tensor) -> dict[str, Tensor]:
        delta = self.slopes(slope)
        if self.overlaps is None and self.paired:
            inputs = self._positions(self.x)  # larger, and not needed again
            self.overlaps = inputs @ inputs.transpose(2, 3)
        if self.overlaps is None:
            by_weight = _square(delta @ self.inputs)
        elif self.overlaps.shape[-1] == 1:
            by_weight = (delta.square().sum((2, 3)) * self.overlaps[..., 0, 0]).sum(1)
        else:
            by_weight = ((delta.transpose(2, 3) @ delta) * self.overlaps).sum((1, 2, 3))
        return {"weight": by_weight, "bias": _square(delta.sum(3))}

    def gradients(self, slope: Tensor) -> dict[str, Tensor]:
        delta = self.slopes(slope)
        by_weight = (delta @ self.inputs).reshape(len(slope), *self.shape)
        return {"weight": by_weight, "bias": delta.sum(3).flatten(1)}


class Lookup(Layer):
    """An embedding: a linear layer on one-hot inputs, whose overlaps are equal tokens."""

    def __init__(self, module: nn.Embedding, x: Tensor):
        self.tokens = x.reshape(len(x), -1)
        self.shape = module.weight.shape
        p = self.tokens.shape[1]
        self.counted = torch.ones_like(self.tokens, dtype=module.weight.dtype)
        if module.padding_idx is not None:
            self.counted = (self.tokens != module.padding_idx).to(module.weight.dtype)
        self.same = self.tokens[:, :, None] == self.tokens[:, None]
        self.cells = 2 * p * (p + self.shape[1])

    def squares(self, slope: Tensor) -> dict[str, Tensor]:
        delta = self._delta(slope)
        return {"weight": ((delta @ delta.transpose(1, 2)) * self.same).sum((1, 2))}

    def gradients(self, slope: Tensor) -> dict[str, Tensor]:
        n, delta = len(slope), self._delta(slope)
        out = delta.new_zeros(n * self.shape[0], self.shape[1])
        own = torch.arange(n, device=delta.device)[:, None] * self.shape[0]
        out.index_add_(0, (self.tokens + own).reshape(-1), delta.flatten(0, 1))
        return {"weight": out.reshape(n, *self.shape)}

    def _delta(self, slope: Tensor) -> Tensor:
        return slope.reshape(*self.tokens.shape, -1) * self.counted[:, :, None]


class Scaling(Layer):
    """The scale and shift of a normalisation: ``sum_p delta_p x_p``, component by component."""

    def __init__(self, module: nn.Module, x: Tensor):
        assert isinstance(module.weight, Tensor)
        self.shape = module.weight.shape
        self.last = isinstance(module, (nn.LayerNorm, nn.RMSNorm))
        self.inputs = self._components(normalised(module, x))
        self.cells = 3 * self.inputs[0].numel()

    def squares(self, slope: Tensor) -> dict[str, Tensor]:
        return {name: _square(g) for name, g in self.gradients(slope).items()}

    def gradients(self, slope: Tensor) -> dict[str, Tensor]:
        delta, shape = self._components(slope), (len(slope), *self.shape)
        by_weight = (delta * self.inputs).sum(1).reshape(shape)
        return {"weight": by_weight, "bias": delta.sum(1).reshape(shape)}

    def _components(self, value: Tensor) -> Tensor:
        """``(n, positions, components)``."""
        if self.last:
            return value.reshape(len(value), -1, self.shape.numel())
        return value.flatten(2).transpose(1, 2) if value.ndim > 2 else value[:, None]


def normalised(module: nn.Module, x: Tensor) -> Tensor:
    """What a normalisation makes of ``x`` before it scales and shifts."""
    if isinstance(module, nn.LayerNorm):
        return functional.layer_norm(x, module.normalized_shape, None, None, module.eps)
    if isinstance(module, nn.RMSNorm):
        return functional.rms_norm(x, module.normalized_shape, None, module.eps)
    if isinstance(module, nn.GroupNorm):
        return functional.group_norm(x, module.num_groups, None, None, module.eps)
    assert isinstance(module, (_BatchNorm, _InstanceNorm))
    own = module.running_mean is None
    if isinstance(module, _InstanceNorm):
        return functional.instance_norm(
            x, module.running_mean, module.running_var, None, None, own, 0.0, module.eps
        )
    return functional.batch_norm(
        x, module.running_mean, module.running_var, None, None, own, 0.0, module.eps
    )


def patches(module: _ConvNd, x: Tensor) -> Tensor:
    """The inputs of each position of a convolution, ``(n, groups, positions, fan-in)``."""
    around: list[int] = module._reversed_padding_repeated_twice
    if any(around):
        mode = module.padding_mode
        x = functional.pad(x, around, "constant" if mode == "zeros" else mode)
    n, axes = len(x), x.ndim - 2
    steps = zip(module.kernel_size, module.stride, module.dilation, strict=True)
    for axis, (size, stride, dilation) in enumerate(steps):
        x = x.unfold(2 + axis, (size - 1) * dilation + 1, stride)[..., ::dilation]
    x = x.reshape(n, module.groups, -1, *x.shape[2:])  # (n, g, channels, *positions, *kernel)
    order = (0, 1, *range(3, 3 + axes), 2, *range(3 + axes, 3 + 2 * axes))
    x = x.permute(order)
    fan_in = x.shape[2 + axes :].numel()
    return x.reshape(n, module.groups, -1, fan_in)


_KNOWN: tuple[tuple[type[nn.Module], type[Layer]], ...] = (
    (nn.Linear, Product),
    (nn.Conv1d, Product),
    (nn.Conv2d, Product),
    (nn.Conv3d, Product),
    (nn.Embedding, Lookup),
    (_BatchNorm, Scaling),
    (_InstanceNorm, Scaling),
    (nn.LayerNorm, Scaling),
    (nn.RMSNorm, Scaling),
    (nn.GroupNorm, Scaling),
)


def known(module: nn.Module) -> type[Layer] | None:
    """The layer that a module is, by the ``forward`` it runs; None for any other."""
    if any(p.is_complex() for p in module.parameters(recurse=False)):
        return None
    forward = type(module).forward
    return next((layer for kind, layer in _KNOWN if forward is kind.forward), None)


def _square(value: Tensor) -> Tensor:
    """Squared norm of each example, ``(n,)``."""
    return value.flatten(1).square().sum(1)
