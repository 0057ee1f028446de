"""What the command line asks for, and its defaults."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

INPUTS, TOL, OUT = 16, 1e-4, "nakami-out"  # defaults
BATCH, BATCHES = 50, 8  # of nakami lr


@dataclass(frozen=True)
class Request:
    """What the command line asked for, as typed."""

    subject: str | None
    model: str | None
    weights: Path | None
    data: Path | None
    pictures: dict[str, Any]  # options of data.read
    inputs: int
    stages: list[str]
    top: int | None
    layers: bool
    out: Path
    device: str | None
    dtype: str | None
    memory_budget: str | None
    seed: int
    train_seed: int | None
    tol: float
    as_json: bool
    page: bool


@dataclass(frozen=True)
class RateRequest:
    """What ``nakami lr`` was asked for, as typed."""

    model: str | None
    weights: Path | None
    data: Path | None
    pictures: dict[str, Any]  # options of data.labelled
    labels: str | None
    loss: str
    optimizer: str
    batch: int
    batches: int
    seed: int
    tol: float
    out: Path
    device: str | None
    dtype: str | None
    memory_budget: str | None
    as_json: bool
    page: bool
