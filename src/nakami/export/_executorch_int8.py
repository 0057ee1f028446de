"""Weights of eight bits in an ExecuTorch program, by XNNPACK's quantiser."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nakami.results import RunError

from . import _executorch as whole
from ._int8 import Int8
from ._model_file import ModelFile, called, reason, rows

CALIBRATED = 100  # examples that set the ranges of what enters a layer
HAVE_WEIGHTS = ("linear", "conv1d", "conv2d", "conv3d", "conv_transpose2d", "gru", "lstm", "rnn")


def quantise(model: nn.Module, inputs: Mapping[str, Tensor], file: ModelFile, target: Path) -> Int8:
    """Quantise weights by channel, and what enters a layer by ranges of the first examples.

    Args:
        model: In evaluation mode; it stays as it is.
        inputs: Of these the first 100, half of all where there are fewer than 200, set the ranges.
        file: The float32 program, whose axes change in this one, too.
        target: Where this one goes.

    Raises:
        RunError: It cannot be quantised; the reason is ExecuTorch's.
    """
    changing = {
        name: {place: axis for place, axis in enumerate(shape) if isinstance(axis, str)}
        for name, shape in file.inputs.items()
    }
    n = len(next(iter(inputs.values())))
    used = min(CALIBRATED, max(1, n // 2))
    example = rows(inputs, torch.arange(max(2, min(4, n))) % n)
    try:
        with whole._quiet(), torch.no_grad(), whole._any_batch_of_convolutions():
            made = _converted(copy.deepcopy(model), inputs, example, changing, file, used)
            whole._lowered(made, example, target, changing)
    except Exception as error:  # ExecuTorch, torchao and torch raise what they like
        target.unlink(missing_ok=True)
        raise RunError(
            f"ExecuTorch cannot make weights of eight bits of this network: {reason(error)}; "
            "leave them out with --no-int8, in Python int8=False."
        ) from error
    small, kept = _counted(made.graph.nodes)
    return Int8(target.name, target.stat().st_size, small, kept, used)


def _converted(
    model: nn.Module,
    inputs: Mapping[str, Tensor],
    example: Mapping[str, Tensor],
    changing: whole.Axes,
    file: ModelFile,
    used: int,
) -> Any:
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
        XNNPACKQuantizer,
        get_symmetric_quantization_config,
    )
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    settings = get_symmetric_quantization_config(is_per_channel=True)
    program = whole.exported(model, example, changing).module()
    prepared = prepare_pt2e(program, XNNPACKQuantizer().set_global(settings))
    step = file.most_rows or used
    for i in range(0, used, step):
        called(prepared, rows(inputs, slice(i, min(i + step, used))))
    return convert_pt2e(prepared)


def _counted(nodes: Iterable[Any]) -> tuple[Counter[str], Counter[str]]:
    """Layers whose weights come in eight bits, and those whose do not, by kind."""
    small, kept = Counter[str](), Counter[str]()
    for node in nodes:
        kind = str(node.target).removeprefix("aten.").partition(".")[0]
        if node.op == "call_function" and kind in HAVE_WEIGHTS:
            weight = node.args[1] if len(node.args) > 1 else None
            (small if "dequantize" in str(getattr(weight, "target", "")) else kept)[kind] += 1
    return small, kept
