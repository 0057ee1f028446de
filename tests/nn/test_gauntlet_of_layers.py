"""Every layer runs the same checks; a new one is one entry of the list."""

import copy
import inspect

import pytest
import torch
from torch import nn
from torch.testing import assert_close

import nakami
from layer_list import CASES, made
from nakami import nn as ours

every = pytest.mark.parametrize("name", CASES)


def test_the_list_holds_all_layers():
    modules = {n for n in ours.__all__ if inspect.isclass(getattr(ours, n)) and n != "MaxNorm"}
    assert modules == {type(made(name)[0]).__name__ for name in CASES}


@every
def test_values_are_those_of_the_formula(name):
    layer, x, reference = made(name)
    loose = 1e-4 if name == "drop connect" else 0  # sums over other numbers of draws
    assert_close(layer(x), reference(layer, x), rtol=1e-6, atol=1e-6 + loose)


@every
def test_gradients_of_both_orders(name):
    layer, x, _ = made(name)
    x.requires_grad_(True)
    assert torch.autograd.gradcheck(layer, x, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(layer, x)


@every
def test_the_jacobian_operator_reads_it(name):
    layer, x, _ = made(name)
    op = nakami.jacobian(layer, x[:1])
    dense = torch.autograd.functional.jacobian(layer, x[:1]).reshape(op.shape)
    assert_close(op.dense(), dense, rtol=1e-9, atol=1e-10)
    assert nakami.svd(op, 1).converged


@every
def test_it_compiles_without_a_break(name):
    layer, x, _ = made(name)
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    assert_close(compiled(x), layer(x))


@every
@pytest.mark.parametrize("training", [False, True])
def test_autocast_and_half_precision_run_forth_and_back(name, training):
    layer, x, _ = made(name, torch.float32)
    layer.train(training)
    x.requires_grad_(True)
    with torch.autocast("cpu", torch.bfloat16):
        y = layer(x)
    y.float().sum().backward()
    assert torch.isfinite(x.grad).all()
    if not training:
        wide, exact, _ = made(name)
        assert_close(y.double(), wide(exact).detach(), rtol=0.05, atol=0.05)


@every
def test_a_saved_state_and_a_copy_are_the_layer(name):
    layer, x, _ = made(name)
    other = CASES[name].make().double().eval()
    other.load_state_dict(layer.state_dict())
    assert_close(other(x), layer(x), rtol=0, atol=0)
    assert_close(copy.deepcopy(layer)(x), layer(x), rtol=0, atol=0)
    assert not [key for key in layer.state_dict() if key not in ("weight", "bias")]


@every
def test_the_global_random_state_stays_in_evaluation_mode(name):
    layer, x, _ = made(name)
    before = torch.get_rng_state()
    assert_close(layer(x), layer(x), rtol=0, atol=0)
    assert torch.equal(torch.get_rng_state(), before)


@every
def test_what_it_prints_names_its_settings(name):
    assert type(made(name)[0]).__name__ in repr(nn.Sequential(made(name)[0]))
