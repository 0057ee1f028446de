"""A sheet split over two processes learns as one process with the whole sheet."""

import pytest
from torch.testing import assert_close

import sheet_ranks
from nakami.results import UsageError
from nakami.training import SplitSheet
from ranks import measured_by
from sheet_ranks import RANKS, learned, sheet


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    """What each rank measured, in a process of its own."""
    return measured_by(f"{sheet_ranks.__name__}:measured", RANKS, tmp_path_factory.mktemp("sheet"))


@pytest.mark.parametrize("tied", [True, False])
def test_two_processes_learn_what_one_does(ranks, tied):
    whole, x = sheet(tied)
    start = {name: p.detach().clone() for name, p in whole.named_parameters()}
    assert_close(sum(found[tied]["share"] for found in ranks), whole.objective(x).detach())
    weights, losses = learned(whole, x)
    for found in ranks:
        assert_close(found[tied]["weights"], weights, rtol=1e-9, atol=1e-11)
    shares = [found[tied]["losses"] for found in ranks]
    assert_close([sum(each) for each in zip(*shares, strict=True)], losses)
    assert any((weights[name] - start[name]).abs().max() > 1e-2 for name in weights)


def test_each_process_holds_its_own_units_alone(ranks):
    held = [found[True]["held"] for found in ranks]
    assert sorted(held) == [2 * 4 * 8, 3 * 4 * 8]


def test_without_a_group_it_is_refused():
    whole, _ = sheet(True)
    with pytest.raises(UsageError, match=r"group must be made before the sheet .*torchrun"):
        SplitSheet(whole)
