"""A network as a LiteRT file (TensorFlow Lite), one example at a time."""

from __future__ import annotations

import contextlib
import io
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nakami.results import RunError

from ._decompositions import attention, table
from ._extras import needed, quiet
from ._int8 import Int8
from ._model_file import Axes, ModelFile, Runs, called, flat_outputs, output_names, reason, rows
from ._refused import refuse_state

HAVE_WEIGHTS = ("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "FULLY_CONNECTED", "CONV_3D")


def packages() -> tuple[Any, Any]:
    """``litert_torch`` and the interpreter.

    Raises:
        RunError: The extra is not installed.
    """
    with needed("LiteRT", "litert"), _quiet():
        import litert_torch
        from ai_edge_litert import interpreter
    return litert_torch, interpreter


def ahead(model: nn.Module, axes: Axes) -> list[str]:
    """What is known before the work."""
    del model
    timed = any("time" in each.values() for each in axes.values())
    told = "LiteRT takes one example at a time"
    return [told + (", all of one length" if timed else "")]


def write(
    model: nn.Module,
    inputs: Mapping[str, Tensor],
    path: Path,
    axes: Axes,
    about: Mapping[str, str],
) -> ModelFile:
    """Convert by litert-torch and read back what the file says.

    Shapes are fixed: litert-torch 0.10 cannot lower an axis that changes. Arguments as of
    ``_onnx.write``; a file has no place for ``about``.

    Raises:
        RunError: litert-torch cannot convert it; the reason is its own.
    """
    del axes, about
    litert_torch, _ = packages()
    one = rows(inputs, slice(0, 1))
    single = list(one) == ["input"]
    given, named = (tuple(one.values()), {}) if single else ((), dict(one))
    decompositions = {**table(), torch.ops.aten.scaled_dot_product_attention.default: attention}
    try:
        with _quiet(), torch.no_grad():
            program = torch.export.export(model, given, named).run_decompositions(decompositions)
            refuse_state(program)
            _refuse_indices(program)
            module = program.module()
            for part in module.modules():  # eval() of an exported program raises
                part.training = False
            litert_torch.convert(module, given, named or None).export(str(path))
    except RunError:
        raise
    except Exception as error:  # litert-torch and torch raise what they like
        raise RunError(f"litert-torch cannot convert this network: {reason(error)}.") from error
    shapes = [tuple(each.shape) for each in flat_outputs(called(model, one))]
    return ModelFile(
        path,
        {name: tuple(value.shape) for name, value in one.items()},
        dict(zip(output_names(model, one), shapes, strict=True)),
        _kinds(_opened(path)),
    )


def _refuse_indices(program: Any) -> None:
    """Refuse the places of maxima, which litert-torch 0.10 writes as zeros without a word."""
    pools = [node for node in program.graph.nodes if "max_pool2d_with_indices" in str(node.target)]
    if any(user.args[1] == 1 and user.users for node in pools for user in node.users):
        raise RunError(
            "a LiteRT file would have 0 for the places of all maxima (return_indices of a pool); "
            "write onnx or executorch, or a network without unpooling."
        )


def runs_of(file: ModelFile) -> Runs:
    """The file in LiteRT's interpreter on one thread."""
    opened = _opened(file.path)
    runner = opened.get_signature_runner()
    details = runner.get_input_details()
    own = {name: name if name in details else next(iter(details)) for name in file.inputs}

    def runs(inputs: Mapping[str, Tensor]) -> Sequence[Any]:
        given = {
            own[name]: value.detach().cpu().numpy().astype(details[own[name]]["dtype"])
            for name, value in inputs.items()
        }
        found = runner(**given)
        return [found[f"output_{i}"] for i in range(len(found))]

    return runs


def quantise(model: nn.Module, inputs: Mapping[str, Tensor], file: ModelFile, target: Path) -> Int8:
    """Weights of eight bits by ai-edge-quantizer; what enters a layer is quantised as it comes."""
    del model, inputs
    with _quiet():
        from ai_edge_quantizer import quantizer, recipe

        made = quantizer.Quantizer(str(file.path), recipe.dynamic_wi8_afp32()).quantize()
        made.export_model(str(target), overwrite=True)
    opened = _opened(target)
    types = {each["index"]: each["dtype"].__name__ for each in opened.get_tensor_details()}
    layers = [each for each in opened._get_ops_details() if each["op_name"] in HAVE_WEIGHTS]
    small = [any(types.get(i) == "int8" for i in each["inputs"]) for each in layers]
    names = [each["op_name"] for each in layers]
    return Int8(
        target.name,
        target.stat().st_size,
        Counter(name for name, is_small in zip(names, small, strict=True) if is_small),
        Counter(name for name, is_small in zip(names, small, strict=True) if not is_small),
    )


def _opened(path: Path) -> Any:
    _, interpreter = packages()
    opened = interpreter.Interpreter(model_path=str(path), num_threads=1)
    opened.allocate_tensors()
    return opened


def _kinds(opened: Any) -> dict[str, int]:
    return dict(Counter(each["op_name"] for each in opened._get_ops_details()))


@contextmanager
def _quiet() -> Iterator[None]:
    """Without progress, which goes to both, and remarks of libraries to their own developers."""
    nowhere = contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO())
    with quiet("torchao", "absl", "torch.export", "jax"), nowhere[0], nowhere[1]:
        yield
