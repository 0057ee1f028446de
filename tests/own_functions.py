"""Functions that people write for autograd, each known to fewer of torch's modes than its own."""

import torch
from torch import nn
from torch.autograd.function import once_differentiable


class Applied(nn.Module):
    """A layer that is one such function."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function.apply(x)


class Sine(torch.autograd.Function):
    """Known to reverse mode alone, its gradient too."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x):
        return x.sin()

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx, g):
        return g * ctx.saved_tensors[0].cos()


class OldSine(torch.autograd.Function):
    """In the old style, without ``setup_context``: ``torch.func`` cannot transform it."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.sin()

    @staticmethod
    def backward(ctx, g):
        return g * ctx.saved_tensors[0].cos()


class OnceSine(OldSine):
    """Its gradient cannot be differentiated again."""

    @staticmethod
    @once_differentiable
    def backward(ctx, g):
        return g * ctx.saved_tensors[0].cos()


class StraightThrough(torch.autograd.Function):
    """Rounds, and passes gradients as if it did not."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x):
        return torch.round(4 * x) / 4

    @staticmethod
    def setup_context(ctx, inputs, output):
        pass

    @staticmethod
    def backward(ctx, grad):
        return grad

    @staticmethod
    def jvp(ctx, tangent):
        return tangent.clone()
