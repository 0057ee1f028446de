"""A model held still: evaluation mode, plain kernels, untouched random states."""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.modules.batchnorm import _NormBase

from ._composites import Composites
from ._random import random_states_kept


@contextmanager
def still(
    model: nn.Module, device: torch.device, batch_statistics: bool, chance: int | None
) -> Iterator[Composites]:
    """Evaluation mode, plain kernels and untouched random states, whatever happens inside.

    ``batch_statistics``: normalisation by the batch, which reads and writes no buffer. ``chance``
    reseeds the random states inside.
    """
    modes = [(m, m.training) for m in model.modules()]
    by_batch = [m for m, _ in modes if batch_statistics and isinstance(m, _NormBase)]
    tracks = [m.track_running_stats for m in by_batch]
    hooked = [
        (m, m._backward_hooks, m._backward_pre_hooks)
        for m, _ in modes
        if m._backward_hooks or m._backward_pre_hooks
    ]
    for module, mode in modes:
        if mode is not False:  # to set an attribute of a module is slow
            module.training = False
    for module, *_ in hooked:  # they watch a training, and stop function transforms
        module._backward_hooks, module._backward_pre_hooks = OrderedDict(), OrderedDict()
    for norm in by_batch:
        norm.training, norm.track_running_stats = True, False
    recurrent = any(isinstance(m, nn.RNNBase) for m, _ in modes)
    try:
        with random_states_kept(device, chance), _plain_kernels(recurrent) as composites:
            yield composites
    finally:
        for module, mode in modes:
            if module.training is not mode:
                module.training = mode
        for module, after, before in hooked:
            module._backward_hooks, module._backward_pre_hooks = after, before
        for norm, track in zip(by_batch, tracks, strict=True):
            norm.track_running_stats = track


@contextmanager
def _plain_kernels(recurrent: bool) -> Iterator[Composites]:
    """Code that every way of differentiating can take: nothing fused, nothing compiled."""
    fast = torch.backends.mha.get_fastpath_enabled()
    with ExitStack() as stack:
        stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        composites = stack.enter_context(Composites())
        if "torch._dynamo" in sys.modules:  # where it is not, nothing is compiled
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        torch.backends.mha.set_fastpath_enabled(False)
        stack.callback(torch.backends.mha.set_fastpath_enabled, fast)
        if recurrent:
            backends: list[Any] = [torch.backends.mkldnn, torch.backends.cudnn]
            for backend in backends:
                stack.callback(setattr, backend, "enabled", backend.enabled)
                backend.enabled = False
        yield composites
