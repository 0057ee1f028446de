"""Which way of a convolution is faster here, by measuring both."""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ..results import check_at_least, wrong, wrong_type
from ._fft_convolution import FFTConv2d

WAYS: tuple[Literal["fft", "direct"], ...] = ("direct", "fft")


def measure_convolutions(
    model: nn.Module,
    *inputs: Any,
    repeats: int = 9,
    backward: bool = True,
) -> dict[str, dict[str, float]]:
    """Set each ``FFTConv2d`` to the way that is faster here, at the sizes of these inputs.

    Both ways are timed on random numbers of the sizes, types and device that each layer is called
    with. Beside each layer's ``method`` nothing of the model changes; set it to ``"auto"`` to go
    back. What is chosen depends on the machine and on what else it does: where the bits of a
    network are to be the same in each run, keep what was chosen.

    Args:
        model: Its layers are looked through; it is run once, in evaluation mode.
        inputs: As ``model(*inputs)`` takes them, a batch of the size that is to be fast.
        repeats: Times that each way is timed, in turns; the median counts.
        backward: Whether a backward pass is timed too, as in training.

    Returns:
        By name of the layer, ``{"direct": ..., "fft": ...}``, seconds of one pass; of one that is
        called several times the sum.

    Raises:
        UsageError: The model has no ``FFTConv2d``, or none was called.

    Cost: memory of a copy of the model; for each layer and way ``repeats`` + 1 passes.
    """
    check_at_least("repeats", repeats, 1, "pass repeats=9")
    if not isinstance(model, nn.Module):
        raise wrong_type("model", "be a torch module", type(model).__name__, "pass the network")
    calls = _calls(model, inputs)
    if not calls:
        rule, way_out = "call an FFTConv2d", "put nakami.nn.FFTConv2d in place of nn.Conv2d"
        raise wrong("model", rule, "none called", way_out)
    layers = dict(model.named_modules())
    found: dict[str, dict[str, float]] = {}
    for name, sizes in calls.items():
        layer = layers[name]
        assert isinstance(layer, FFTConv2d)
        each = [_seconds(layer, x, repeats, backward) for x in sizes]
        found[name] = {way: sum(seconds[way] for seconds in each) for way in WAYS}
        layer.method = min(WAYS, key=found[name].__getitem__)
    return found


def _calls(model: nn.Module, inputs: tuple[Any, ...]) -> dict[str, list[Tensor]]:
    """What each layer is called with, as tensors that hold no numbers."""
    own = copy.deepcopy(model).eval()
    calls: dict[str, list[Tensor]] = {}

    def noted(name: str) -> Callable[[nn.Module, tuple[Any, ...]], None]:
        def hook(_: nn.Module, given: tuple[Any, ...]) -> None:
            calls.setdefault(name, []).append(torch.empty_like(given[0]))

        return hook

    for name, module in own.named_modules():
        if isinstance(module, FFTConv2d):
            module.register_forward_pre_hook(noted(name))
    with torch.no_grad(), torch.random.fork_rng():
        own(*inputs)
    return calls


def _seconds(layer: FFTConv2d, like: Tensor, repeats: int, backward: bool) -> dict[str, float]:
    """The median of each way, in turns, after one pass to warm up."""
    source = torch.Generator(like.device).manual_seed(0)
    numbers = torch.randn(like.shape, generator=source, device=like.device)
    x = numbers.to(like.dtype).requires_grad_(backward)
    own = copy.deepcopy(layer).requires_grad_(backward)
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    for turn in range(repeats + 1):
        for way in WAYS:
            own.method = way
            own.zero_grad()
            x.grad = None
            began = _now(like.device)
            with torch.set_grad_enabled(backward):
                y = own._conv_forward(x, own.weight, own.bias)  # no hooks of the user
            if backward:
                y.sum().backward()
            spent = _now(like.device) - began
            if turn:
                seconds[way].append(spent)
    return {way: statistics.median(spent) for way, spent in seconds.items()}


def _now(device: torch.device) -> float:
    """The clock, when all work on the device is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
