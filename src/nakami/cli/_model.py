"""A network and its inputs from what the command line names. Importing a model runs its code."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from nakami.results import UsageError, wrong, wrong_type

from ._words import one_line

if TYPE_CHECKING:
    from torch import nn

    from nakami.data import Examples, Labelled

FORM = "package.module:factory, path/file.py:factory or a name from the zoo"
NORMALISED = {
    "efficientnet-lite0": "efficientnet-lite"
}  # zoo names whose pictures are not imagenet


def build(name: str, weights: Path | None, seed: int) -> nn.Module:
    """The network that ``--model`` names, in eval mode, with its weights.

    Weights that are not loaded are drawn after ``torch.manual_seed(seed)``, so that the same
    command gives the same network and can continue its run.

    Raises:
        UsageError: The name leads nowhere, the code fails, or the weights do not fit.
    """
    import torch

    from nakami import data, zoo

    torch.manual_seed(seed)
    if ":" in name:
        model = _from_factory(name, seed)
    elif name in zoo.NAMES:
        model = zoo.build(name, torch.Generator().manual_seed(seed))
    else:
        known = ", ".join(zoo.NAMES)
        raise wrong("--model", f"be {FORM} ({known})", repr(name), "put :factory behind a module")
    if weights is not None:
        data.load_weights(model, weights)
    return model.eval()


def training(name: str, weights: Path | None) -> str:
    """Where the weights of a network come from, in one clause."""
    if weights is not None:
        return f"weights from {weights}"
    if ":" in name:
        return f"weights as {name} made them, perhaps untrained"
    return "weights at random, untrained"


def examples_for(model: str, path: Path | None, n: int, pictures: dict[str, Any]) -> Examples:
    """The first ``n`` examples of ``--data``; without it the shipped digits.

    Only a zoo model that takes digits goes without. ``pictures`` are the options of ``data.read``;
    a zoo model gets the normalisation that its published weights expect, unless another is given.
    """
    from nakami import data, zoo

    if path is not None:
        return data.read(path, n=n, **fitting_pictures(model, path, pictures))
    if model not in zoo.DIGITS:
        raise UsageError(
            f"--data must be given with --model {model}, got none; pass --data PATH with .npy, "
            ".npz, IDX, an image or a folder of images."
        )
    return data.digits("test")[:n]


def fitting_pictures(model: str, path: Path, pictures: dict[str, Any]) -> dict[str, Any]:
    """The options of pictures, with the normalisation that a zoo model expects unless given."""
    from nakami import data

    if model in NORMALISED and (path.is_dir() or data.is_picture(path)):
        expected = NORMALISED[model] if pictures["mode"] is None else None
        return {**pictures, "normalise": pictures["normalise"] or expected}
    return pictures


def try_once(model: nn.Module, examples: Examples | Labelled) -> None:
    """Run the network on one example, so that a wrong size is known before the work.

    Raises:
        UsageError: The network refuses the example.
    """
    import torch

    one = examples.inputs[:1]
    try:
        with torch.no_grad():
            weight = next(model.parameters(), one)
            kind = weight.dtype if one.is_floating_point() else one.dtype
            model(one.to(weight.device, kind))
    except Exception as error:
        made, way_out = "", "pass (N, ...) of the size it was made for, channels first"
        if examples.picture is not None:
            made, way_out = (
                f" ({examples.source})",
                "choose what it takes by --size, --mode, --normalise",
            )
        raise UsageError(
            f"--data must hold examples that the network takes, got shape {tuple(one.shape[1:])}"
            f"{made} and from the network {one_line(error)}; {way_out}."
        ) from error


def _from_factory(name: str, seed: int) -> nn.Module:
    import torch
    from torch import nn

    where, _, attribute = name.rpartition(":")
    module = _import_file(Path(where)) if where.endswith(".py") else _import_name(where)
    found: Any = module
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise UsageError(
                f"--model must name something in {where}, got {attribute!r}, which is not there; "
                f"names there: {', '.join(_offers(module)) or 'none'}."
            )
        found = getattr(found, part)
    made = found
    if not isinstance(found, nn.Module):
        if not callable(found):
            raise wrong_type(
                "--model",
                "name a factory, a class or a torch.nn.Module",
                type(found).__name__,
                f"see {FORM}",
            )
        torch.manual_seed(seed)  # again: importing may have drawn numbers, or not, if done before
        made = _call(found, name)
    if not isinstance(made, nn.Module):
        raise wrong_type(
            "--model",
            "give a torch.nn.Module",
            type(made).__name__,
            "return the network from the factory",
        )
    return made


def _import_name(name: str) -> ModuleType:
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        return importlib.import_module(name)
    except Exception as error:
        raise UsageError(
            f"--model must name a module that can be imported, got {name!r} and from it "
            f"{one_line(error)}; start nakami in its folder, or give path/file.py:factory."
        ) from error


def _import_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise wrong("--model", "name a file that exists", repr(str(path)), "check the path")
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        sys.modules.pop(path.stem, None)
        raise UsageError(
            f"--model must name a file that can be imported, got {str(path)!r} and from it "
            f"{one_line(error)}; mend the file."
        ) from error
    return module


def _call(factory: Any, name: str) -> Any:
    try:
        return factory()
    except Exception as error:
        if _takes_nothing(factory):
            raise UsageError(
                f"--model must name a factory that runs, got {name!r} and from it "
                f"{one_line(error)}; mend it, NAKAMI_TRACEBACK=1 shows where."
            ) from error
        raise UsageError(
            f"--model must name a factory that works without arguments, got {name!r} and from it "
            f"{one_line(error)}; wrap it in a function that makes the network."
        ) from error


def _takes_nothing(factory: Any) -> bool:
    try:
        inspect.signature(factory).bind()
    except (TypeError, ValueError):
        return False
    return True


def _offers(module: ModuleType) -> list[str]:
    own = [n for n, v in vars(module).items() if callable(v) and not n.startswith("_")]
    here = [n for n in own if inspect.getmodule(getattr(module, n)) is module]
    return (here or own)[:5]
