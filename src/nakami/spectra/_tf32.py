"""Products of float32 in float32: TF32 is lifted, as autocast is.

A card may round the operands of products to 11 bits (TF32, unit 5e-4), and by default PyTorch lets
it do so in convolutions. Emulated on a SqueezeNet drawn at random, that moved singular values by up
to a hundredth, while nothing of a run showed it: products in both directions agree all the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch

CARD = (("cuda", "matmul"), ("cuda", "conv"), ("cuda", "rnn"))
CPU = (("mkldnn", "matmul"), ("mkldnn", "conv"))
SWITCHES = CARD + CPU if torch.backends.cuda.is_built() else CPU
COARSE = ("tf32", "bf16")
_get = torch._C._get_fp32_precision_getter
_set = torch._C._set_fp32_precision_setter


def coarse() -> bool:
    """Whether products of float32 may be rounded to fewer bits, on a card or a CPU."""
    return any(_get(*switch) in COARSE for switch in SWITCHES)


@contextmanager
def full_float32() -> Iterator[None]:
    """Inside, products of float32 are made in float32; afterwards all is set as it was.

    PyTorch has two sets of switches, and refuses to read the older where they contradict. So each
    is turned by the set in use, and a model that reads them meanwhile may go on doing so.
    """
    with ExitStack() as stack:
        _lift_matmul(stack)
        _lift_cudnn(stack)
        for switch in SWITCHES:
            if _get(*switch) in COARSE:
                stack.callback(_set, *switch, _own(*switch))
                _set(*switch, "ieee")
        yield


def _own(kind: str, name: str) -> str:
    """What a switch is set to: ``"none"`` where it follows one above it."""
    value: str = _get(kind, name)
    return "none" if value in (_get(kind, "all"), _get("generic", "all")) else value


def _lift_matmul(stack: ExitStack) -> None:
    try:
        precision = torch.get_float32_matmul_precision()
    except RuntimeError:  # the newer switches are in use
        return
    if precision != "highest":
        stack.callback(_set, "mkldnn", "matmul", _own("mkldnn", "matmul"))  # it goes along
        stack.callback(torch.set_float32_matmul_precision, precision)
        torch.set_float32_matmul_precision("highest")


def _lift_cudnn(stack: ExitStack) -> None:
    if {_get("cuda", "all"), _get("generic", "all")} != {"none"}:
        return
    try:
        allowed = torch._C._get_cudnn_allow_tf32()
    except RuntimeError:
        return
    if allowed:
        stack.callback(torch._C._set_cudnn_allow_tf32, True)
        torch._C._set_cudnn_allow_tf32(False)
