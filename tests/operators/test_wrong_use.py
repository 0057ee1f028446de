"""Arguments of stages and jacobian are refused by one sentence each, before any long work."""

import pytest
import torch
from torch import nn

import nakami
from nakami.results import UsageError

X = torch.linspace(-1, 1, 4)[None]
TOKENS = torch.tensor([[0, 2, 1]])

VIEW = ("dtype", "device", "forward", "select")


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2))


def language():
    torch.manual_seed(0)
    return nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 2))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dtype": torch.int32}, r"dtype must be torch.float32 or .* got torch.int32; leave it"),
        ({"dtype": torch.complex64}, r"dtype must be .* got torch.complex64"),
        ({"dtype": torch.float16}, r"dtype must be .* got torch.float16; .*half precision is"),
        ({"dtype": "double"}, r"dtype must be .* got 'double'"),
        ({"dtype": 64}, r"dtype must be .* got 64"),
        ({"device": "foo"}, r"device must be one that holds numbers .* got 'foo' \(Expected one"),
        ({"device": "meta"}, r"device must be one that holds numbers on this machine, got 'meta'"),
        ({"device": 1.5}, r"device must be a torch.device or its name, got 1.5; pass device='cpu'"),
        ({"memory_budget": 0}, r"memory_budget must be a whole number of bytes, .* got 0"),
        ({"memory_budget": "1G"}, r"memory_budget must be a whole number of bytes, .* got '1G'"),
        ({"forward": 3}, r"forward must be a function, called as forward\(model, x\), got 3"),
        ({"select": 3}, r"select must name a floating tensor .*, got '3' of one tensor; leave it"),
        (
            {"select": lambda _: None},
            r"select must return a floating tensor, got NoneType; return one",
        ),
        ({"select": lambda y: y > 0}, r"select must return a floating tensor, got torch.bool"),
        ({"to": 3}, r"to must be the name of a stage, or several, got 3; take them from"),
        ({"to": ("0", 3)}, r"to must be the name of a stage, or several, got \('0', 3\)"),
        ({"start": 3}, r"start must be the name of a stage, got 3"),
        (
            {"params": "0.*"},
            r"params must come with wrt='parameters', got '0\.\*' with wrt='input'",
        ),
        ({"wrt": "parameters", "params": None}, r"params must be one shell pattern, got None"),
        ({"wrt": "parameters", "params": ["0.*"]}, r"params must be one .* got \['0\.\*'\]; '\*'"),
    ],
)
def test_arguments(arguments, message):
    view = {k: arguments.pop(k) for k in set(arguments) & {*VIEW}}
    with pytest.raises(UsageError, match=message):
        nakami.jacobian(nakami.View(net(), **view), X, **arguments)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_not_there():
    with pytest.raises(UsageError, match=r"device must be one that holds .* got 'cuda' \(.*'cpu'"):
        nakami.jacobian(nakami.View(net(), device="cuda"), X)


def test_a_dtype_is_also_taken_by_name():
    op = nakami.jacobian(nakami.View(net(), dtype="float64", device="cpu"), X, memory_budget=1e6)
    assert op.dtype == torch.float64
    assert nakami.jacobian(nakami.View(net(), dtype="torch.float32"), X).dtype == torch.float32


@pytest.mark.parametrize(
    ("model", "x", "message"),
    [
        (net(), X.to("meta"), r"x must hold numbers, got a tensor on the meta device"),
        (net(), X.to_sparse(), r"x must be dense, got sparse_coo; convert it with .to_dense\(\)"),
        (net(), X.to(torch.float8_e5m2), r"x must have 16 bits or more, got torch.float8_e5m2"),
        (net(), [], r"x must be a torch.Tensor or hold some, got list without any; convert"),
        (net(), range(4), r"x must be a torch.Tensor or hold some, got range without any; pass"),
        (net(), torch.ones(1, 0), r"x must hold at least one number, got shape \(1, 0\)"),
        (language(), TOKENS[:, :0], r"x must hold at least one number, got shape \(1, 0\)"),
        (language(), TOKENS + 7, r"index out of range in self; the largest token is 9, keep them"),
        (language(), TOKENS.float(), r"pass tokens as integers, x.long\(\)"),
    ],
)
def test_inputs(model, x, message):
    with pytest.raises(UsageError, match=message):
        nakami.jacobian(model, x)


def test_a_network_without_parameters():
    with pytest.raises(UsageError, match=r"model must have floating parameters, got none; read it"):
        nakami.jacobian(nn.Tanh(), X, wrt="parameters")


def test_an_error_of_the_users_own_code_keeps_its_type():
    def forward(model, x):
        raise KeyError("boo")

    with pytest.raises(UsageError, match=r"forward raised KeyError: 'boo' \(x of shape \(1, 4\)"):
        nakami.stages(nakami.View(net(), forward=forward), X)
