"""Small results written down by hand, for tests of what reads them."""

import numpy as np

from nakami.results import Outcome, Spectrum, SpectrumEnding, StageInfo, Xray

ALL = Outcome(SpectrumEnding.READ, {"words": "all"})


def spectrum(values, input=0, stage="h1", shape=None):  # noqa: A002 (the field's name)
    """A converged spectrum with these values."""
    values = np.array(values, dtype=np.float64)
    k = len(values)
    return Spectrum(
        input=input, stage=stage, source="input", shape=shape or (k, k), values=values,
        residuals=np.full(k, 1e-9), reliable=np.ones(k, dtype=bool), floor=1e-12, outcome=ALL,
        method="dense", route="linearised", n_products=k,
        kept=np.arange(min(k, 1)), right=np.eye(k, dtype=np.float32)[: min(k, 1)],
    )  # fmt: skip


def settings(n, size, stage="h1"):
    """Settings as ``run.json`` holds them."""
    stages = [("input", "input", [size]), (stage, "sigmoid", [size])]
    return {
        "subject": "by hand", "input_unit": "pixel, 0 to 1", "inputs_sha256": "same", "n_inputs": n,
        "stages": [{"name": a, "kind": b, "shape": c} for a, b, c in stages],
        "seed": 0, "k": None, "versions": {"torch": "2"},
    }  # fmt: skip


def xray(rows, stage="h1", shape=None):
    """A run of one stage with a spectrum for each row."""
    spectra = tuple(spectrum(r, i, stage, shape) for i, r in enumerate(rows))
    size = spectra[0].shape[1]
    info = (StageInfo("input", "input", (size,)), StageInfo(stage, "sigmoid", (size,)))
    return Xray(settings(len(rows), size, stage), info, np.zeros((len(rows), size)), spectra)
