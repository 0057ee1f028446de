"""Forms of files: how each is written, run and made smaller."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from . import _executorch, _executorch_int8, _int8, _litert, _onnx, _runtime
from ._int8 import Int8
from ._model_file import Axes, ModelFile, Runs

Write = Callable[[nn.Module, Mapping[str, Tensor], Path, Axes, Mapping[str, str]], ModelFile]
Quantise = Callable[[nn.Module, Mapping[str, Tensor], ModelFile, Path], Int8]


@dataclass(frozen=True)
class Format:
    """One form of file.

    Attributes:
        words: What it is called. suffix: of its files. runtime: what runs it here.
        write: A network, examples, the path, axes that may change, what is known of it.
        runs: A file as a function. quantise: a network, its inputs, the written file, the path of
            the smaller one.
        ahead: What is known of a network and its axes before the work, in sentences.
        any_batch: Whether a fixed batch is refused. prepares: Whether the preparation of a schema
            can be in the file.
    """

    words: str
    suffix: str
    runtime: str
    write: Write
    runs: Callable[[ModelFile], Runs]
    quantise: Quantise
    ahead: Callable[[nn.Module, Axes], list[str]]
    any_batch: bool = False
    prepares: bool = True


ONNX = Format(
    "ONNX", "onnx", "onnxruntime", _onnx.write, _runtime.runs_of, _int8.quantised,
    lambda model, axes: [], any_batch=True,
)  # fmt: skip
FORMATS = {
    "onnx": ONNX,
    "web": ONNX,
    "executorch": Format(
        "ExecuTorch", "pte", "executorch", _executorch.write, _executorch.runs_of,
        _executorch_int8.quantise,
        _executorch.ahead,
    ),
    "litert": Format(
        "LiteRT", "tflite", "litert", _litert.write, _litert.runs_of, _litert.quantise,
        _litert.ahead, prepares=False,
    ),
}  # fmt: skip
TARGETS = tuple(FORMATS)
