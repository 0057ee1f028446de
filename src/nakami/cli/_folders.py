"""Where a command keeps what it makes: folders named after what was chosen, by name alone."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from ._groups import OUT

LONGEST = 80  # characters of a folder's name
TRAINING = ("data", "train-seed")  # what is chosen of a subject's training


def reading(chosen: Mapping[str, object]) -> str:
    """What was chosen of a subject's reading, ``""`` where nothing was: ``inputs-4,top-10``.

    The same choices give the same name, so the same command finds its run again.
    """
    given = {name: value for name, value in chosen.items() if value != ""}
    return slug(",".join(n if value is True else f"{n}-{value}" for n, value in given.items()))


def weights(
    out: Path, name: str, chosen: Mapping[str, object], trained: Callable[[Path], bool]
) -> Path:
    """Folder of a subject's weights: under ``--out``; else, if only there, under the default one.

    Args:
        out: The value of ``--out``.
        name: The subject.
        chosen: As for ``reading``.
        trained: Whether a folder holds the finished training that is asked for.
    """
    suffix = "".join(f"-{key}-{chosen[key]}" for key in TRAINING if chosen[key] != "")
    own, usual = (place / name / slug(f"weights{suffix}") for place in (out, Path(OUT)))
    return usual if own != usual and not trained(own) and trained(usual) else own


def of_model(model: str, what: str, weights: Path | None) -> Path:
    """Folder of a reading of one network: ``mlp/lr-sgd``, with the name of the weights' file."""
    suffix = f"-{weights.stem}" if weights else ""
    return Path(slug(model.rpartition(":")[2] or model), slug(f"{what}{suffix}"))


def slug(name: str) -> str:
    """A name that any disk takes; two names never meet in one."""
    text = re.sub(r"[^\w.,+-]", "_", name)[:LONGEST]
    return text if text == name else f"{text}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
