"""Made-up runs for the report: no network, NumPy alone."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nakami import report
from nakami.results import (
    Comparison,
    Outcome,
    Spectrum,
    SpectrumEnding,
    StageInfo,
    Xray,
    compare,
)

SETTINGS: dict[str, Any] = {
    "schema": "nakami.xray/1",
    "created": "2026-11-20T10:00:00+00:00",
    "model": {"name": "dbn", "parameters": 2787000, "weights_sha256": "ab" * 32},
    "data": "first 1,000 test digits of MNIST",
    "input_unit": "pixel, 0 to 1",
    "inputs_sha256": "cd" * 32,
    "picture": {"mean": [0.0], "std": [1.0]},
    "tol": 1e-4,
    "dtype": "float64",
    "device": "cpu",
    "seed": 0,
    "threads": 1,
    "versions": {"python": "3.11.9", "nakami": "0.1.0", "torch": "2.13.0+cpu", "numpy": "2.0"},
    "training": "SGD, 10 epochs",
    "facts": [
        {"label": "test error", "value": 1.61, "spread": 0.13, "spread_kind": "s.e.", "unit": "%"}
    ],
}


def spectrum(
    rng: np.random.Generator,
    index: int,
    stage: str,
    *,
    n: int = 784,
    m: int = 1000,
    k: int | None = None,
    gain: float = 2.5,
    rate: float = 20.0,
    source: str = "input",
    converged: bool = True,
) -> Spectrum:
    """Values ``gain * exp(-i / rate)``, with a spread between inputs."""
    k = min(m, n) if k is None else k
    top, speed = gain * np.exp(rng.normal(0, 0.15)), rate * np.exp(rng.normal(0, 0.1))
    values = top * np.exp(-np.arange(k) / speed)
    kept = np.array(sorted({0, 1, 2, k // 2, k - 1} & set(range(k))))
    seen = np.linspace(0, 1, n) < 0.3 + 0.7 * kept[:, None] / k
    right = rng.normal(size=(len(kept), n)) * seen
    right = (right / np.linalg.norm(right, axis=1, keepdims=True)).astype(np.float32)
    late = np.arange(k) > k // 2
    residuals = np.full(k, 1e-14) if converged else 1e-2 * values * late
    floor = 1e-13 * gain
    if converged:
        outcome = Outcome(SpectrumEnding.WITHIN, {"values": k, "tol": 1e-4})
    else:
        left = {"above": int(late.sum()), "values": k, "tol": 1e-4, "products": 784}
        outcome = Outcome(SpectrumEnding.SPENT, left)
    return Spectrum(
        input=index,
        stage=stage,
        source=source,
        shape=(m, n),
        values=values,
        residuals=residuals,
        reliable=values > floor,
        floor=floor,
        outcome=outcome,
        method="dense",
        route="linearised",
        n_products=784,
        kept=kept,
        right=right,
        seconds=0.5,
    )


def made_up(
    *,
    stages: int = 3,
    inputs: int = 16,
    seed: int = 0,
    names: list[str] | None = None,
    shape: tuple[int, ...] = (784,),
    layers: bool = False,
    settings: dict[str, Any] | None = None,
    label: str = "dbn/fine-tuned",
    **options: Any,
) -> Xray:
    """A run over ``inputs`` made-up digits; ``options`` go to ``spectrum``."""
    rng = np.random.default_rng(seed)
    names = names or [f"hidden{i + 1}" for i in range(stages)]
    n = int(np.prod(shape))
    infos = (StageInfo("input", "input", shape), *(StageInfo(s, "sigmoid", (1000,)) for s in names))
    found = [
        spectrum(rng, i, s, n=n, **{"rate": 60 / (d + 1) ** 1.3, **options})
        for d, s in enumerate(names)
        for i in range(inputs)
    ]
    if layers:
        found += [
            spectrum(rng, i, b, n=1000, gain=3.0, rate=40, source=a)
            for a, b in pairwise(names)
            for i in range(inputs)
        ]
    x = np.where(rng.random((inputs, n)) > 0.8, rng.random((inputs, n)), 0).astype(np.float32)
    own = {
        "subject": label,
        "n_inputs": inputs,
        "input_noun": "digit",
        "input_names": [f"test digit {i}" for i in range(inputs)],
        "stages": [dataclasses.asdict(i) for i in infos],
    }
    every = {**SETTINGS, **own, **(settings or {})}
    return Xray(every, infos, x.reshape(inputs, *shape), tuple(found))


MIXED: dict[str, dict[str, Any]] = {
    "conv1.relu": {"m": 4704, "k": 100, "gain": 9.0, "rate": 900.0},
    "conv2.relu": {"m": 1600, "gain": 8.0, "rate": 90.0},
    "fc1.relu": {"m": 120, "gain": 6.0, "rate": 20.0},
    "fc2.relu": {"m": 84, "gain": 6.0, "rate": 15.0},
    "fc3": {"m": 10, "gain": 6.0, "rate": 3.5},
}


def mixed_run(
    stages: tuple[str, ...] = tuple(MIXED), inputs: int = 4, label: str = "net", seed: int = 0
) -> Xray:
    """A small network of which the first stage is cut at 100 values, the others complete."""
    base = made_up(inputs=inputs, shape=(3, 32, 32), names=list(stages), label=label, m=50, k=3)
    rng = np.random.default_rng(seed)
    found = [spectrum(rng, i, s, n=3072, **MIXED[s]) for s in stages for i in range(inputs)]
    return dataclasses.replace(base, spectra=tuple(found))


@pytest.fixture(scope="session")
def mixed() -> Callable[..., Xray]:
    return mixed_run


@pytest.fixture(scope="session")
def make() -> Callable[..., Xray]:
    return made_up


@pytest.fixture(scope="session")
def run() -> Xray:
    return made_up(layers=True)


@pytest.fixture(scope="session")
def two() -> Comparison:
    before = made_up(label="dbn/pre-trained", gain=2.2)
    return compare(before, made_up(layers=True))


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Any], Path]:
    """Pages by name, each written once."""
    folder = tmp_path_factory.mktemp("pages")

    def page(name: str, what: Any) -> Path:
        path = folder / f"{name}.html"
        return path if path.exists() else report.write(what, path)

    return page


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """One headless Chromium for all tests."""
    sync = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        pytest.skip("no chromium on this machine")
    with sync.sync_playwright() as driver:
        switches = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        launched = driver.chromium.launch(executable_path=found, args=switches)
        yield launched
        launched.close()
