"""What the script on barycenters compares with, against other ways to the same numbers."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch

from nakami import transport

FOLDER = Path(__file__).resolve().parents[2] / "reproductions"


@pytest.fixture(scope="module")
def cases():
    if not FOLDER.is_dir():
        pytest.skip("the reproductions are not part of this installation")
    spec = importlib.util.spec_from_file_location("_cases", FOLDER / "_transport_cases.py")
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def test_the_exact_barycenter_of_bells_and_of_boxes(cases):
    pair = [cases.gaussian((90,), (m,), s) for m, s in ((0.35, 0.04), (0.6, 0.06))]
    narrow = cases.gaussian((90,), (0.475,), 0.05)
    assert cases.wasserstein(narrow, cases.exact(pair)) < 2e-4
    assert cases.wasserstein(pair[0], cases.exact(pair)) > 0.1
    x = torch.arange(90, dtype=torch.float64)
    boxes = [cases.unit((x >= a) & (x < b)) for a, b in ((10, 20), (40, 70))]
    wanted = cases.unit((x >= 25) & (x < 45))
    assert float((cases.binned(cases.exact(boxes), 90) - wanted).abs().sum()) < 1e-3
    apart = cases.wasserstein(boxes[0], cases.quantiles(boxes[1]))
    assert apart == pytest.approx(np.sqrt(40**2 + 100 / 3) / 89, rel=1e-6)


def test_formulas_for_two_widths_are_what_the_barycenters_have(cases):
    sds, reg, n = (0.05, 0.09), 0.01, 70
    pair = torch.stack([cases.gaussian((n,), (0.5,), sd) for sd in sds])
    wanted = cases.gaussian_widths(sds, reg)
    for kind in ("entropic", "debiased", "lambda"):
        found = transport.barycenter(pair, transport.Grid(n), reg, kind=kind, tolerance=1e-5)
        assert cases.spread(found.mass) / (n - 1) == pytest.approx(wanted[kind], rel=1e-3), kind
    errors = [abs(wanted[kind] - wanted["exact"]) for kind in ("entropic", "debiased", "lambda")]
    assert errors == sorted(errors, reverse=True)


def test_shapes_have_mass_one_and_differ(cases):
    shapes = cases.drawn(24)
    assert len(shapes) == 5
    for mass in shapes.values():
        assert float(mass.sum()) == pytest.approx(1)
    assert len({round(cases.entropy(mass), 6) for mass in shapes.values()}) == 5
