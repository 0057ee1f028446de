"""The random states of torch, Python and NumPy after a run are those before it."""

import random

import numpy as np
import pytest
import torch

from nakami.operators.model._random import random_states_kept

CPU = torch.device("cpu")
DRAWS = {
    "nothing": lambda: None,
    "a number": np.random.random,
    "a normal number": np.random.normal,
    "two normal numbers": lambda: np.random.normal(size=2),
    "a seed": lambda: np.random.seed(7),
}


def drawn():
    return (*np.random.normal(size=3), *np.random.random(3), random.random(), float(torch.rand(())))


@pytest.mark.parametrize("before", DRAWS)
@pytest.mark.parametrize("inside", DRAWS)
def test_draws_go_on_as_if_nothing_had_run(before, inside):
    np.random.seed(3)
    for seen in range(3):
        DRAWS[before]()
        states = np.random.get_state(), random.getstate(), torch.get_rng_state()
        with random_states_kept(CPU):
            DRAWS[inside]()
            first = drawn()
        with random_states_kept(CPU):
            DRAWS[inside]()
            assert drawn() == first, seen  # each run begins at the same state
        after = drawn()
        np.random.set_state(states[0])
        random.setstate(states[1])
        torch.set_rng_state(states[2])
        assert drawn() == after


def test_a_seed_inside_is_taken_and_taken_back():
    np.random.seed(3)
    np.random.normal()  # leaves one over
    with random_states_kept(CPU, chance=5):
        first = drawn()
    inside = drawn()
    with random_states_kept(CPU, chance=5):
        assert drawn() == first
    assert drawn() != inside


def test_another_generator_of_numpy_is_put_back_too():
    kept = np.random.get_bit_generator()
    np.random.set_bit_generator(np.random.PCG64(1))
    try:
        with random_states_kept(CPU):
            inside = drawn()
        assert drawn()[:6] == inside[:6]
    finally:
        np.random.set_bit_generator(kept)


def test_a_normal_number_left_over_is_put_back_where_the_same_state_had_none():
    """A copy made only where the generator's memory had changed lost it."""
    np.random.seed(0)
    np.random.normal(size=2)
    with random_states_kept(CPU):
        pass
    np.random.seed(0)
    np.random.normal()  # the same memory, and a number left over
    with random_states_kept(CPU):
        inside = np.random.normal()
    assert np.random.normal() == inside
