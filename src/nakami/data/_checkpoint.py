"""The tensors by name that a file of weights holds, without running code that it may hold."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from nakami.results import UsageError, first_names, wrong

PICKLES = (".pt", ".pth", ".ckpt", ".bin", ".tar")
ENDINGS = ".safetensors, .pt, .pth, .ckpt, .bin or .tar"
WRAPPERS = ("state_dict", "model_state_dict", "model")  # as training scripts name the weights
DEPTH = 3  # dicts within dicts that are searched
CLEAN = "clean.safetensors"
ALONE = "save model.state_dict() alone"
State = dict[str, Tensor]


def states_in(path: Path) -> dict[str, State]:
    """Every dict of tensors in a file, by where it stands: ``""``, ``"state_dict"``, ``"ema"``.

    Those that training scripts call the weights come first.

    Raises:
        UsageError: Another ending, a damaged file, no tensors, or objects that only code can make.
    """
    if path.suffix == ".safetensors":
        return {"": _safetensors(path)}
    if path.suffix not in PICKLES:
        way_out = f"write it by nakami.data.save_weights(model, {CLEAN!r})"
        raise wrong("weights", f"end in {ENDINGS}", path.name, way_out)
    content = _unpickle(path)
    if isinstance(content, _Placeholder):
        raise _holds_objects(path, ".state_dict()")
    found = dict(_tensors_in(content, ()))
    if not found:
        if isinstance(content, dict) and content:
            odd = [str(k) for k, v in content.items() if not isinstance(v, Tensor)]
            got = f"{first_names(odd)} beside them"
            raise wrong(f"{path}", "hold tensors by name", got, ALONE)
        way_out = "write torch.save(model.state_dict(), path)"
        raise wrong("weights", "be a state dict", type(content).__name__, way_out)
    order = sorted(found, key=_rank)
    return {".".join(at): found[at] for at in order}


def _rank(at: tuple[str, ...]) -> tuple[int, ...]:
    return tuple(WRAPPERS.index(name) if name in WRAPPERS else len(WRAPPERS) for name in at)


def _tensors_in(content: Any, at: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], State]]:
    if not isinstance(content, dict) or not content or len(at) > DEPTH:
        return
    names = all(isinstance(key, str) for key in content)
    if names and all(isinstance(value, Tensor) for value in content.values()):
        yield at, content
    elif names and not any(isinstance(value, Tensor) for value in content.values()):
        for key, value in content.items():
            yield from _tensors_in(value, (*at, key))


def _safetensors(path: Path) -> State:
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise UsageError(
            f"{path} cannot be read as safetensors ({error}); save or fetch the file again."
        ) from error


class _Placeholder:
    """Stands for an object whose class is not loaded; takes any argument and does nothing."""

    def __new__(cls, *args: Any, **options: Any) -> _Placeholder:
        return super().__new__(cls)

    def __init__(self, *args: Any, **options: Any):
        pass

    def __setstate__(self, state: Any) -> None:
        pass


def _unpickle(path: Path) -> Any:
    """Tensors, numbers and dicts of a torch file; settings of other classes are left out.

    ``weights_only`` refuses the classes of a training's settings. For each name that it would
    refuse the file gets a placeholder, so that no code is run and the tensors are read.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                return torch.load(path, map_location="cpu", weights_only=True)
            except pickle.UnpicklingError:
                unknown = torch.serialization.get_unsafe_globals_in_checkpoint(path)
                with torch.serialization.safe_globals([(_Placeholder, n) for n in unknown]):
                    return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if any(word in str(error) for word in ("nsupported", "GLOBAL", "weights_only", "Can only")):
            raise _holds_objects(path, "['state_dict']") from error
        raise _damaged(path, error) from error
    except (RuntimeError, EOFError, ValueError, OSError, KeyError, AttributeError) as error:
        if "TorchScript" in str(error):
            raise UsageError(
                f"{path} is a TorchScript program, which is code; write its weights with "
                f'python -c "import torch; torch.save(torch.jit.load({str(path)!r}).state_dict(), '
                "'clean.pt')\" and give clean.pt."
            ) from error
        raise _damaged(path, error) from error


def _holds_objects(path: Path, part: str) -> UsageError:
    return UsageError(
        f"{path} holds Python objects beside tensors, which would run code when read; if you trust "
        f'the file, write its weights with python -c "import torch; torch.save(torch.load('
        f"{str(path)!r}, weights_only=False){part}, 'clean.pt')\" and give clean.pt."
    )


def _damaged(path: Path, error: Exception) -> UsageError:
    line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return UsageError(
        f"{path} cannot be read as a torch file ({line}); save or fetch the file again."
    )
