"""What judges the page on training methods, against SciPy and by hand."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

FOLDER = Path(__file__).parents[2] / "reproductions"


@pytest.fixture(scope="module")
def part():
    if not FOLDER.is_dir():
        pytest.skip("the reproductions are not part of this installation")
    path = list(sys.path)
    sys.path.insert(0, str(FOLDER))
    yield lambda name: importlib.import_module(f"_training_methods_{name}")
    sys.path[:] = path


def test_the_rank_correlation_is_scipys(part):
    spearman = part("report").spearman
    generator = np.random.default_rng(0)
    for ties in (False, True):
        x, y = generator.normal(size=(2, 7)).round(0 if ties else 9).tolist()
        assert spearman(x, y)[0] == pytest.approx(spearmanr(x, y).statistic, abs=1e-12)
    assert spearman(list(range(7)), list(range(7))) == pytest.approx((1, 2 / 5040))


def test_the_interval_is_that_of_three_differences(part):
    change, verdict = part("report").change, part("report").verdict
    mean, half = change([[1.0, 2, 3], [0.0, 0, 3]])  # -1, -2, 0
    assert mean == -1
    assert half == pytest.approx(4.303 * 1 / 3**0.5)
    assert [verdict(*pair) for pair in ((-1, 0.5), (-1, 2), (1, 0.5))] == [
        "holds",
        "not decided",
        "contradicted",
    ]


def test_digits_are_shifted_by_three_pixels_each_way_and_turned_back(part):
    image = torch.zeros(1, 1, 28, 28)
    image[0, 0, 10:18, 12] = 1
    curves = part("readings").moved(image)
    for name in ("turned", "shifted"):
        assert curves[name].shape == (1, 13, 1, 28, 28)
        torch.testing.assert_close(curves[name][:, 6], image, atol=1e-5, rtol=0)
    columns = curves["shifted"][0, :, 0].sum(1).argmax(1)
    assert sorted(columns[[0, 12]].tolist()) == [9, 15]


def test_pairs_share_their_class_and_no_digit(part):
    labels = torch.tensor([0, 1, 0, 1, 1, 1, 0, 2])
    first, second = part("readings").pairs_of_one_class(labels, 3)
    assert torch.equal(labels[first], labels[second])
    assert len(set(first.tolist() + second.tolist())) == 6
