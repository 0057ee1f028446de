"""Models, and ways to read them, that are refused: one sentence each."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.dropout import _DropoutNd

from ...results import UsageError, wrong, wrong_type

FAILURES = (RuntimeError, NotImplementedError, AssertionError, TypeError)  # what torch raises
COMPUTED = {"float32": torch.float32, "float64": torch.float64}


def read_dtype(dtype: object) -> torch.dtype | None:
    """The arithmetic to compute in, also by name; None stays None."""
    found = COMPUTED.get(dtype.removeprefix("torch.")) if isinstance(dtype, str) else dtype
    if found is None and dtype is None:
        return None
    if not isinstance(found, torch.dtype) or found not in COMPUTED.values():
        raise wrong_type(
            "dtype",
            "be torch.float32 or torch.float64",
            repr(dtype),
            "leave it out for that of the weights (half precision is computed in float32)",
        )
    return found


def read_device(device: object) -> torch.device | None:
    """A device of this machine, tried with one number; None stays None."""
    if device is None:
        return None
    if not isinstance(device, (str, int, torch.device)) or isinstance(device, bool):
        raise wrong_type(
            "device", "be a torch.device or its name", repr(device), "pass {device}='cpu'"
        )
    try:
        found = torch.device(device)
        torch.zeros(1, device=found).tolist()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        got = f"{str(device)!r} ({first_line(error)})"
        rule = "be one that holds numbers on this machine"
        raise wrong("device", rule, got, "'cpu' works everywhere") from error
    return found


def sharded(model: nn.Module) -> dict[int, str]:
    """What stands for each weight of which a process holds a part, by the parameter's ``id``.

    Under ``fully_shard`` weights may be plain tensors between a forward and the next backward pass:
    they are gathered for these, and go with them.
    """
    found = {id(p): type(p.data).__name__ for p in model.parameters() if hasattr(p, "device_mesh")}
    for module in model.modules():
        if hasattr(module, "reshard") and hasattr(module, "unshard"):
            found = {id(p): "gathered part" for p in module.parameters()} | found
    return found


def check_filled(model: nn.Module) -> None:
    """Refuse weights without numbers, or with those of several processes."""
    parts = sharded(model)
    for name, value in (*model.named_parameters(), *model.named_buffers()):
        if id(value) in parts or hasattr(value, "full_tensor"):
            held = parts.get(id(value), type(value).__name__)
            raise UsageError(
                f"weight {name!r} must be a plain tensor, got a {held} "
                "(fully_shard, or parallel tensors); read a copy that is not sharded, with "
                "copy.load_state_dict(torch.distributed.checkpoint.state_dict.get_model_state_dict("
                "model, options=StateDictOptions(full_state_dict=True)))."
            )
        if nn.parameter.is_lazy(value) or value.is_meta:
            raise UsageError(
                f"weight {name!r} must hold numbers, got none so far (a lazy layer, or the meta "
                "device); call the model once, or load its weights."
            )


def check_batch_statistics(model: nn.Module) -> None:
    """Refuse batch statistics where they are random, or where there are none."""
    for name, module in model.named_modules():
        p = getattr(module, "p" if isinstance(module, _DropoutNd) else "dropout", 0.0)
        if isinstance(p, float) and p > 0:
            raise wrong(
                "batch_statistics",
                "be asked of a network without dropout",
                f"{name!r} with p={p:g}: what training drops is random, so that no one matrix is "
                "its curvature",
                ["set p to 0", "leave {batch_statistics} out"],
            )
    if not any(isinstance(m, _NormBase) for m in model.modules()):
        rule = "be asked of a network with batch normalisation"
        raise wrong("batch_statistics", rule, "one without", "leave it out")


def first_line(error: Exception) -> str:
    """What an error says, as a part of a sentence; its type where that is not torch's usual."""
    name = type(error).__name__
    lines = str(error).strip().splitlines() or [name]
    usual = isinstance(error, (*FAILURES, ValueError, IndexError)) or lines[0] == name
    return ("" if usual else f"{name}: ") + lines[0].rstrip(".")[:200]
