"""Areas of all right vectors, and whether large values go with local directions."""

import dataclasses

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

import nakami
from nakami.results import Locality, Outcome, SpectrumEnding, estimate
from nakami.results._locality import locality, wilson


def dense_areas(model, x, channels):
    """From a dense Jacobian in float64."""
    jacobian = torch.autograd.functional.jacobian(model, x[None]).reshape(-1, x.numel())
    right = torch.linalg.svd(jacobian, full_matrices=False)[2].numpy()
    energy = (right.reshape(len(right), channels, -1) ** 2).sum(1)
    return energy.sum(1) ** 2 / (energy**2).sum(1)


def test_areas_are_those_of_dense_vectors_and_are_kept(tmp_path):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 2, 3), nn.Tanh(), nn.Flatten(), nn.Linear(18, 5)).double()
    x = torch.randn(2, 3, 5, 5, dtype=torch.float64)
    run = nakami.xray(model, x, stages=["1", "output"], out=tmp_path)
    for stage, part in (("1", model[:2]), ("output", model)):
        for s in run.at(stage):
            np.testing.assert_allclose(s.areas, dense_areas(part, x[s.input], 3), rtol=1e-8)
    again = nakami.load(tmp_path)
    assert (again.at("1")[0].areas == run.at("1")[0].areas).all()
    found = run.locality("1")
    assert found.n == 2
    firsts = [s.areas[0] for s in run.at("1")]
    assert found.first.mean == pytest.approx(np.mean(firsts))
    stopped = dataclasses.replace(run.spectra[0], outcome=Outcome(SpectrumEnding.READ_OPEN, {}))
    doubted = dataclasses.replace(run, spectra=(stopped, *run.spectra[1:]))
    assert doubted.locality(stopped.stage) is None


def test_positions_of_tokens_are_places():
    class Reader(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.words = nn.Embedding(9, 4)
            self.mix = nn.Linear(4, 3)

        def forward(self, tokens):
            return torch.tanh(self.mix(self.words(tokens))).cumsum(1)[:, -1]

    tokens = torch.randint(0, 9, (2, 6), generator=torch.Generator().manual_seed(1))
    run = nakami.xray(Reader().double(), tokens)
    for s in run.at("output"):
        right = s.right.reshape(len(s.right), 6, 4)
        energy = (right**2).sum(2)
        np.testing.assert_allclose(s.areas[s.kept], 1 / (energy**2).sum(1), rtol=1e-5)
    assert (run.at("output")[0].areas <= 6 + 1e-9).all()


def test_a_claim_that_holds_and_one_that_does_not():
    rng = np.random.default_rng(0)
    spread = np.sort(rng.uniform(1, 20, (12, 30)), axis=1)
    found = locality(list(spread))
    assert (found.holds, found.n, found.share) == (12, 12, 1.0)
    assert found.correlation.mean == pytest.approx(1)
    turned = locality(list(spread[:, ::-1]))
    assert turned.holds == 0
    assert turned.correlation.mean == pytest.approx(-1)
    mixed = rng.uniform(1, 20, (8, 30))
    wanted = [stats.spearmanr(np.arange(30), row).statistic for row in mixed]
    assert locality(list(mixed)).correlation.mean == pytest.approx(np.mean(wanted))
    tied = np.floor(mixed)
    wanted = [stats.spearmanr(np.arange(30), row).statistic for row in tied]
    assert locality(list(tied)).correlation.mean == pytest.approx(np.mean(wanted))
    assert np.isnan(locality([np.ones(5)]).correlation.mean)
    assert isinstance(found, Locality)
    assert estimate(spread[:, 0]).mean == found.first.mean


def test_the_interval_is_wilsons():
    for count, n in ((0, 5), (3, 7), (15, 16), (16, 16)):
        wanted = stats.binomtest(count, n).proportion_ci(0.95, "wilson")
        assert wilson(count, n) == pytest.approx((wanted.low, wanted.high))
