"""A network as an ONNX file, with the axes that may change told by the file itself."""

from __future__ import annotations

import ast
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nakami.results import RunError

from ._extras import needed, quiet
from ._model_file import Axes, ModelFile, output_names, reason
from ._refused import refuse_dropped, refuse_state
from ._translations import table

OPSET = 20  # what torch writes by default; runtimes of years know it
AHEAD = "preparation"  # a module of this name stands before the network; so are its nodes called
MOST = 2**31 - 2**24  # bytes of weights in one file, which protobuf ends at 2 GiB
DATA = "model.onnx.data"


def packages() -> tuple[Any, Any]:
    """``onnx`` and ``onnxruntime``.

    Raises:
        RunError: The extra is not installed.
    """
    with needed("ONNX", "export"):
        import onnx
        import onnxruntime
        import onnxscript  # noqa: F401 - torch's exporter needs it
    return onnx, onnxruntime


def write(
    model: nn.Module,
    inputs: Mapping[str, Tensor],
    path: Path,
    axes: Axes,
    about: Mapping[str, str],
) -> ModelFile:
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
        with quiet("torch.onnx", level=logging.ERROR), _fresh_recurrent(), torch.no_grad():
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
            refuse_state(program.exported_program)
            refuse_dropped(program.exported_program.graph)
            apart = is_large(model)
            program.save(str(path), external_data=apart)
    except RunError:
        raise
    except Exception as error:  # torch raises what it likes
        raise RunError(f"torch cannot export this network to ONNX: {reason(error)}.") from error
    proto = onnx.load(str(path), load_external_data=False)
    path.with_name(DATA).unlink(missing_ok=True)  # of an earlier export
    if apart:
        _rename_data(proto, path)
    _tell(proto, about)
    onnx.save(proto, str(path))
    return described(proto, path)


def is_large(model: nn.Module) -> bool:
    """Whether the weights go into a file of their own beside the graph."""
    return sum(x.numel() * x.element_size() for x in model.state_dict().values()) > MOST


def _rename_data(proto: Any, path: Path) -> None:
    """One name, under which the graph finds it whatever its own name becomes."""
    path.with_name(f"{path.name}.data").replace(path.with_name(DATA))
    for tensor in proto.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = DATA


def described(proto: Any, path: Path) -> ModelFile:
    """What a loaded file says of itself."""
    kinds = [node.op_type for node in proto.graph.node]
    return ModelFile(
        path,
        {value.name: _shape(value) for value in proto.graph.input},
        {value.name: _shape(value) for value in proto.graph.output},
        {kind: kinds.count(kind) for kind in sorted(set(kinds))},
    )


def _dims(changing: Mapping[int, str]) -> dict[int, Any]:
    return {place: torch.export.Dim(name) for place, name in changing.items()}


def _shape(value: Any) -> tuple[int | str, ...]:
    return tuple(d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim)


def _tell(proto: Any, about: Mapping[str, str]) -> None:
    """Write what is known; take out torch's notes, which hold paths of this machine."""
    graphs = [proto.graph, *proto.functions]
    for graph in graphs:
        for node in graph.node:
            if _is_ahead(node):
                node.name = f"{AHEAD}/{node.name}"
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


def _is_ahead(node: Any) -> bool:
    """Whether torch says that it comes from the module ``AHEAD``."""
    scopes = (p.value for p in node.metadata_props if p.key == "pkg.torch.onnx.name_scopes")
    return any(name.startswith(AHEAD) for each in scopes for name in ast.literal_eval(each))


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
