"""Weights of a model from a file, without running code that the file may hold."""

from __future__ import annotations

import hashlib
import pickle
import warnings
from collections.abc import Iterable
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from nakami.results import UsageError, as_path, write_whole, wrong

PICKLES = (".pt", ".pth")
WRAPPERS = ("state_dict", "model_state_dict", "model")  # as training scripts name the weights


def load_weights(model: nn.Module, path: str | PathLike[str]) -> None:
    """Copy weights from a file into a model, all of them or none.

    Args:
        model: Changed in place; its parameters keep their dtype and device.
        path: ``.safetensors``, or ``.pt`` / ``.pth`` with a state dict (read with
            ``weights_only=True``; also one inside ``state_dict``, ``model_state_dict`` or
            ``model``, and with the prefix ``module.`` that data-parallel training leaves).

    Raises:
        UsageError: The file is missing, of another format, damaged, or holds code; keys are
            missing, unexpected or of another shape; a weight is NaN or infinite, also as the
            model's dtype has it, or complex where the model's is real. The model is then unchanged.
    """
    path = as_path("weights", path, "give a file of weights")
    if not path.is_file():
        way_out = f"pass a path that exists, relative to {Path.cwd()}"
        raise wrong("weights", "be an existing file", path, way_out)
    if path.suffix == ".safetensors":
        state = _safetensors(path)
    elif path.suffix in PICKLES:
        state = _without_prefix(_state_dict(_unpickle(path), path))
    else:
        way_out = "write it by torch.save(model.state_dict(), 'net.pt')"
        raise wrong("weights", "end in .safetensors, .pt or .pth", path.name, way_out)
    _check(model.state_dict(), state, path)
    model.load_state_dict(state)


def save_weights(model: nn.Module, path: str | PathLike[str]) -> None:
    """Write a model's state dict as safetensors; ``load_weights`` reads it back.

    Args:
        model: Any module; shared weights are written once for each name.
        path: Ends in ``.safetensors``; missing folders are made.

    Raises:
        UsageError: Another ending, or it cannot be written there.
    """
    path = as_path("path", path, "give a file that ends in .safetensors")
    if path.suffix != ".safetensors":
        way_out = f"pass {path.with_suffix('.safetensors').name!r}"
        raise wrong("path", "end in .safetensors", path.name, way_out)
    state = {k: v.detach().cpu().contiguous().clone() for k, v in model.state_dict().items()}
    write_whole(path, save(state), "path")


def _safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise UsageError(
            f"{path} cannot be read as safetensors ({error}); save or fetch the file again."
        ) from error


def _unpickle(path: Path) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if "Unsupported" in str(error) or "GLOBAL" in str(error) or "weights_only" in str(error):
            raise UsageError(
                f"{path} holds Python objects beside tensors, which would run code when read; save "
                "model.state_dict() alone, best as safetensors."
            ) from error
        raise _damaged(path, error) from error
    except (RuntimeError, EOFError, ValueError, OSError, KeyError, AttributeError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> UsageError:
    line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return UsageError(
        f"{path} cannot be read as a torch file ({line}); save or fetch the file again."
    )


def _state_dict(content: Any, path: Path) -> dict[str, Tensor]:
    for name in WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(name), dict):
            content = content[name]
    if not isinstance(content, dict) or not content:
        way_out = "write torch.save(model.state_dict(), path)"
        raise wrong("weights", "be a state dict", type(content).__name__, way_out)
    odd = [k for k, v in content.items() if not (isinstance(k, str) and isinstance(v, Tensor))]
    if odd:
        raise wrong(
            f"{path}", "hold tensors by name", f"{_some(map(str, odd))} beside them",
            "save model.state_dict() alone",
        )  # fmt: skip
    return content


def _without_prefix(state: dict[str, Tensor]) -> dict[str, Tensor]:
    if all(key.startswith("module.") for key in state):
        return {key.removeprefix("module."): value for key, value in state.items()}
    return state


def _check(own: dict[str, Tensor], state: dict[str, Tensor], path: Path) -> None:
    missing, extra = own.keys() - state.keys(), state.keys() - own.keys()
    if missing or extra:
        parts = [f"missing {_some(sorted(missing))}"] * bool(missing)
        parts += [f"unexpected {_some(sorted(extra))}"] * bool(extra)
        raise wrong(
            f"weights in {path}", "have the model's names", " and ".join(parts),
            "build the model that was saved",
        )  # fmt: skip
    odd = [key for key in own if own[key].shape != state[key].shape]
    if odd:
        pairs = (f"{k} {tuple(state[k].shape)}, model {tuple(own[k].shape)}" for k in odd)
        raise wrong(
            f"weights in {path}", "have the model's shapes", _some(pairs),
            "build the model with the sizes that were saved",
        )  # fmt: skip
    odd = [k for k, v in state.items() if v.is_complex() and not own[k].is_complex()]
    if odd:
        raise wrong(
            f"weights in {path}", "be real, as the model's", f"complex numbers in {_some(odd)}",
            "build the model that was saved",
        )  # fmt: skip
    bad = [k for k, v in state.items() if not torch.isfinite(v.to(own[k].dtype)).all()]
    if bad:
        raise wrong(
            f"weights in {path}", "be finite", f"NaN or infinity in {_some(bad)}",
            "take an earlier checkpoint",
        )  # fmt: skip


def _some(names: Iterable[str]) -> str:
    found = list(names)
    more = len(found) - min(3, len(found))
    return ", ".join(found[:3]) + (f" and {more} more" if more else "")


def fingerprint(*tensors: Tensor) -> str:
    """SHA-256 of shapes, types and numbers; equal for equal tensors, wherever they are."""
    digest = hashlib.sha256()
    for t in tensors:
        digest.update(f"{t.dtype}{tuple(t.shape)}".encode())
        flat = t.detach().cpu().contiguous().reshape(-1)
        digest.update(flat.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def weights_fingerprint(model: nn.Module) -> str:
    """``fingerprint`` of a model's weights and buffers, by name."""
    state = sorted(model.state_dict().items())
    return fingerprint(*(value for _, value in state if isinstance(value, Tensor)))
