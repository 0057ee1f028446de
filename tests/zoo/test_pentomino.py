"""The two networks of Pentomino against a loop over patches, and their logits of two classes."""

import pytest
import torch
from torch.nn import functional as F
from torch.testing import assert_close

from nakami import data
from nakami.results import UsageError
from nakami.zoo import pentomino


def small(**options):
    sizes = {"kinds": 5, "patch_units": 7, "units": 6} | options
    return pentomino.make((1, 16, 24), **sizes).double()


def drawn(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_patches_are_told_one_by_one_by_the_same_weights():
    net, x = small(), drawn(2, 1, 16, 24)
    told = []
    for y in range(2):
        for z in range(3):
            patch = x[:, 0, 8 * y : 8 * y + 8, 8 * z : 8 * z + 8].flatten(1)
            first = patch @ net.patch_hidden.weight.flatten(1).T + net.patch_hidden.bias
            told.append(first.relu() @ net.patch_logits.weight.flatten(1).T + net.patch_logits.bias)
    wanted = torch.stack(told, 2)
    assert_close(pentomino.patches(net)(x).flatten(2), wanted)
    assert_close(pentomino.answers(net)(x), wanted.softmax(1).flatten(1))
    assert_close(pentomino.picture(net)(pentomino.answers(net)(x)), net(x))
    with pytest.raises(AssertionError):
        assert_close(pentomino.answers(net)(x), wanted.softmax(1).transpose(1, 2).flatten(1))


def test_two_classes_have_the_loss_of_one_log_odds():
    net, x, y = small(), drawn(9, 1, 16, 24), torch.arange(9) % 2
    logits = net(x)
    assert logits[:, 0].eq(0).all()
    wanted = F.binary_cross_entropy_with_logits(logits[:, 1], y.double())
    assert_close(F.cross_entropy(logits, y), wanted)
    assert small(classes=3)(x).shape == (9, 3)


def test_standardised_answers_have_mean_0_and_deviation_1_and_constants_stay_finite():
    part, x = pentomino.Standardise(4, torch.float64), drawn(50, 4)
    assert torch.equal(part(x), x)
    x[:, 2] = 3.0
    part.fit(x)
    assert_close(part(x).mean(0), torch.zeros(4, dtype=torch.float64), atol=1e-12, rtol=0)
    wanted = torch.tensor([1.0, 1, 0, 1], dtype=torch.float64)
    assert_close(part(x).std(0, correction=0), wanted)
    again = pentomino.Standardise(4, torch.float64)
    again.load_state_dict(part.state_dict())
    assert_close(again(x), part(x))


def test_all_patches_of_made_pictures_can_be_told_from_their_labels():
    made = data.pentominoes(40)
    net = pentomino.make(patch_units=4, units=3)
    told = pentomino.patches(net)(made.pictures).flatten(2)
    assert told.shape == (40, 11, 64)
    empty = told.transpose(1, 2)[made.patches == 0]
    assert_close(empty, empty[:1].expand_as(empty))  # an empty patch is the same everywhere


def test_pictures_that_patches_do_not_tile_are_refused():
    with pytest.raises(UsageError, match="shape must have sides that are multiples of 8"):
        pentomino.make((1, 20, 16))
    with pytest.raises(UsageError, match="kinds must be"):
        pentomino.make(kinds=1)
