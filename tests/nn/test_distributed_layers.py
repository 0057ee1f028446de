"""Layers trained on two ranks of ``DistributedDataParallel`` against one process with all data."""

import pytest
from torch.testing import assert_close

import layer_ranks
from layer_list import CASES
from layer_ranks import LIMIT, RANKS, gradients, network, part, stepped
from ranks import measured_by

every = pytest.mark.parametrize("name", CASES)


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    """What each rank measured, in a process of its own."""
    return measured_by(f"{layer_ranks.__name__}:measured", RANKS, tmp_path_factory.mktemp("ranks"))


@every
def test_gradients_are_those_of_all_data(ranks, name):
    net, x = network(name)
    wanted = gradients(net, x)
    for found in ranks:
        assert_close(found[name, False], wanted, rtol=1e-10, atol=1e-12)
    alone = gradients(net, part(x, 0))
    assert any((a - b).abs().max() > 1e-6 for a, b in zip(alone, wanted, strict=True))


@every
def test_in_training_they_are_the_mean_over_the_ranks_own_masks(ranks, name):
    net, x = network(name, training=True)
    own = [gradients(net, part(x, rank), seed=rank) for rank in range(RANKS)]
    wanted = [sum(parts) / RANKS for parts in zip(*own, strict=True)]
    for found in ranks:
        assert_close(found[name, True], wanted, rtol=1e-10, atol=1e-12)


@every
def test_bounded_weights_stay_alike_and_are_those_of_one_process(ranks, name):
    net, x = network(name)
    longest = max(p.flatten(1).norm(dim=1).max() for p in net.parameters() if p.ndim > 1)
    wanted = stepped(net, x)
    assert longest > LIMIT  # so that the bound does something
    one, other = (found[name, "steps"] for found in ranks)
    assert_close(one, other, rtol=0, atol=0)
    assert_close(one, wanted, rtol=1e-10, atol=1e-12)
    assert max(p.flatten(1).norm(dim=1).max() for p in one if p.ndim > 1) <= LIMIT * (1 + 1e-12)
