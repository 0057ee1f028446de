"""Sizes, dropout and bottlenecks of the perceptrons of the zoo, against formulas by hand."""

import pytest
import torch
from torch.nn import functional as F
from torch.testing import assert_close

from nakami.results import UsageError
from nakami.zoo import cnn, maxout, mlp, shallow


def x(*shape):
    return torch.rand(5, *shape, generator=torch.Generator().manual_seed(0))


def test_dropout_changes_neither_weights_nor_what_is_read():
    plain, noisy = mlp.make((9, 6, 4)), mlp.make((9, 6, 4), dropout=(0.2, 0.5))
    assert list(noisy.state_dict()) == list(plain.state_dict())
    assert_close(noisy.eval()(x(9)), plain(x(9)), rtol=0, atol=0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        assert not torch.equal(noisy.train()(x(9)), plain(x(9)))
    assert [name for name, _ in noisy.named_children()][1:5] == [
        "drop0",
        "linear1",
        "hidden1",
        "drop1",
    ]


def test_a_maxout_unit_is_the_largest_of_its_pieces():
    net = maxout.make((9, 6, 4), pieces=3).eval()
    pieces = F.linear(x(9), net.linear1.weight, net.linear1.bias).reshape(5, 6, 3)
    assert_close(net(x(9)), F.linear(pieces.amax(2), net.output.weight, net.output.bias))
    one = maxout.make((9, 6, 4), pieces=1, dropout=None)
    assert_close(one(x(9)), one.output(one.linear1(x(9))))


def test_a_bottleneck_is_a_product_of_two_matrices():
    net = shallow.make(9, 6, 4, bottleneck=2)
    weight = net.linear1.weight @ net.bottleneck.weight
    assert torch.linalg.matrix_rank(weight) == 2
    hidden = (x(9) @ weight.T + net.linear1.bias).relu()
    assert_close(net(x(9)), hidden @ net.output.weight.T + net.output.bias)
    assert "bottleneck" not in dict(shallow.make(9, 6, 4, bottleneck=None).named_children())


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 16, 20), (2, 33, 17)])
def test_the_convolutional_network_takes_other_pictures(shape):
    assert cnn.make(shape, 7)(x(*shape)).shape == (5, 7)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: mlp.make((9, 4), dropout=(0.2, 1.0)), "dropout must lie between 0 and 1, got 1.0"),
        (
            lambda: maxout.make((9, 4, 2), pieces=0),
            "pieces must be a whole number from 1 on, got 0",
        ),
        (lambda: shallow.make(9, bottleneck=0), "bottleneck must be a whole number from 1 on, got"),
        (
            lambda: cnn.make((1, 15, 28)),
            r"shape must be \(channels, height, width\), 16 pixels .* got \(1, 15, 28\); for ex",
        ),
        (lambda: cnn.make((28, 28)), r"shape must be \(channels, height, width\).*got \(28, 28\)"),
    ],
)
def test_wrong_use(make, message):
    with pytest.raises(UsageError, match=message):
        make()
