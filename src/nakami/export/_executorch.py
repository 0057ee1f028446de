"""A network as an ExecuTorch program: XNNPACK where it can, portable kernels for the rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nakami.results import RunError

from ._decompositions import table
from ._extras import needed, quiet
from ._model_file import Axes, ModelFile, Runs, output_names, reason, rows
from ._refused import refuse_state

BATCH = 32  # memory for the largest batch is planned in the file


def packages() -> None:
    """Import ``executorch``.

    Raises:
        RunError: The extra is not installed.
    """
    with needed("ExecuTorch", "executorch"), _quiet():
        import executorch.runtime  # noqa: F401
        from executorch.backends.xnnpack.partition import xnnpack_partitioner  # noqa: F401


def ahead(model: nn.Module, axes: Axes) -> list[str]:
    """What is known before the work."""
    told = [f"ExecuTorch plans memory for the largest batch, here {BATCH}"]
    if _unrolled(model) and any("time" in each.values() for each in axes.values()):
        told.append("ExecuTorch writes recurrent layers step by step, so that the length is fixed")
    return told


def write(
    model: nn.Module,
    inputs: Mapping[str, Tensor],
    path: Path,
    axes: Axes,
    about: Mapping[str, str],
) -> ModelFile:
    """Lower by ExecuTorch, with as many axes that may change as it takes, and read the file.

    XNNPACK follows one changing axis through a reshape: of batch and time the batch is given up
    first, since sequences on a device come one by one, then time. Arguments as of ``_onnx.write``,
    but ``about``, for which a program has no place.

    Raises:
        RunError: ExecuTorch cannot lower it, or its runtime lacks a kernel; the reason is its own.
    """
    del about
    packages()
    errors = []
    for changing in _ways(model, axes):
        try:
            with _quiet(), torch.no_grad(), _any_batch_of_convolutions():
                found = _lowered(model, inputs, path, changing)
            _load(path, found.nodes)
        except RunError:
            raise
        except Exception as error:  # ExecuTorch and torch raise what they like
            errors.append(error)
            continue
        return found
    path.unlink(missing_ok=True)
    because = reason(errors[-1])
    raise RunError(f"ExecuTorch cannot take this network: {because}.") from errors[-1]


def runs_of(file: ModelFile) -> Runs:
    """The program in ExecuTorch's Python runtime on one thread."""
    packages()
    loaded = _load(file.path, file.nodes)

    def runs(inputs: Mapping[str, Tensor]) -> Sequence[Any]:
        method, _ = loaded
        given = [inputs[name].detach().cpu().contiguous() for name in file.inputs]
        return [each.numpy().copy() for each in method.execute(given)]  # memory is used again

    return runs


def _ways(model: nn.Module, axes: Axes) -> list[Axes]:
    """Which axes may change, in the order in which they are tried: all first, none last."""
    names = {name for each in axes.values() for name in each.values()}
    time = "time" in names and not _unrolled(model)
    kept = [{"batch", "time"}, {"time"}, {"batch"}] if time else [{"batch"}]
    return [
        {
            name: {place: axis for place, axis in each.items() if axis in way}
            for name, each in axes.items()
        }
        for way in [*kept, set()]
    ]


def _unrolled(model: nn.Module) -> bool:
    return any(isinstance(module, nn.RNNBase) for module in model.modules())


def exported(model: nn.Module, inputs: Mapping[str, Tensor], changing: Axes) -> Any:
    """``torch.export`` with these axes open; the batch is one where it does not change."""
    lengths = [inputs[n].shape[place] for n, each in changing.items() for place in each if place]
    most = {"batch": BATCH, "time": max(lengths, default=1)}
    dims = {name: torch.export.Dim(name, min=1, max=most[name]) for name in most if most[name] > 1}
    shapes: Any = {
        name: {place: dims[axis] for place, axis in each.items() if axis in dims}
        for name, each in changing.items()
    }
    if not any("batch" in each.values() for each in changing.values()):
        inputs = rows(inputs, slice(0, 1))
    if list(inputs) == ["input"]:
        given = tuple(inputs.values())
        return torch.export.export(model, given, dynamic_shapes=tuple(shapes.values()))
    return torch.export.export(model, (), dict(inputs), dynamic_shapes=shapes)


def _lowered(
    model: nn.Module, inputs: Mapping[str, Tensor], path: Path, changing: Axes
) -> ModelFile:
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import EdgeCompileConfig, to_edge_transform_and_lower

    program = exported(model, inputs, changing).run_decompositions(table())
    refuse_state(program)
    config = EdgeCompileConfig(_check_ir_validity=False)  # refuses operators that do run
    lowered = to_edge_transform_and_lower(
        program, partitioner=[XnnpackPartitioner()], compile_config=config
    ).to_executorch()
    path.write_bytes(lowered.buffer)
    plan = lowered.executorch_program.execution_plan[0]
    return _described(path, plan, program, changing, output_names(model, inputs))


def _described(
    path: Path, plan: Any, program: Any, changing: Axes, names: Sequence[str]
) -> ModelFile:
    """Names from the program that was lowered; sizes as the plan in the file has them."""
    values = {node.name: node.meta.get("val") for node in program.graph.nodes}
    signature = program.graph_signature
    taken = signature.user_inputs
    order = taken if set(taken) == set(changing) else [*changing]
    symbols: dict[str, str] = {}
    inputs: dict[str, tuple[int | str, ...]] = {}
    largest: dict[str, int] = {}
    for own, name, place in zip(taken, order, plan.inputs, strict=True):
        sizes = plan.values[place].val.sizes
        shape: list[int | str] = list(sizes)
        for axis, word in changing.get(name, {}).items():
            if isinstance(values[own].shape[axis], torch.SymInt):
                symbols[str(values[own].shape[axis])] = shape[axis] = word
                largest[word] = min(sizes[axis], largest.get(word, sizes[axis]))
        inputs[name] = tuple(shape)
    shapes = [
        tuple(d if isinstance(d, int) else symbols.get(str(d), str(d)) for d in values[own].shape)
        for own in signature.user_outputs
    ]
    kinds = Counter(_kind(plan, each.instr_args) for each in plan.chains[0].instructions)
    return ModelFile(path, inputs, dict(zip(names, shapes, strict=True)), dict(kinds), largest)


def _kind(plan: Any, instruction: Any) -> str:
    if hasattr(instruction, "delegate_index"):
        return str(plan.delegates[instruction.delegate_index].id)
    if hasattr(instruction, "op_index"):
        operator = plan.operators[instruction.op_index]
        return f"{operator.name}.{operator.overload}".rstrip(".")
    return type(instruction).__name__


def _load(path: Path, nodes: Mapping[str, int]) -> tuple[Any, bytes]:
    """The method of a program, and its bytes, which must live as long: it reads them there.

    Raises:
        RunError: A kernel is missing.
    """
    from executorch.runtime import Runtime

    runtime = Runtime.get()
    known = runtime.operator_registry.operator_names
    if missing := sorted(kind for kind in nodes if "::" in kind and kind not in known):
        raise RunError(f"ExecuTorch's runtime has no kernel for {', '.join(missing)}.")
    data = path.read_bytes()
    method = runtime.load_program(data).load_method("forward")
    return method, data


@contextmanager
def _any_batch_of_convolutions() -> Iterator[None]:
    """Without NNPACK and oneDNN, which torch chooses by the batch.

    Lowering to XNNPACK asks which would be used for the batch of the example; the answer becomes
    a condition on the axis, so that a batch of up to 32 would be one of up to 15 (torch 2.13).
    """
    with torch.backends.nnpack.flags(False), torch.backends.mkldnn.flags(False):
        yield


def _quiet() -> AbstractContextManager[None]:
    """Without remarks of libraries to their own developers."""
    return quiet("torchao", "executorch", "torch.export")
