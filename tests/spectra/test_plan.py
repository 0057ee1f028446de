"""Sizes of Krylov runs, which follow from shape, device, dtype and budget alone."""

from types import SimpleNamespace

import pytest
import torch

from nakami.spectra import budget_beside
from nakami.spectra.krylov._plan import BLOCK, block_size, make_plan


def matrix(side, device):
    return SimpleNamespace(
        shape=(side, side), device=torch.device(device), dtype=torch.float32, stored=False
    )


@pytest.mark.parametrize(("k", "cpu"), [(1, 1), (2, 2), (100, 2), (101, 4)])
def test_blocks_are_wide_on_a_gpu_where_vectors_are_short(k, cpu):
    assert block_size(k, matrix(10**6, "cpu"), symmetric=True) == cpu
    assert block_size(k, matrix(10**6, "cuda"), symmetric=True) == BLOCK
    assert block_size(k, matrix(10**8, "cuda"), symmetric=True) == cpu


def test_the_largest_eigenvalue_of_a_long_matrix_takes_no_more_room_on_a_gpu_than_on_a_cpu():
    """It asked for 42 vectors there: 185 GB for a language model of 1.1 billion parameters."""
    room = 21 * 4 * 11 * 10**8 * 4 // 3 + 4  # 2 k + 3 + 2 * 8 vectors, and a quarter for products
    for device in ("cpu", "cuda"):
        a = matrix(11 * 10**8, device)
        block = block_size(1, a, symmetric=True)
        assert make_plan(a, 1, 1e-4, room, None, "symmetric", block).block == 1
        with pytest.raises(ValueError, match=r"memory_budget must hold a basis for 1 vector of"):
            make_plan(a, 1, 1e-4, room - 1000, None, "symmetric", block)


def test_the_default_budget_holds_no_basis_of_the_long_side():
    """A matrix without a root is refused in one sentence, with the bytes it needs."""
    a = matrix(10**8, "cpu")
    with pytest.raises(ValueError, match=r"\(11200000004 bytes\), got 3200000000 bytes; raise it"):
        make_plan(a, 1, 1e-4, budget_beside(None, 10**8, torch.float32), None, "symmetric", 1)
