"""What is measured (networks, the inputs they share, stages), and what a recipe says about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import torch
    from torch import nn

    from nakami.data import Examples
    from nakami.results import Show
    from nakami.training import Training

    from ._examples import DataFiles


@dataclass(frozen=True)
class Network:
    """A trained network of a subject, in evaluation mode.

    Attributes:
        name: Short name, also that of its run's folder. training: one sentence on how it was
            trained.
        facts: Figures to show beside the x-ray, each with ``label``, ``value``, ``spread``,
            ``spread_kind`` and ``unit``.
        origin: The module that was trained, where the network is made from it: a stack of machines,
            autoencoders. For pictures.
        times: Weights at times of the training, by name and in order. For pictures.
        trained: The module whose weights are written to a file; None: the model.
        advised: Settings whose value was found by the training, as it was left open, by name.
    """

    name: str
    model: nn.Module
    training: str
    facts: list[dict[str, Any]]
    origin: nn.Module | None = None
    times: Mapping[str, Mapping[str, torch.Tensor]] = field(default_factory=dict)
    trained: nn.Module | None = None
    advised: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Subject:
    """Networks to be measured at the same inputs.

    Attributes:
        name: One of ``SUBJECTS``. networks: in order of training, at least one.
        examples: The inputs. stages: where to cut, or ``"auto"``.
        dtype: Arithmetic to measure in; None: that of the weights.
    """

    name: str
    networks: tuple[Network, ...]
    examples: Examples
    stages: tuple[str, ...] | Literal["auto"] = "auto"
    dtype: torch.dtype | None = None


@dataclass(frozen=True)
class Recipe:
    """How a subject is made; each public file of this folder holds one, called ``ENTRY``.

    Attributes:
        settings: A dataclass with everything that decides the weights, beside seed and data.
        examples: ``examples(files)``, training and test examples; None: those shipped, else
            ``DataFiles``. ``digits_from`` takes whatever ``nakami.data`` reads.
        untrained: ``untrained(settings)``, a network with the shapes of the trained ones.
        epochs: ``epochs(settings)``, passes over the data of each phase, by name, in order.
        train: ``train(training, train, test, settings)``, the networks, by way of
            ``training.run(phase, ...)`` for each phase.
        stages: ``stages(settings)``, where to cut.
        dtype: Arithmetic to measure in; None: that of the weights.
        takes: What it reads as data where that is no schema, in words: a schema is then refused.
        labelled: Whether it needs labels; data without are then refused before any training.
        in_unit: Whether it needs values in 0..1, as probabilities; likewise.
        arranged: ``arranged(train, test, settings)``, the examples as networks take them, where
            settings decide that: text by characters or by words.
        measured: ``measured(networks, test)``, what an x-ray opens and at which inputs, where that
            is not the networks at the test examples: a recursive network along one tree.
        identity: ``identity(seed)``, what else decides the weights, as JSON takes it: of a network
            of the caller's own its first weights.
        pictures: ``pictures(networks, test, settings, generator)``, what the page of a training
            shows beside the losses: filters, samples, reconstructions. The generator is a new one
            with the training's seed.
    """

    settings: Any
    examples: Callable[[DataFiles | None], tuple[Examples, Examples]]
    untrained: Callable[[Any], nn.Module]
    epochs: Callable[[Any], Mapping[str, int]]
    train: Callable[[Training, Examples, Examples, Any], Sequence[Network]]
    stages: Callable[[Any], tuple[str, ...] | Literal["auto"]] = lambda _: "auto"
    dtype: torch.dtype | None = None
    takes: str = ""
    labelled: bool = True
    in_unit: bool = False
    arranged: Callable[[Examples, Examples, Any], tuple[Examples, Examples]] = lambda a, b, _: (
        a,
        b,
    )
    measured: Callable[[Sequence[Network], Examples], tuple[Sequence[Network], Examples]] = (
        lambda networks, test: (networks, test)
    )
    identity: Callable[[int], Mapping[str, Any]] = lambda _: {}
    pictures: (
        Callable[[Sequence[Network], Examples, Any, torch.Generator], Sequence[Show]] | None
    ) = None
