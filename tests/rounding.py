"""A card's TF32, emulated: operands of products are rounded where the switches allow it."""

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

from nakami.spectra import _tf32

KINDS = {
    **dict.fromkeys(("convolution", "convolution_backward"), "conv"),
    **dict.fromkeys(("mm", "addmm", "bmm", "baddbmm"), "matmul"),
}


class Rounding(TorchDispatchMode):
    """Operands of float32 products rounded to 11 bits where the switches of a card allow it."""

    def __init__(self):
        super().__init__()
        self.rounded = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kind = KINDS.get(func._schema.name.partition("::")[2])
        single = any(isinstance(a, torch.Tensor) and a.dtype == torch.float32 for a in args)
        if kind and single and _tf32._get("cuda", kind) == "tf32":
            self.rounded += 1
            args = tree_map(to_eleven_bits, args)
        return func(*args, **(kwargs or {}))


def to_eleven_bits(value):
    if not isinstance(value, torch.Tensor) or value.dtype != torch.float32 or value.ndim == 0:
        return value
    bits = value.contiguous().view(torch.int32)
    return ((bits + 0x1000) & ~0x1FFF).view(torch.float32).view(value.shape)
