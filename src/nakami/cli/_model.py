"""A network and its inputs from what the command line names. Importing a model runs its code."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from dataclasses import replace
from operator import attrgetter
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import typer

from nakami.results import UsageError, as_path, first_names, named_as, wrong, wrong_type

from . import hf
from ._exit_codes import one_line

if TYPE_CHECKING:
    from torch import nn

    from nakami.data import Examples, LabelledExamples, Prepared
    from nakami.data.schema import Preparation

    from ._groups import DataOptions, LabelledOptions, ModelOptions

MOST = 5  # names that a refusal lists
FORM = "package.module:factory, path/file.py:factory, hf:FOLDER or a name from the zoo"


def check(name: str) -> None:
    """Refuse a ``--model`` that leads nowhere, before torch or code of the caller's is imported."""
    if hf.is_hf(name):
        hf.check(name)
        return
    from nakami import zoo

    where, factory, _ = name.rpartition(":")
    if not factory and name not in zoo.ENTRIES:
        known = ", ".join(zoo.ENTRIES)
        raise wrong("--model", f"be {FORM} ({known})", repr(name), "put :factory behind a module")
    if where.endswith(".py") and not as_path("--model", where).is_file():
        raise wrong("--model", "name a file that exists", repr(where), "check the path")


def build(name: str, weights: Path | None, seed: int) -> nn.Module:
    """The network that ``--model`` names, in eval mode, with its weights.

    Weights that are not loaded are drawn after ``torch.manual_seed(seed)``, so that the same
    command gives the same network and can continue its run.

    Raises:
        UsageError: The name leads nowhere, the code fails, or the weights do not fit.
    """
    check(name)
    if hf.is_hf(name) and weights is not None:
        way_out = "leave it out, the folder holds them"
        raise wrong("--weights", "come with another --model than hf:FOLDER", weights, way_out)
    import torch

    from nakami import data, zoo

    torch.manual_seed(seed)
    if hf.is_hf(name):
        model, said = hf.load(name)
        if said:
            typer.echo(f"note: {name}: {said}.", err=True)
    elif ":" in name:
        model = _from_factory(name, seed)
    else:
        model = zoo.build(name, torch.Generator().manual_seed(seed))
    if weights is not None:
        done = data.load_weights(model, _trained_in(weights))
        if done:
            typer.echo(f"note: weights from {weights}: {done}.", err=True)
    return model.eval()


def _trained_in(weights: Path) -> Path:
    """The file of weights itself, or the one in the folder of a training."""
    files = sorted((weights / "networks").glob("*.safetensors")) if weights.is_dir() else [weights]
    if len(files) > 1:
        rule = "be the file of one network"
        got = f"a training of {first_names([file.stem for file in files], MOST)}"
        raise wrong("--weights", rule, got, f"pass {files[0]}")
    return files[0] if files else weights


def training(name: str, weights: Path | None) -> str:
    """Where the weights of a network come from, in one clause."""
    if weights is not None:
        return f"weights from {weights}"
    if hf.is_hf(name):
        return hf.training(name)
    if ":" in name:
        return f"weights as {name} made them, perhaps untrained"
    return "weights at random, untrained"


def examples_for(model: str, inputs: DataOptions, n: int) -> Examples:
    """The first ``n`` examples of ``--data``; without it the shipped digits.

    Only a zoo model that takes digits goes without.
    """
    check(model)
    from nakami import data

    found = hf.examples(model, inputs, n) if hf.is_hf(model) else None
    if found is not None:
        return found
    prepared = _by_schema(inputs)
    if prepared is not None:
        return prepared.examples("test", numbers=True)[:n]
    if inputs.data is not None:
        return data.read(inputs.data, n=n, **fitting(model, inputs))
    _check_digits(model, "PATH with .npy, .npz, IDX, an image or a folder of images")
    return data.digits("test")[:n]


def preparation_of(inputs: DataOptions) -> Preparation | None:
    """How the rows of ``--data`` become inputs, where it is a schema."""
    prepared = _by_schema(inputs)
    return None if prepared is None else prepared.preparation


def labelled_for(
    model: str, inputs: LabelledOptions, n: int, seed: int, inside: bool = False
) -> LabelledExamples:
    """As ``examples_for``, with targets, drawn at random; ``inside``: also among the inputs."""
    check_labelled(model, inputs)
    from nakami import data

    found = hf.labelled(model, inputs, n, seed, inside) if hf.is_hf(model) else None
    if found is not None:
        return found
    prepared = _by_schema(inputs)
    if prepared is not None:
        _check_inside(inside)
        some = data.with_targets(prepared.examples("train", numbers=True), n, seed)
        values = some.targets.is_floating_point() and some.targets.ndim == 1
        return replace(some, targets=some.targets[:, None]) if values else some
    if inputs.data is not None:
        return data.read_labelled(
            inputs.data, n, seed=seed, inside=inside, **fitting(model, inputs)
        )
    return data.with_targets(data.digits(), n, seed)


def _by_schema(inputs: DataOptions) -> Prepared | None:
    """The data of a schema, where ``--data`` is one: prepared as for a training."""
    if inputs.data is None or inputs.data.suffix != ".toml":
        return None
    from nakami import recipes

    for option in inputs.typed:
        raise wrong(option, "be left out with a schema", inputs.data, "write it into the schema")
    with named_as("data", "--data"):
        return recipes.prepared_of(recipes.DataFiles(inputs.data))


def _check_inside(inside: bool) -> None:
    """Refuse a schema for a network that makes its own loss."""
    if inside:
        rule = "name a loss where --data is a schema, which holds targets apart"
        raise wrong("--loss", rule, "the network's own", "write --loss cross_entropy or mse")


def check_labelled(model: str, inputs: LabelledOptions) -> None:
    """Refuse a ``--model`` that leads nowhere, and to go without ``--data`` where it needs some."""
    check(model)
    if inputs.data is not None:
        return
    for option in inputs.typed:
        raise wrong(option, "come with --data", "shipped digits", f"leave {option} out")
    kinds = "an .npz with x and y, IDX beside its labels, or a folder of pictures by class"
    if hf.is_hf(model):
        kinds = f"a .txt with one text a line (for a model of language), {kinds}"
    _check_digits(model, f"PATH: {kinds}")


def _check_digits(model: str, data: str) -> None:
    """Refuse to go without ``--data`` where the model takes no digits."""
    from nakami import zoo

    if model not in zoo.ENTRIES or zoo.ENTRIES[model].data != "digits":
        rule = f"be given with --model {model}"
        raise wrong("--data", rule, "none", f"pass --data {data}")


def fitting(model: str, inputs: DataOptions) -> dict[str, Any]:
    """How to read ``--data``: what was typed, and the normalisation that a zoo model expects."""
    from nakami import data, zoo

    path, reading = inputs.data, inputs.reading
    if path is not None and hf.is_text(path) and not hf.is_hf(model):
        rule = "hold arrays or pictures; a text is for --model hf:FOLDER, which has a tokenizer"
        way_out = "pass the tokens, np.save('ids.npy', ids)"
        raise wrong("--data", rule, path.name, way_out)
    pictures = path is not None and (path.is_dir() or data.is_picture(path))
    plain = reading["mode"] is None and reading["normalise"] is None
    if pictures and plain and model in zoo.ENTRIES:
        reading["normalise"] = zoo.ENTRIES[model].preprocessing
    return reading


def try_once(model: nn.Module, examples: Examples | LabelledExamples) -> str:
    """Run the network on one example, so that a wrong size is known before the work.

    Returns:
        The outputs in few words; those of another function of the same weights differ.

    Raises:
        UsageError: The network refuses the example.
    """
    import torch

    from nakami import data

    one = data.some_rows(examples.inputs, slice(1))
    parts = data.tensors_of(one)
    try:
        with torch.no_grad():
            weight = next(model.parameters(), parts[0])

            def put(x: torch.Tensor) -> torch.Tensor:
                return x.to(weight.device, weight.dtype if x.is_floating_point() else x.dtype)

            if isinstance(one, dict):
                outputs = model(**{name: put(x) for name, x in one.items()})
            else:
                outputs = model(put(one))
        return _in_short(outputs)
    except Exception as error:
        made, way_out = "", "pass (N, ...) of the size it was made for, channels first"
        if not parts[0].is_floating_point():
            way_out = "pass tokens that it embeds, or measured numbers as float32"
        if examples.picture is not None:
            made, way_out = (
                f" ({examples.source})",
                "choose what it takes by --size, --mode, --normalise",
            )
        shapes = " and ".join(f"shape {tuple(x.shape[1:])}" for x in parts)
        raise UsageError(
            f"--data must hold examples that the network takes, got {shapes}"
            f"{made} and from the network {one_line(error)}; {way_out}."
        ) from error


def _in_short(outputs: Any) -> str:
    """Mean and root mean square of the tensors in outputs, to three digits."""
    import torch
    from torch.utils._pytree import tree_leaves

    found = [t for t in tree_leaves(outputs) if isinstance(t, torch.Tensor) and not t.is_complex()]
    parts = [t.detach().double() for t in found]
    return ", ".join(
        f"{float(t.mean()):.3g} ± {float(t.square().mean().sqrt()):.3g}" for t in parts
    )


def identity(
    name: str,
    network: ModelOptions,
    inputs: DataOptions,
    model: nn.Module,
    examples: Examples | LabelledExamples,
) -> dict[str, Any]:
    """What ``run.json`` keeps of a network and its data, beside hashes; runs it on one example."""
    return {
        "factory": name,
        "training": training(name, network.weights),
        "outputs": try_once(model, examples),
        "data": examples.source,
        "file": str(inputs.data) if inputs.data else None,
        "weights_file": str(network.weights) if network.weights else None,
    }


def _from_factory(name: str, seed: int) -> nn.Module:
    import torch
    from torch import nn

    where, _, attribute = name.rpartition(":")
    module = _import_file(Path(where)) if where.endswith(".py") else _import_name(where)
    try:
        found = attrgetter(attribute)(module)
    except AttributeError as error:
        rule = f"name something in {where}"
        way_out = f"names there: {first_names(_offers(module), MOST)}"
        got = f"{attribute!r}, which is not there"
        raise wrong("--model", rule, got, way_out) from error
    made = found
    if not isinstance(found, nn.Module):
        if not callable(found):
            rule, got = "name a factory, a class or a torch.nn.Module", type(found).__name__
            raise wrong_type("--model", rule, got, f"write {FORM}")
        torch.manual_seed(seed)  # again: importing may have drawn numbers, or not, if done before
        made = _call(found, name)
    if not isinstance(made, nn.Module):
        rule, way_out = "give a torch.nn.Module", "return the network from the factory"
        raise wrong_type("--model", rule, type(made).__name__, way_out)
    return made


def _import_name(name: str) -> ModuleType:
    _add_to_path(Path.cwd())
    try:
        return importlib.import_module(name)
    except Exception as error:
        raise _unusable(
            "a module that can be imported",
            name,
            error,
            "start nakami in its folder, or give path/file.py:factory",
        ) from error


def _add_to_path(folder: Path) -> None:
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def _unusable(rule: str, name: str, error: Exception, way_out: str) -> UsageError:
    return wrong("--model", f"name {rule}", f"{name!r} and from it {one_line(error)}", way_out)


def _import_file(path: Path) -> ModuleType:
    _add_to_path(path.resolve().parent)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        sys.modules.pop(path.stem, None)
        rule, way_out = (
            "a file that can be imported",
            "correct the file, NAKAMI_TRACEBACK=1 shows where",
        )
        raise _unusable(rule, str(path), error, way_out) from error
    return module


def _call(factory: Any, name: str) -> Any:
    try:
        return factory()
    except Exception as error:
        rule, way_out = "a factory that runs", "correct it, NAKAMI_TRACEBACK=1 shows where"
        if not _takes_nothing(factory):
            rule = "a factory that works without arguments"
            way_out = "wrap it in a function that makes the network"
        raise _unusable(rule, name, error, way_out) from error


def _takes_nothing(factory: Any) -> bool:
    try:
        inspect.signature(factory).bind()
    except (TypeError, ValueError):
        return False
    return True


def _offers(module: ModuleType) -> list[str]:
    own = [n for n, v in vars(module).items() if callable(v) and not n.startswith("_")]
    here = [n for n in own if inspect.getmodule(getattr(module, n)) is module]
    return here or own
