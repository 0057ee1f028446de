"""Classes of words by frequency: probabilities, cost, gradients, refusals."""

import pytest
import torch
from torch.testing import assert_close

from nakami.nn import FactoredSoftmax
from nakami.results import UsageError

ZIPF = 1 / torch.arange(1.0, 1001)


def layer(counts=ZIPF, **options):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return FactoredSoftmax(6, counts, dtype=torch.float64, **options)


def states(n, seed=0):
    gen = torch.Generator().manual_seed(seed)
    return torch.randn(n, 6, generator=gen, dtype=torch.float64)


def test_probabilities_sum_to_one_and_single_words_agree():
    made, h = layer(), states(40)
    every = made(h)
    assert_close(every.exp().sum(1), torch.ones(40, dtype=torch.float64), rtol=1e-12, atol=0)
    words = torch.randint(1000, (40,), generator=torch.Generator().manual_seed(1))
    assert_close(made.log_prob(h, words), every.gather(1, words[:, None])[:, 0])
    assert made.log_prob(h[:0], words[:0]).shape == (0,)


def test_gradients_of_both_ways_agree():
    made, h = layer(), states(40)
    words = torch.randint(1000, (40,), generator=torch.Generator().manual_seed(1))
    one = torch.autograd.grad(made.log_prob(h, words).mean(), list(made.parameters()))
    other = torch.autograd.grad(made(h).gather(1, words[:, None]).mean(), list(made.parameters()))
    for a, b in zip(one, other, strict=True):
        assert_close(a, b)


def test_classes_are_of_equal_frequency_and_rare_words_share_one():
    made = layer(classes=10)
    shares = torch.zeros(10).index_add_(0, made.class_of, ZIPF / ZIPF.sum())
    assert shares.max() < 0.135  # the first word alone
    assert shares.min() > 0.06
    assert list(made.sizes) == sorted(made.sizes)
    assert sum(made.sizes) == 1000


def test_a_word_takes_about_two_roots_of_the_vocabulary():
    made, words = layer(1 / torch.arange(1.0, 10_001)), 10_000
    sizes = torch.tensor(made.sizes, dtype=torch.float64)
    share = ZIPF.new_tensor([1 / i for i in range(1, words + 1)])
    often = torch.zeros(len(sizes)).index_add_(0, made.class_of, share / share.sum())
    logits = len(sizes) + float((often.double() * sizes).sum())
    assert logits < 2 * words**0.5  # fewer classes than 100, as some words fill one
    assert logits > words**0.5


def test_words_are_in_the_order_of_the_counts():
    made = layer([1, 5, 3])
    assert made.order.tolist() == [1, 2, 0]
    with torch.no_grad():
        made.weight.zero_()
        made.bias[len(made.sizes) + 2] = 3.0  # the third in order of frequency: word 0
    assert len(made.sizes) == 2
    gain = made(states(1)).exp()[0]
    assert gain[0] > gain[2]  # of one class


@pytest.mark.parametrize(
    ("counts", "got"),
    [
        ([1], r"\[1.0\]"),
        ([0, 0], r"\[0.0, 0.0\]"),
        ([1, -1], "-1.0"),
        ([[1, 2]], r"shape \(1, 2\)"),
    ],
)
def test_frequencies_that_are_none_are_refused(counts, got):
    with pytest.raises(UsageError, match=f"counts must be one number from 0 on .* got .*{got}"):
        FactoredSoftmax(3, counts)


def test_other_shapes_and_too_many_classes_are_refused():
    with pytest.raises(UsageError, match=r"h and words must have shapes \(N, n\) and \(N,\)"):
        layer().log_prob(states(3), torch.zeros(2, dtype=torch.long))
    with pytest.raises(UsageError, match="classes must be a whole number from 1 to 3"):
        FactoredSoftmax(3, [1, 2, 3], classes=4)
