"""``nakami theory transport``: its tables, JSON and page hold the numbers of the library."""

import json

import numpy as np
import pytest
import torch
from scipy.stats import norm

from nakami import transport
from nakami.transport._study import histograms

SMALL = ("theory", "transport", "--regs", "0.01,0.1", "--size", "8")


def test_tables_hold_the_numbers_of_the_library(nakami, here):
    done = nakami(*SMALL, "--no-page", "--shapes", "cross,disc")
    assert done.code == 0
    p, q = histograms()
    for loss in (transport.entropic_cost, transport.sinkhorn_divergence):
        assert f"{float(loss(p, q, transport.Grid(200), 0.1)):.4g}" in done.out
    assert "cross and disc" in done.out


def test_json_and_page(nakami, here):
    done = nakami(*SMALL, "--json")
    body = json.loads(done.out)
    p, q = histograms()
    found = transport.barycenter(torch.stack([p, q]), transport.Grid(200), 0.005)
    row = body["barycenters"][0]
    assert (row["kind"], row["steps"]) == ("entropic", found.steps)
    np.testing.assert_allclose(row["mass"], found.mass.numpy(), rtol=1e-12, atol=1e-15)
    page = here / body["page"]
    assert page.parent.name == "transport-0.005,regs-0.01,0.1,size-8"
    text = page.read_text("utf-8")
    assert "The entropic cost of a histogram with itself is not 0" in text


def test_the_exact_cost_and_barycenter_are_those_of_a_small_blur():
    study = transport.study(0.005, (1e-4, 1.0), size=8)
    assert study.losses.lambda_divergence[0] == pytest.approx(study.losses.exact, rel=1e-3)
    x = np.linspace(0, 1, 200)
    means = [float(mass @ x) for mass in (study.p, study.q, study.between)]
    assert means[2] == pytest.approx((means[0] + means[1]) / 2, rel=1e-5)
    # of the exact barycenter the squared distances to both are a quarter of theirs
    half = transport.sinkhorn(
        torch.from_numpy(study.p), torch.from_numpy(study.between), transport.Grid(200), 1e-5
    )
    assert float(half.cost) == pytest.approx(study.losses.exact / 4, rel=5e-3)


def test_the_exact_barycenter_is_smooth():
    """Beside the mean of the quantiles of the same bells as densities, by SciPy."""
    study = transport.study(0.005, (0.01, 1.0), size=8)
    x, levels = np.linspace(-0.5, 1.5, 200_001), np.linspace(0, 1, 200_001)[1:-1]
    first = 0.6 * norm.cdf(x, 0.25, 0.03) + 0.4 * norm.cdf(x, 0.42, 0.03)
    ways = [np.interp(levels, cdf, x) for cdf in (first, norm.cdf(x, 0.7, 0.05))]
    edges = (np.arange(201) - 0.5) / 199
    wanted = np.diff(np.interp(edges, np.mean(ways, 0), levels, left=0, right=1))
    assert np.abs(study.between - wanted).sum() < 0.005  # mass of single points makes it 0.04
    seen = study.between[study.between > 0.01 * study.between.max()]
    assert np.count_nonzero(np.diff(np.sign(np.diff(seen)))) == 3  # two peaks and what is between


def test_a_reg_that_leaves_nothing_to_find_is_not_shown_as_converged(nakami, here):
    done = nakami(*SMALL, "--reg", "1e3", "--json")
    rows = json.loads(done.out)["barycenters"]
    sharp = [row for row in rows if row["kind"] != "entropic"]
    assert len(sharp) == 4
    assert {(row["converged"], row["residual"]) for row in sharp} == {(False, 2.0)}
    assert all(row["reason"].startswith("reg is so large") for row in sharp)
    assert "stopped, reg too large" in next(here.rglob("report.html")).read_text("utf-8")
    shown = nakami(*SMALL, "--reg", "1e3", "--no-page", "--out", "other").out
    assert shown.count("(reg too large)") == 4


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (("--reg", "0"), "--reg must lie from 1e-05 to 1000, got 0.0; pass --reg 0.005."),
        (("--reg", "1e-9"), "--reg must lie from 1e-05 to 1000, got 1e-09; pass --reg 0.005."),
        (("--regs", "0,1"), "--regs must lie from 1e-05 to 1000, got 0.0; write --regs 0.01,0.1."),
        (("--regs", "0.1"), "must hold two different numbers at least, got 0.1; write --regs 0.01"),
        (("--regs", "0.1,0.1"), "different numbers at least, got 0.1, 0.1; write --regs 0.01,0.1."),
        (
            ("--regs", ""),
            "--regs must be numbers with commas between, got ''; write --regs 0.1,0.3",
        ),
        (("--regs", "a"), "--regs must be numbers with commas between, got 'a'; write --regs 0.1,"),
        (("--shapes", "ring,star"), "got ['ring', 'star']; write --shapes ring,square."),
    ],
)
def test_wrong_use(nakami, here, given, text):
    done = nakami("theory", "transport", "--no-page", *given)
    assert done.code == 2
    assert text in done.err
