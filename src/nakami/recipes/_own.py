"""A network of the caller's own as a recipe: trained on data by a schema, by what is advised."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Any, Literal

import torch
from torch import Tensor, nn

from nakami.data import Examples, weights_fingerprint
from nakami.data._maps import picked, pieces
from nakami.geometry import tune
from nakami.results import counted, wrong
from nakami.training import Scheduled, Supervised, Training, ranks, sharded

from . import SUBJECTS
from ._examples import DataFiles, check_labels, digits_from, is_schema, prepared_of
from ._facts import error_fact, mean_fact, share_fact
from ._first_weights import scaled
from ._own_loss import balanced_error, loss_of, shaped
from ._settings import POSITIVE, Bounds
from ._subject import Network, Recipe

Make = Callable[[int], nn.Module]  # a network with first weights, by seed
OWN: dict[str, Recipe] = {}
UNKNOWN = 1e-3  # where no rate is known
READ = 1 << 28  # bytes of inputs that advice may read
# Gradients that the advice may always cost: trials of rates take so many. One gradient alone errs
# by a factor of three, and of a small network of convolutions on 212 pictures (100 steps) it
# advised 0.045, at which that learned nothing; the trials 0.008, at which all were right.
TRIALS, SHORTEST = 120, 125


@dataclass(frozen=True)
class OwnSettings:
    """What decides the weights, beside seed, data and the network's code.

    Attributes:
        epochs: Passes over the data.
        batch: Examples of one update.
        optimizer: adamw, or sgd with momentum 0.9.
        rate: Peak of the learning rate, which falls in a line to 0 behind a short warm-up; none:
            what nakami.tune advises for so many steps.
        scale: Of the first weights, where signals or gradients would not survive the depth: what
            nakami.initialisation proposes, with the directions kept or orthogonal ones; or as made.
        budget: Most gradients for that advice, as a share of the training's; 120 are
            always allowed.
        weights: Of rows: equal, or balanced: n / (k n_c) of a row of class c, of which there are
            n_c among n rows and k classes, so that all classes count alike.
    """

    epochs: int = 20
    batch: Annotated[int, Bounds(1)] = 50
    optimizer: Literal["adamw", "sgd"] = "adamw"
    rate: Annotated[float | None, POSITIVE] = None
    scale: Literal["kept", "orthogonal", "as made"] = "kept"
    budget: Annotated[float, Bounds(0, 1, without=(0, 1))] = 0.05
    weights: Literal["equal", "balanced"] = "equal"


def own(name: str, make: Make) -> str:
    """Make a network of the caller's a recipe in this process.

    Args:
        name: Under which ``prepare`` and the others find it, with a ``:`` in it.
        make: ``make(seed)`` gives the network with its first weights.

    Returns:
        The name.
    """
    OWN[name] = Recipe(
        settings=OwnSettings(),
        examples=partial(_examples, name),
        untrained=lambda settings: _first(make, 0).eval(),
        epochs=lambda settings: {"trained": settings.epochs},
        train=partial(_train, make),
        labelled=False,
        measured=_without_numbers,
        identity=lambda seed: {"network": weights_fingerprint(_first(make, seed))},
    )
    return name


def recipe_of(name: str) -> Recipe:
    """A recipe by name: shipped, or made by ``own``.

    Raises:
        UsageError: There is none.
    """
    if ":" in name and name not in OWN:
        way_out = "call recipes.own(name, make) first"
        raise wrong("recipe", "be made known in this process", repr(name), way_out)
    return OWN[name] if name in OWN else SUBJECTS[name]


def _examples(name: str, files: DataFiles | None) -> tuple[Examples, Examples]:
    if files is None:
        way_out = "pass a schema, which nakami data inspect PATH proposes"
        raise wrong("data", "be given to train a network of your own", "none", way_out)
    if is_schema(files):
        prepared = prepared_of(files)
        train, test = (prepared.examples(part, numbers=True) for part in ("train", "test"))
        if train.labels is None:
            way_out = 'write use = "target" below the column to be foreseen'
            raise wrong("data", "name a target", "none", way_out)
        return train, test
    train, test = digits_from(files)
    check_labels(name, train, test)
    return train, test


def _train(
    make: Make, training: Training, train: Examples, test: Examples, settings: OwnSettings
) -> tuple[Network, ...]:
    """One network."""
    s, targets = settings, train.labels
    assert targets is not None
    model = _first(make, training.seed).train()
    numbers = targets.is_floating_point()
    _check_fits(model, train, 1 if numbers else max(len(train.classes), int(targets.max()) + 1))
    loss = loss_of(targets, s.weights)
    batches = -(-len(train) // s.batch)
    scales = ""
    if s.scale != "as made":
        again = partial(_first, make, training.seed + 1)
        scales = scaled(training, model, again, train.inputs, s.scale)
    advice = _advice(training, model, train, s, loss.advised, batches)
    steps = s.epochs * batches
    learner = sharded(model) if ranks().shard else model
    optimizer = _optimizer(learner, s, advice["rate"])
    unit = f", {train.target.loss}" if train.target else ""
    method = Supervised(learner, optimizer, loss.value, loss.name + unit)
    falling = Scheduled(method, batches, steps, int(advice["warmup"]))
    training.run("trained", falling, lambda: (train.inputs, targets), batch=s.batch)
    if learner is not model:
        training.read("trained", model)
    rate = f"{s.optimizer} from rate {advice['rate']:.3g} ({advice['why']})"
    said = f"{counted(s.epochs, 'epoch')} of {rate}, in batches of {s.batch}, on {train.source}"
    said += "".join(f"; {more}" for more in (scales, loss.said) if more)
    facts = (
        _errors(model, train, test) if numbers else [error_fact(model, test), _guess(train, test)]
    )
    facts += [balanced_error(model, test)] if s.weights == "balanced" else []
    advised = {} if s.rate is not None else {"rate": advice["rate"]}
    return (Network("trained", model.eval(), said, facts, advised=advised),)


def _first(make: Make, seed: int) -> nn.Module:
    """The network with first weights; the global random state stays."""
    with torch.random.fork_rng(devices=[]):
        model = make(seed)
    _check_weights(model)
    return model


def _check_weights(model: nn.Module) -> None:
    """Refuse weights that cannot be trained as they are made."""
    rule = ""
    for name, p in model.named_parameters():
        if isinstance(p, nn.parameter.UninitializedParameter):
            rule, got = "hold weights of known sizes", f"{name}, which has none yet"
            way_out = "write the size, or run one batch in the function that makes it"
        elif p.dtype != torch.float32:
            rule, got = "hold weights of float32", f"{name} of {p.dtype}"
            way_out = "end the function that makes it with model.float()"
        elif not bool(torch.isfinite(p).all()):
            rule, got = "hold finite weights", f"NaN or infinity in {name}"
            way_out = "correct the function that makes it"
        if rule:
            raise wrong("model", rule, got, way_out)
    if not any(p.requires_grad for p in model.parameters()):
        rule, way_out = "hold weights that can be trained", "add a layer, or unfreeze one"
        raise wrong("model", rule, "none", way_out)


@torch.no_grad()
def _check_fits(model: nn.Module, train: Examples, outputs: int) -> None:
    """Refuse a network that does not take the inputs, or gives other than the targets need."""
    rows = _two_rows(train.inputs)
    try:
        found = copy.deepcopy(model).eval()(rows)
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        got = (
            f"inputs of shape {tuple(rows.shape[1:])} and, of {len(rows)} rows, {str(error)[:200]}"
        )
        way_out = "make its first layer take as many"
        raise wrong("model", "take the inputs of the data", got, way_out) from error
    shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
    right = isinstance(found, Tensor) and found.ndim == 2 and len(found) == len(rows)
    if not right or found.shape[1] != outputs:
        rule = f"give {counted(outputs, 'number')} for each row, (N, {outputs})"
        got = f"{shape} of {len(rows)} rows"
        raise wrong("model", rule, got, f"end it with nn.Linear(..., {outputs})")


def _two_rows(inputs: Tensor) -> Tensor:
    """The first row, and of words the one with the largest place, else the second one."""
    if inputs.is_floating_point():
        return inputs[:2]
    largest = torch.cat([piece.flatten(1).amax(1) for piece in pieces(inputs)]).argmax()
    return picked(inputs, torch.tensor([0, int(largest)]))


def _without_numbers(
    networks: Sequence[Network], test: Examples
) -> tuple[Sequence[Network], Examples]:
    """What an x-ray opens: numbers are no labels of it."""
    numbers = test.labels is not None and test.labels.is_floating_point()
    return networks, replace(test, labels=None) if numbers else test


def _advice(
    training: Training, model: nn.Module, train: Examples, s: OwnSettings, loss: Any, batches: int
) -> Mapping[str, Any]:
    """Peak rate, steps of warm-up, and where they come from; found once, kept in the folder."""
    steps = max(1, s.epochs * batches)
    if s.rate is not None:
        return {"rate": s.rate, "warmup": steps // 20, "why": "as it was set"}

    def asked() -> dict[str, Any]:
        generator = training.generator("advice")
        order = torch.randperm(len(train), generator=generator)
        size = train.inputs[0].numel() * train.inputs.element_size()
        most = max(s.batch, READ // max(1, size))
        targets: Tensor = train.labels  # type: ignore[assignment]  # as _examples has seen
        parts = order[:most].split(s.batch)
        data = [(picked(train.inputs, part), shaped(targets[part])) for part in parts]
        kind = "adamw" if s.optimizer == "adamw" else _optimizer(model, s, UNKNOWN)
        length = max(steps, SHORTEST)
        budget = max(s.budget, TRIALS / length)
        found = tune(model, data, loss, steps=length, optimizer=kind, budget=budget)
        warmup = found.warmup * steps // length
        if found.rate is None:
            return {"rate": UNKNOWN, "warmup": warmup, "why": f"no rate known: {found.reason}"}
        why = f"advised at the cost of {counted(round(found.cost), 'gradient')}"
        return {"rate": found.rate, "warmup": warmup, "why": why}

    of = f"{steps} {s.batch} {s.optimizer} {s.budget}"
    return training.kept("advice", lambda: ranks().same(asked), of)


def _optimizer(model: nn.Module, s: OwnSettings, rate: float) -> torch.optim.Optimizer:
    if s.optimizer == "sgd":
        return torch.optim.SGD(model.parameters(), rate, 0.9)
    return torch.optim.AdamW(model.parameters(), rate)


@torch.no_grad()
def _errors(model: nn.Module, train: Examples, test: Examples) -> list[dict[str, Any]]:
    """Squared errors in the unit of the target, and those of the mean of the targets trained on."""
    model.eval()
    assert train.labels is not None
    assert test.labels is not None
    answers = torch.cat([model(part) for part in pieces(test.inputs)]).flatten(1).squeeze(-1)
    scale, unit = (test.target.scale, test.target.squared) if test.target else (1.0, "")
    off = ((scale * (answers - test.labels).double()) ** 2).flatten(1 if answers.ndim > 1 else 0)
    guess = (scale * (train.labels.double().mean() - test.labels.double())) ** 2
    return [
        mean_fact(off, "squared error of test rows", unit, test.noun),
        mean_fact(guess, "the same by the mean of the training rows", unit, test.noun),
    ]


def _guess(train: Examples, test: Examples) -> dict[str, Any]:
    """Error of the most frequent class."""
    assert train.labels is not None
    assert test.labels is not None
    most = int(train.labels.bincount().argmax())
    return share_fact("error of the most frequent class", test.labels != most, test.noun)
