"""Which subject a command reads: by name, or the folder of a training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nakami import recipes
from nakami.results import read_record, wrong

from . import _runs

if TYPE_CHECKING:
    from ._groups import DataOptions


@dataclass(frozen=True)
class Asked:
    """Which training is read.

    Attributes:
        name: The subject. training: as ``recipes.prepare`` takes it.
        folder: Where its weights lie, if that was given.
    """

    name: str
    training: dict[str, Any]
    folder: Path | None = None

    def named(self, chosen: Mapping[str, object]) -> dict[str, object]:
        """What names the folder of a reading: with a folder of weights, what that is called."""
        if self.folder is None:
            return dict(chosen)
        named = {_runs.of_training(self.folder): True, **chosen}
        return {key: value for key, value in named.items() if key not in ("", "data")}

    def weights(self, out: Path, chosen: Mapping[str, object]) -> Path:
        """Where its weights lie, or will: the folder given, else one named after what was chosen.

        Args:
            out: The value of ``--out``.
            chosen: As ``_runs.weights`` takes it.
        """
        return self.folder or _runs.weights(
            out, self.name, chosen, lambda f: recipes.trained(self.name, f, **self.training)
        )


def known(name: str) -> str:
    """The whole name of a recipe; a network of the caller's is made one."""
    if ":" not in name:
        return recipes.SUBJECTS.full(name)
    from . import _model

    _model.check(name)
    return recipes.own(name, lambda seed: _model.build(name, None, seed))


def made_known(folder: Path) -> None:
    """Where a folder holds the training of a caller's network, make that a recipe."""
    known(str(read_record(folder).settings.get("recipe", "")))


def asked(subject: str, inputs: DataOptions, train_seed: int | None) -> Asked:
    """A subject by name, or the folder of a training."""
    folder = Path(subject)
    if subject in recipes.SUBJECTS or not folder.is_dir():
        whole = recipes.SUBJECTS.full(subject)
        return Asked(whole, {"data": inputs.data, "seed": train_seed or 0})
    if train_seed is not None:
        rule = "be left out with the folder of a training"
        raise wrong("--train-seed", rule, train_seed, "leave it out")
    made_known(folder)
    name, training = recipes.trained_as(folder)
    return Asked(name, training | ({"data": inputs.data} if inputs.data else {}), folder)
