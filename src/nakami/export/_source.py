"""What is exported: a network in evaluation mode, with real inputs and what is known of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from nakami import recipes
from nakami.data import Examples
from nakami.data.schema import Preparation, read_preparation
from nakami.results import Xray, load, unknown, wrong

PREPARATION, LABELS = "preparation.json", "labels.json"


@dataclass(frozen=True)
class Source:
    """A network and what belongs to it.

    Attributes:
        name: ``"lenet-digits/trained"``, or whatever it is called.
        model: In evaluation mode; it is called with the inputs of ``examples``.
        examples: Inputs that were not trained on, with labels where there are any. The numbers of
            an exported file are compared with torch's on these.
        training: One sentence on how it was trained.
        facts: Figures as recipes keep them: ``label``, ``value``, ``spread``, ``unit``.
        preparation: How rows of the user's files became inputs; None: inputs are as ``examples``
            has them.
        run: The folder of its training; None: it has none. xray: of this network, for the card.
    """

    name: str
    model: nn.Module
    examples: Examples
    training: str = ""
    facts: Sequence[Mapping[str, Any]] = field(default_factory=tuple)
    preparation: Preparation | None = None
    run: Path | None = None
    xray: Xray | None = None

    @property
    def inputs(self) -> dict[str, Tensor]:
        """Inputs by name; a single tensor is called ``input``."""
        found = self.examples.inputs
        return dict(found) if isinstance(found, Mapping) else {"input": found}


def from_run(
    folder: str | PathLike[str],
    network: str | None = None,
    xray: str | PathLike[str] | None = None,
) -> Source:
    """A network that ``nakami train`` has made.

    Args:
        folder: The training, as ``nakami train`` names it.
        network: Which of its networks; None: the last, which was trained longest.
        xray: Folder of its x-ray, which the card then tells of.

    Raises:
        UsageError: No training is there, it has not ended, or it has no such network; the other
            folder holds no x-ray.
    """
    name, training = recipes.trained_as(folder)
    if not recipes.trained(name, folder, **training):
        way_out = "start nakami train again, which goes on, or look whether its data changed"
        raise wrong("folder", "hold a training that has ended, on the same data", folder, way_out)
    subject = recipes.prepare(name, folder, n_inputs="all", **training)
    by_name = {each.name: each for each in subject.networks}
    chosen = subject.networks[-1].name if network is None else network
    if chosen not in by_name:
        raise unknown("network", chosen, by_name)
    found, kept = by_name[chosen], Path(folder) / PREPARATION
    return Source(
        f"{name}/{chosen}",
        found.model.eval(),
        subject.examples,
        found.training,
        found.facts,
        read_preparation(kept) if kept.is_file() else None,
        Path(folder),
        None if xray is None else read_xray(xray),
    )


def read_xray(folder: str | PathLike[str]) -> Xray:
    """An x-ray that a card tells of.

    Raises:
        UsageError: The folder holds none.
    """
    found = load(folder)
    if not isinstance(found, Xray):
        raise wrong("xray", "hold an x-ray", folder, "give the folder that nakami xray names")
    return found
