"""Bars and stripes: the patterns, and their likelihood against a sum over all states."""

import math

import pytest
import torch

from machines import energies


@pytest.fixture(scope="module")
def script(reproduction):
    return reproduction("rbm_bars_and_stripes")


def test_there_are_14_patterns_of_whole_rows_or_columns(script):
    found = script.patterns().unflatten(1, (3, 3))
    assert len(found) == 14
    for picture in found:
        rows = all(len(row.unique()) == 1 for row in picture)
        assert rows or all(len(column.unique()) == 1 for column in picture.T)


@pytest.mark.parametrize("method", ["CD-1", "CD-10", "PCD-1", "tempered, 5 replicas"])
def test_the_likelihood_is_that_of_enumeration_and_below_its_optimum(script, method):
    rbm = script.trained(method, 0, updates=300)
    joint = -energies(rbm).detach()  # (2^9, 2^8)
    v = script.patterns()
    index = (v @ 2.0 ** torch.arange(8, -1, -1, dtype=v.dtype)).long()
    exact = joint.logsumexp(1)[index].mean() - joint.flatten().logsumexp(0)
    assert script.likelihood(rbm) == pytest.approx(float(exact), abs=1e-10)
    assert -6.3 < float(exact) < -math.log(14)


def test_kept_values_are_what_the_page_says(script):
    kept = script.Kept(script.HERE / "results" / f"{script.NAME}.json", script.SETTINGS)
    page = (script.HERE / "results" / f"{script.NAME}.md").read_text("utf-8")
    said = list(script.report(kept))[:-2]  # versions and seconds stand below
    assert page.splitlines()[: len(said)] == said
