"""An exported file as a function of tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor

from ._model_file import ModelFile
from ._onnx import packages


def runs_of(file: ModelFile) -> Callable[[Mapping[str, Tensor]], Sequence[Any]]:
    """The file in onnxruntime on one thread: inputs by name to arrays."""
    _, onnxruntime = packages()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    providers = ["CPUExecutionProvider"]
    session = onnxruntime.InferenceSession(str(file.path), options, providers=providers)

    def runs(inputs: Mapping[str, Tensor]) -> Sequence[Any]:
        given = {name: value.detach().cpu().numpy() for name, value in inputs.items()}
        return session.run(None, given)

    return runs
