"""A network as an ONNX file, with the axes that may change told by the file itself."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nakami.results import RunError

from ._refused import refuse_dropped
from ._translations import table

OPSET = 20  # what torch writes by default; runtimes of years know it
EXTRA = "nakami[export]"
Axes = Mapping[str, Mapping[int, str]]  # of each input: place and name of the axes that change


@dataclass(frozen=True)
class OnnxFile:
    """What was written.

    Attributes:
        path: The file. inputs, outputs: shapes by name, an axis that may change by its name.
        nodes: How often each kind of node is in it.
    """

    path: Path
    inputs: Mapping[str, tuple[int | str, ...]]
    outputs: Mapping[str, tuple[int | str, ...]]
    nodes: Mapping[str, int]

    def fixed(self, axes: Axes) -> list[str]:
        """Axes that were to change and have one size in the file: ``"time of input: 6"``."""
        return [
            f"{axis} of {name}: {self.inputs[name][place]}"
            for name, changing in axes.items()
            for place, axis in changing.items()
            if isinstance(self.inputs[name][place], int)
        ]


def packages() -> tuple[Any, Any]:
    """``onnx`` and ``onnxruntime``.

    Raises:
        RunError: The extra is not installed.
    """
    try:
        import onnx
        import onnxruntime
        import onnxscript  # noqa: F401 - torch's exporter needs it
    except ImportError as error:
        raise RunError(
            f"export to ONNX needs {error.name}, which is not installed; pip install '{EXTRA}'."
        ) from error
    return onnx, onnxruntime


def write(
    model: nn.Module,
    inputs: Mapping[str, Tensor],
    path: Path,
    axes: Axes,
    about: Mapping[str, str],
) -> OnnxFile:
    """Export by ``torch.onnx`` and read back what the file says.

    Args:
        model: In evaluation mode.
        inputs: Examples by name, two or more: torch fixes a batch of one.
        path: The file.
        axes: Which axes of which input may change.
        about: Kept in the file beside the graph.

    Raises:
        RunError: torch cannot export it; the reason is torch's.
    """
    onnx, _ = packages()
    single = list(inputs) == ["input"]
    shapes: Any = {name: _dims(axes.get(name, {})) for name in inputs}
    given: dict[str, Any] = {"args": tuple(inputs.values())} if single else {"kwargs": dict(inputs)}
    try:
        with _quiet(), _fresh_recurrent(), torch.no_grad():
            program = torch.onnx.export(
                model,
                **given,
                dynamo=True,
                dynamic_shapes=tuple(shapes.values()) if single else shapes,
                input_names=list(inputs),
                output_names=output_names(model, inputs),
                opset_version=OPSET,
                custom_translation_table=table(),
                verbose=False,
            )
            assert program is not None
            assert program.exported_program is not None
            refuse_dropped(program.exported_program.graph)
            program.save(str(path), external_data=False)
    except RunError:
        raise
    except Exception as error:  # torch raises what it likes
        raise RunError(f"torch cannot export this network to ONNX: {_reason(error)}.") from error
    proto = onnx.load(str(path))
    _tell(proto, about)
    onnx.save(proto, str(path))
    return described(proto, path)


def described(proto: Any, path: Path) -> OnnxFile:
    """What a loaded file says of itself."""
    kinds = [node.op_type for node in proto.graph.node]
    return OnnxFile(
        path,
        {value.name: _shape(value) for value in proto.graph.input},
        {value.name: _shape(value) for value in proto.graph.output},
        {kind: kinds.count(kind) for kind in sorted(set(kinds))},
    )


def output_names(model: nn.Module, inputs: Mapping[str, Tensor]) -> list[str]:
    """``output``, or one for each tensor that the network gives."""
    n = len(flat_outputs(called(model, inputs)))
    return ["output"] if n == 1 else [f"output{i}" for i in range(n)]


@torch.no_grad()
def called(model: nn.Module, inputs: Mapping[str, Tensor]) -> Any:
    """What the network gives, without a graph.

    Without torch's short way for encoders, which sets padded positions to 0 and no file has.
    """
    single, before = list(inputs) == ["input"], torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        return model(*inputs.values()) if single else model(**inputs)
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


def flat_outputs(outputs: Any) -> list[Tensor]:
    """The tensors among what a network gives, in order."""
    from torch.utils import _pytree

    return [leaf for leaf in _pytree.tree_leaves(outputs) if isinstance(leaf, Tensor)]


def _dims(changing: Mapping[int, str]) -> dict[int, Any]:
    return {place: torch.export.Dim(name) for place, name in changing.items()}


def _shape(value: Any) -> tuple[int | str, ...]:
    return tuple(d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim)


def _tell(proto: Any, about: Mapping[str, str]) -> None:
    """Write what is known; take out torch's notes, which hold paths of this machine."""
    graphs = [proto.graph, *proto.functions]
    for graph in graphs:
        for node in graph.node:
            del node.metadata_props[:]
            node.doc_string = ""
        del graph.metadata_props[:]
    for value in proto.graph.value_info:
        del value.metadata_props[:]
    for values in (proto.graph.input, proto.graph.output, proto.graph.initializer):
        for value in values:
            del value.metadata_props[:]
    del proto.metadata_props[:]
    for key, text in about.items():
        proto.metadata_props.add(key=key, value=text)


def _reason(error: Exception) -> str:
    """The innermost cause, in a line."""
    while error.__cause__ is not None and isinstance(error.__cause__, Exception):
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:300].rstrip(".")


@contextmanager
def _fresh_recurrent() -> Iterator[None]:
    """Let torch find its rewriting of recurrent layers again.

    The exporter puts loops over time in place of ``gru`` and ``lstm`` for as long as it runs, but
    torch looks a kernel up once a process: the second export would take the usual kernel, which
    unrolls the loop and fixes the length (torch 2.13).
    """

    def forget() -> None:
        for name in ("gru", "lstm"):
            getattr(getattr(torch.ops.aten, name).input, "_dispatch_cache", {}).clear()

    forget()
    try:
        yield
    finally:
        forget()


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's remarks to its own developers."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)


def rows(inputs: Mapping[str, Tensor], part: slice | Sequence[int] | Tensor) -> dict[str, Tensor]:
    """Some of the examples."""
    return {name: value[part] for name, value in inputs.items()}
