"""Weights of a model from a file, without running code that the file may hold."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn

from nakami.results import UsageError, as_path, first_names, unknown, write_whole, wrong

from ._checkpoint import WRAPPERS, State, states_in
from ._names import reason, renamed

SAVED = "build the model that was saved"


def load_weights(model: nn.Module, path: str | PathLike[str]) -> str:
    """Copy weights from a file into a model, all of them or none.

    Args:
        model: Changed in place; its parameters keep their dtype and device.
        path: ``.safetensors``, or a torch file (``.pt``, ``.pth``, ``.ckpt``, ``.bin``, ``.tar``)
            with a state dict, also one inside others, as trainings and Lightning write them. Read
            with ``weights_only=True``; objects of other classes are left out.

    A prefix that all names of the file share (``module.``, ``model.``, ``_orig_mod.``, ...) is
    taken off only where all names then are the model's. A weight that the model shares under two
    names may stand under one of them. Of several state dicts, the first that fits of
    ``state_dict``, ``model_state_dict``, ``model``, or else the only one that fits is taken.

    Returns:
        What was done to the names, in one clause: ``"'state_dict' of it, 'model.' taken off"``;
        empty where nothing was.

    Raises:
        UsageError: The file is missing, of another format, damaged, or holds code; keys are
            missing, unexpected or of another shape; a weight is NaN or infinite, also as the
            model's dtype has it, or complex where the model's is real. The model is then unchanged.
    """
    path = as_path("weights", path, "give a file of weights")
    parts = path if path.is_dir() else path.parent
    if path.suffix == ".distcp" or (parts / ".metadata").is_file():
        command = f"python -m torch.distributed.checkpoint.format_utils dcp_to_torch {parts} all.pt"
        rule = "be one file, not parts of torch.distributed.checkpoint whose index is a pickle"
        raise wrong("weights", rule, path, f"run {command}, where you trust it, and pass all.pt")
    if not path.is_file():
        way_out = f"pass a path that exists, relative to {Path.cwd()}"
        raise wrong("weights", "be an existing file", path, way_out)
    return _load(model, states_in(path), path)


def load_state(model: nn.Module, state: Mapping[str, Tensor], name: str) -> str:
    """As ``load_weights``, of a state dict; ``name`` stands for it where it is refused."""
    return _load(model, {"": {k: v for k, v in state.items() if isinstance(v, Tensor)}}, name)


def _load(model: nn.Module, states: dict[str, State], source: Path | str) -> str:
    own = {k: v for k, v in model.state_dict().items() if isinstance(v, Tensor)}
    state, done = _fitting(own, states, source)
    _check(own, state, source)
    model.load_state_dict(state, strict=False)  # the names are checked above
    return done


def shipped_weights(name: str) -> Path:
    """The file of weights that is shipped for a model of the zoo.

    Args:
        name: ``"gru"``: trained on the shipped digits, 6.6 % of the test digits wrong.

    Raises:
        UsageError: There is none for it.
    """
    folder = Path(__file__).with_name("weights")
    names = sorted(file.stem for file in folder.glob("*.safetensors"))
    if name not in names:
        raise unknown("weights", name, names)
    return folder / f"{name}.safetensors"


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


def _fitting(own: State, states: dict[str, State], path: Path | str) -> tuple[State, str]:
    """The weights of the file under the model's names, and what was done to them."""
    found = {place: fit for place, state in states.items() if (fit := _named(own, state))}
    if not found:
        place = max(states, key=lambda place: (_usual(place), len(states[place])))
        raise _misfit(own, states[place], path, place)
    first, *others = found
    if others and not _usual(first):
        got = " and ".join(map(repr, found))
        way_out = f"torch.save(torch.load({str(path)!r})[{first!r}], 'clean.pt'), give clean.pt"
        raise wrong(f"weights in {path}", "fit the model once", got, way_out)
    state, done = found[first]
    return state, ", ".join(filter(None, (first and f"{first!r} of it", done)))


def _usual(place: str) -> bool:
    return place.partition(".")[0] in WRAPPERS


def _named(own: State, state: State) -> tuple[State, str] | None:
    for left_out in _twins(own):
        found = renamed(own.keys() - left_out.keys(), state)
        if found is not None:
            named = {found.names[name]: value for name, value in state.items()}
            named |= {name: named[other] for name, other in left_out.items()}
            return {name: named[name] for name in own}, found.done
    return None


def _twins(own: State) -> list[dict[str, str]]:
    """Names that a file may lack, each with the name of the same tensor that it then has.

    None first; then all but the first name of each shared tensor, and all but the last.
    """
    groups: dict[object, list[str]] = {}
    for name, value in own.items():
        if value.numel():
            groups.setdefault((value.data_ptr(), value.shape, value.stride()), []).append(name)
    shared = [names for names in groups.values() if len(names) > 1]
    twins = [
        {name: names[at] for names in shared for name in names if name != names[at]}
        for at in (0, -1)
    ]
    return [{}, *twins] if shared else [{}]


def _misfit(own: State, state: State, path: Path | str, place: str) -> UsageError:
    missing, extra = own.keys() - state.keys(), state.keys() - own.keys()
    parts = [f"missing {first_names(sorted(missing))}"] * bool(missing)
    parts += [f"unexpected {first_names(sorted(extra))}"] * bool(extra)
    got = " and ".join(parts) + f" ({reason(own, state)})"
    where = f"weights in {path}" + (f" under {place!r}" if place else "")
    return wrong(where, "have the model's names", got, SAVED)


def _check(own: State, state: State, path: Path | str) -> None:
    odd = [key for key in own if own[key].shape != state[key].shape]
    if odd:
        pairs = (f"{k} {tuple(state[k].shape)}, model {tuple(own[k].shape)}" for k in odd)
        raise wrong(
            f"weights in {path}", "have the model's shapes", first_names(pairs),
            "build the model with the sizes that were saved",
        )  # fmt: skip
    odd = [k for k, v in state.items() if v.is_complex() and not own[k].is_complex()]
    if odd:
        got = f"complex numbers in {first_names(odd)}"
        raise wrong(f"weights in {path}", "be real, as the model's", got, SAVED)
    bad = [k for k, v in state.items() if not torch.isfinite(v.to(own[k].dtype)).all()]
    if bad:
        got = f"NaN or infinity in {first_names(bad)}"
        raise wrong(f"weights in {path}", "be finite", got, "take an earlier checkpoint")


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


def described(model: nn.Module) -> dict[str, Any]:
    """A model as a run keeps it: ``name``, number of ``parameters``, ``weights_sha256``."""
    return {
        "name": type(model).__name__,
        "parameters": sum(p.numel() for p in model.parameters()),
        "weights_sha256": weights_fingerprint(model),
    }
