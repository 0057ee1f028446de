"""Where a command keeps what it makes: folders named after what was chosen, by name alone."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path

from ._request import INPUTS, OUT, TOL, RateRequest, Request

LONGEST = 80  # characters of a folder's name


def reading(request: Request) -> str:
    """What was chosen of a subject's reading, ``""`` where nothing was: ``inputs-4,top-10``.

    The same choices give the same name, so the same command finds its run again.
    """
    stages = [] if request.stages == ["auto"] else request.stages
    chosen = {
        **_training(request),
        "inputs": "" if request.inputs == INPUTS else request.inputs,
        "stages": "+".join(stages).replace(",", "+"),
        "top": request.top or "",
        "seed": request.seed or "",
        "tol": "" if request.tol == TOL else f"{request.tol:g}",
        "dtype": request.dtype or "",
        "device": request.device or "",
        "memory": request.memory_budget or "",
    }
    parts = [f"{name}-{value}" for name, value in chosen.items() if value != ""]
    return _slug(",".join([*parts, *(["layers"] if request.layers else [])]))


def weights(request: Request, name: str, trained: Callable[[Path], bool]) -> Path:
    """Folder of a subject's weights: under ``--out``; else, if only there, under the default one.

    Args:
        request: The command.
        name: The subject.
        trained: Whether a folder holds the finished training that is asked for.
    """
    suffix = "".join(f"-{key}-{value}" for key, value in _training(request).items() if value != "")
    own, usual = (out / name / _slug(f"weights{suffix}") for out in (request.out, Path(OUT)))
    return usual if own != usual and not trained(own) and trained(usual) else own


def rates(request: RateRequest, name: str) -> Path:
    """Where a reading of learning rates is kept, under ``--out``: ``mlp/lr-sgd``."""
    weights = f"-{request.weights.stem}" if request.weights else ""
    return Path(_slug(name.rpartition(":")[2] or name), _slug(f"lr-{request.optimizer}{weights}"))


def _training(request: Request) -> dict[str, object]:
    """What was chosen of a subject's training."""
    data = request.data.resolve().name if request.data else ""
    return {"data": data, "train-seed": request.train_seed or ""}


def _slug(name: str) -> str:
    """A name that any disk takes; two names never meet in one."""
    slug = re.sub(r"[^\w.,+-]", "_", name)[:LONGEST]
    return slug if slug == name else f"{slug}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
