"""Parts of the reproduction of word vectors against counts by hand."""

import math

import numpy as np
import pytest
import torch

from nakami import data


@pytest.fixture(scope="module")
def script(reproduction):
    return reproduction("word_vectors")


def test_articles_are_numbered_without_rare_words_and_end_each(script):
    articles = [["a", "b", "a", "rare"], ["b", "a"]]
    text = data.Text.of("\n".join(map(" ".join, articles)), "words", least=2)
    words = script.words_in(text)
    ids, counts = script.numbered(articles, text)
    assert sorted(words) == ["a", "b"]
    names = [*words, "|"]
    assert [names[i] for i in ids.tolist()] == ["a", "b", "a", "|", "b", "a", "|"]
    assert [counts[words.index(w)].item() for w in "ab"] == [3, 2]


def test_effective_rank_without_the_mean(script):
    rows = np.array([[5.0, 1, 0], [5, -1, 0], [5, 0, 2], [5, 0, -2]])
    wanted = (2 + 8) ** 2 / (2**2 + 8**2)
    assert script.centred_rank(rows) == pytest.approx(wanted)


def test_shares_have_the_larger_error_and_none_right_a_bound(script):
    class Kept:
        records = {  # noqa: RUF012
            f"run {s}": {
                "right": {"x": [s, 100], "y": [0, 50]},
                "errors": {"x": 2.0 + s, "y": 0.0, "all": 0.1},
            }
            for s in (0, 1, 2)
        }

    assert script.accuracy(Kept, "run", "x", ["x"]) == "1.0 ± 3.0"
    shares = np.array([0, 1 / 150, 2 / 150])
    assert script.accuracy(Kept, "run", "all", ["x", "y"]) == (
        f"0.7 ± {100 * shares.std(ddof=1) / 3**0.5:.1f}"
    )
    bound = -100 * math.expm1(math.log(0.32) / 50)
    assert script.accuracy(Kept, "run", "y", ["y"]) == f"0, at most {bound:.1f}"


def test_groups_hold_all_sections(script):
    sections = [f"s{i}" for i in range(14)]
    found = script.groups(sections)
    assert found["meaning"] + found["grammar"] == found["all"] == sections
    assert found["s3"] == ["s3"]


def test_cosines_of_rows(script):
    a, b = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(0)).numpy()
    wanted = torch.nn.functional.cosine_similarity(torch.tensor(a), torch.tensor(b)).numpy()
    np.testing.assert_allclose(script.cosines(a, b), wanted, rtol=1e-5)
