"""Weights of eight bits by onnxruntime: what was quantised, and what it does to the answers."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from nakami.results import binomial_error

from ._model_file import ModelFile, bytes_of
from ._onnx import AHEAD, is_large, packages

QUANTISED = ("MatMulInteger", "ConvInteger", "DynamicQuantizeLSTM", "QLinearConv", "QLinearMatMul")
HAVE_WEIGHTS = ("Gemm", "MatMul", "Conv", "ConvTranspose", "GRU", "LSTM", "RNN", "Attention")


@dataclass(frozen=True)
class Int8:
    """A file with weights of eight bits; what enters a layer is quantised, too.

    Attributes:
        file: Its name. bytes: its size.
        quantised: Nodes that compute in eight bits, by kind. kept: nodes with weights that stay
            float32, by kind; nothing is said of them by what quantises.
        calibrated: Examples that set the ranges of what enters a layer; 0: set as it comes.
    """

    file: str
    bytes: int
    quantised: Mapping[str, int]
    kept: Mapping[str, int]
    calibrated: int = 0


@dataclass(frozen=True)
class Accuracy:
    """Share of right answers, of ``examples`` that were not trained on.

    Attributes:
        before, after: Of the file with float32 and with eight bits. error: binomial standard error
            of ``before``; of a share of 0 or 1 the one-sided bound of 68 %.
        change: ``after - before``. change_error: its standard error over the same examples.
        other_answers: How many answers are other ones, right or wrong.
    """

    before: float
    after: float
    error: float
    change: float
    change_error: float
    other_answers: int
    examples: int


@dataclass(frozen=True)
class NumberChange:
    """What eight bits do to the number of a column, in its unit.

    Attributes:
        rms: Root mean square of the change. largest: of all. examples: how many, none of which set
            ranges.
    """

    rms: float
    largest: float
    examples: int


def quantised(
    model: nn.Module, inputs: Mapping[str, Tensor], file: ModelFile, target: Path
) -> Int8:
    """Of an ONNX file, which is enough."""
    del inputs
    return quantise(file.path, target, is_large(model))


def quantise(path: Path, target: Path, apart: bool = False) -> Int8:
    """Dynamic quantisation of an ONNX file (``onnxruntime.quantization.quantize_dynamic``).

    The file is prepared first: without that an LSTM of torch's stays float32. A GRU always does.
    The preparation of raw inputs stays float32, too: logarithms of powers need all their digits.

    Args:
        path: The float32 file.
        target: Where the other one goes.
        apart: Whether weights lie in a file of their own beside it, for size.
    """
    onnx, _ = packages()
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.quantization.shape_inference import quant_pre_process

    prepared = target.with_name(f"{target.name}.prepared")
    data = prepared.with_name(f"{prepared.name}.data")
    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.ERROR)  # it advises to prepare the file, which was done
    try:
        quant_pre_process(
            str(path), str(prepared), skip_symbolic_shape=True, save_as_external_data=apart,
            all_tensors_to_one_file=apart, external_data_location=data.name if apart else None,
        )  # fmt: skip
        graph = onnx.load(str(prepared), load_external_data=False).graph
        ahead = [node.name for node in graph.node if node.name.startswith(f"{AHEAD}/")]
        quantize_dynamic(
            str(prepared),
            str(target),
            weight_type=QuantType.QInt8,
            nodes_to_exclude=ahead,
            use_external_data_format=apart,
        )
    finally:
        root.setLevel(before)
        prepared.unlink(missing_ok=True)
        data.unlink(missing_ok=True)
    graph = onnx.load(str(target), load_external_data=False).graph
    weights = {each.name for each in graph.initializer}
    made = [node.op_type for node in graph.node if node.op_type in QUANTISED]
    kept = [
        node.op_type
        for node in graph.node
        if node.op_type in HAVE_WEIGHTS and weights.intersection(node.input)
    ]
    return Int8(target.name, bytes_of(target), Counter(made), Counter(kept))


def accuracy(before: Any, after: Any, labels: Any) -> Accuracy:
    """Of rows of outputs, ``(n, classes)``, and the right classes, ``(n,)``."""
    answers = [np.asarray(each).argmax(1) for each in (before, after)]
    right = [each == np.asarray(labels) for each in answers]
    n = len(right[0])
    change = right[1].astype(float) - right[0]
    spread = float(change.std(ddof=1) / np.sqrt(n)) if n > 1 else float("nan")
    shares = [float(each.mean()) for each in right]
    error = float(binomial_error(shares[0], n))
    others = int((answers[0] != answers[1]).sum())
    return Accuracy(shares[0], shares[1], error, float(change.mean()), spread, others, n)
