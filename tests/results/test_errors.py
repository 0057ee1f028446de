"""Messages keep their parts apart, and word them for who reads them."""

import copy
import pickle

import numpy as np
import pytest
import torch

from nakami.results import (
    PYTHON,
    UsageError,
    UsageTypeError,
    check_callable,
    named_as,
    unknown,
    wrong,
    wrong_type,
)  # fmt: skip


def test_the_parts_are_kept():
    error = wrong("k", "be at most {n}", 9, ["pass a smaller {k}", "raise {memory_budget}"])
    assert (error.argument, error.rule, error.got) == ("k", "be at most {n}", "9")
    assert error.way_out == ("pass a smaller {k}", "raise {memory_budget}")
    assert str(error) == "k must be at most n, got 9; pass a smaller k or raise memory_budget."


def test_three_ways_out_are_listed():
    assert str(wrong("k", "fit", 9, ["a", "b", "c"])).endswith("; a, b or c.")


def test_what_came_is_shown_as_it_is():
    assert "got {'k': {k}};" in str(wrong("x", "fit", "{'k': {k}}", "y"))


def test_programs_alone_are_offered_what_a_command_line_lacks():
    error = unknown("loss", "ms", ["mse"], PYTHON + "pass a torch loss module")
    assert str(error) == "loss 'ms' is unknown; nearest: 'mse'; pass a torch loss module."
    assert error.worded({"loss": "--loss"}.get) == "--loss 'ms' is unknown; nearest: 'mse'."


@pytest.mark.parametrize("again", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))])
def test_a_message_survives_a_copy(again):
    error = again(wrong("k", "fit", 9, "lower {k}"))
    assert type(error) is UsageError
    assert error.worded({"k": "--top"}.get) == "--top must fit, got 9; lower --top."


def inner(argument):
    with named_as("x", "data"):
        raise wrong_type(argument, "fit", 9, "pass x[i:i+1]")


def test_parts_of_a_path_are_no_names_of_arguments():
    way_out = "pass a path that exists, relative to /my-path/path/path.d/x-path"
    with (
        pytest.raises(UsageError, match=r"; pass a data that.*to /my-path/path/path\.d/x-path\.$"),
        named_as("path", "data"),
    ):
        raise wrong("path", "exist", "x.npy", way_out)


def test_an_inner_argument_is_named_as_the_caller_has_it():
    with pytest.raises(UsageTypeError, match=r"^data must fit, got 9; pass data\[i:i\+1\]\.$"):
        inner("x")
    with pytest.raises(UsageTypeError, match=r"^y must fit, got 9; pass x\[i:i\+1\]\.$"):
        inner("y")


def test_what_is_no_function_is_refused():
    with pytest.raises(UsageTypeError, match=r"select must be a function, called as select\(y\)"):
        check_callable("select", 3, "select(y)")
    check_callable("select", None, "select(y)")


def test_several_inner_arguments_are_named_together():
    with (
        pytest.raises(UsageError, match=r"^guess must fit the data, got 1; pass guess.to\(data\)"),
        named_as("p", "data", q="guess"),
    ):
        raise wrong("q", "fit the {p}", 1, "pass q.to(p)")


@pytest.mark.parametrize(
    ("got", "shown"),
    [
        (np.arange(60.0), "ndarray of float64, shape (60,)"),
        (torch.zeros(4, 5), "Tensor of torch.float32, shape (4, 5)"),
        ([torch.zeros(9), torch.zeros(9)], "list of 2"),
        (np.float64(0.5), "0.5"),
        ((28, 28), "(28, 28)"),
    ],
)
def test_arrays_are_told_by_type_and_size(got, shown):
    assert str(wrong("x", "fit", got, "pass y")) == f"x must fit, got {shown}; pass y."
