"""Made-up runs for the report: no network, NumPy alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from nakami.results import Comparison, Spectrum, StageInfo, Xray, compare

SETTINGS: dict[str, Any] = {
    "schema": "nakami.xray/1",
    "created": "2026-11-20T10:00:00+00:00",
    "subject": "fine-tuned",
    "model": {"name": "dbn", "parameters": 2787000, "weights_sha256": "ab" * 32},
    "data": "MNIST sample, 16 test digits.",
    "input_unit": "pixel, 0 to 1",
    "inputs_sha256": "cd" * 32,
    "picture": {"mean": [0.0], "std": [1.0]},
    "k": None,
    "layers": False,
    "tol": 1e-4,
    "dtype": "float64",
    "device": "cpu",
    "seed": 0,
    "threads": 1,
    "versions": {"python": "3.11.9", "nakami": "0.1.0", "torch": "2.13.0", "numpy": "2.0"},
    "training": "SGD, 10 epochs",
    "facts": [
        {"label": "test error", "value": 1.61, "spread": 0.13, "spread_kind": "s.e.", "unit": "%"}
    ],
}


def spectrum(
    rng: np.random.Generator, index: int, stage: str, *, n: int = 784, m: int = 1000, k: int | None = None,
    gain: float = 1.0, rate: float = 20.0, source: str = "input", converged: bool = True,
) -> Spectrum:  # fmt: skip
    """A spectrum that falls like ``gain * exp(-i / rate)`` with a spread between inputs."""
    k = min(m, n) if k is None else k
    values = np.sort(
        gain * np.exp(rng.normal(0, 0.15) - np.arange(k) / (rate * np.exp(rng.normal(0, 0.1))))
    )
    values = values[::-1].copy()
    kept = np.array(sorted({0, 1, 2, k // 2, k - 1} & set(range(k))))
    right = rng.normal(size=(len(kept), n)) * (np.linspace(0, 1, n) < 0.3 + 0.7 * kept[:, None] / k)
    right = (right / np.maximum(np.linalg.norm(right, axis=1, keepdims=True), 1e-9)).astype(
        np.float32
    )
    residual = np.full(k, 1e-14) if converged else 1e-2 * values * (np.arange(k) > k // 2)
    floor = 1e-13 * gain
    return Spectrum(
        index, stage, source, (m, n), values, residual, values > floor, floor, converged,
        "converged" if converged else "out of products", "dense", "vmap of reverse mode", 784,
        kept, right, 0.5,
    )  # fmt: skip


def made_up(
    *, stages: int = 3, inputs: int = 16, seed: int = 0, gain: float = 2.5, names: list[str] | None = None,
    shape: tuple[int, ...] = (784,), layers: bool = False, settings: dict[str, Any] | None = None,
    label: str = "fine-tuned", **options: Any,
) -> Xray:  # fmt: skip
    """A run over ``inputs`` made-up digits."""
    rng = np.random.default_rng(seed)
    names = names or [f"hidden{i + 1}" for i in range(stages)]
    n = int(np.prod(shape))
    infos = (StageInfo("input", "input", shape), *(StageInfo(s, "sigmoid", (1000,)) for s in names))
    found = [
        spectrum(rng, i, s, n=n, gain=gain, **{"rate": 60 / (d + 1) ** 1.3, **options})
        for d, s in enumerate(names) for i in range(inputs)
    ]  # fmt: skip
    if layers:
        found += [
            spectrum(rng, i, b, n=n, gain=3.0, rate=40, source=a)
            for a, b in zip(names, names[1:], strict=False) for i in range(inputs)
        ]  # fmt: skip
    x = np.where(rng.random((inputs, n)) > 0.8, rng.random((inputs, n)), 0).astype(np.float32)
    extra = {
        "subject": label, "n_inputs": inputs, "input_names": [f"test digit {i}" for i in range(inputs)],
        "stages": [dataclasses.asdict(i) for i in infos],
    }  # fmt: skip
    return Xray(
        {**SETTINGS, **extra, **(settings or {})}, infos, x.reshape(inputs, *shape), tuple(found)
    )


@pytest.fixture(scope="session")
def make() -> Callable[..., Xray]:
    return made_up


@pytest.fixture(scope="session")
def run() -> Xray:
    return made_up(layers=True)


@pytest.fixture(scope="session")
def pair() -> Comparison:
    before = made_up(label="pre-trained", gain=2.2, seed=0)
    return compare(before, made_up(gain=2.5, seed=0, layers=True))
