"""TF32 is lifted while nakami computes, whichever switch allowed it, and put back as it was."""

import warnings

import pytest
import torch
from torch import nn

import nakami
from nakami.spectra import _tf32
from nakami.spectra._tf32 import CARD, CPU, coarse, full_float32
from rounding import Rounding

ALL = [*CARD, *CPU, ("cuda", "all"), ("mkldnn", "all"), ("generic", "all")]


SETTINGS = {
    "default": lambda: None,
    "older, products": lambda: torch._C._set_cublas_allow_tf32(True),
    "older, convolutions off": lambda: torch._C._set_cudnn_allow_tf32(False),
    "high": lambda: torch.set_float32_matmul_precision("high"),
    "medium": lambda: torch.set_float32_matmul_precision("medium"),
    "newer, products": lambda: _tf32._set("cuda", "matmul", "tf32"),
    "newer, convolutions off": lambda: _tf32._set("cuda", "conv", "ieee"),
    "newer, cuDNN": lambda: _tf32._set("cuda", "all", "tf32"),
    "newer, all": lambda: _tf32._set("generic", "all", "tf32"),
    "newer, nothing": lambda: _tf32._set("generic", "all", "ieee"),
}


def read():
    """All switches, and what reading the older ones gives."""
    state = {switch: _tf32._get(*switch) for switch in ALL}
    for name, get in {
        "precision": torch.get_float32_matmul_precision,
        "products": torch._C._get_cublas_allow_tf32,
        "convolutions": torch._C._get_cudnn_allow_tf32,
    }.items():
        try:
            state[name] = get()
        except RuntimeError as error:
            state[name] = type(error)
    return state


@pytest.fixture(params=SETTINGS)
def setting(request, monkeypatch):
    monkeypatch.setattr(_tf32, "SWITCHES", CARD + CPU)  # also where PyTorch is built for CPUs
    before = read()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        SETTINGS[request.param]()
        yield request.param
        for switch in ALL:
            _tf32._set(*switch, "none")
        torch._C._set_cudnn_allow_tf32(before["convolutions"])
        torch.set_float32_matmul_precision(before["precision"])
        for switch in ALL:
            _tf32._set(*switch, before[switch])
    assert read() == before


def test_switches_are_turned_and_put_back(setting):
    before = read()
    with full_float32():
        assert not coarse()
        inside = read()
        with full_float32():
            assert read() == inside
        assert read() == inside
    assert read() == before
    with pytest.raises(KeyError), full_float32():
        raise KeyError
    assert read() == before
    if not setting.startswith("newer"):  # a model may read the older ones meanwhile
        assert (inside["products"], inside["convolutions"]) == (False, False)


def test_what_follows_a_switch_above_it_goes_on_following(setting):
    with full_float32():
        pass
    if setting in ("newer, all", "newer, nothing"):
        _tf32._set("generic", "all", "ieee")
        assert _tf32._get("cuda", "matmul") == "ieee"


def test_spectra_and_products_are_those_of_float32(setting):
    torch.manual_seed(0)
    conv, head = nn.Conv2d(2, 4, 3), nn.Linear(64, 6)
    net = nn.Sequential(conv, nn.Tanh(), nn.Flatten(), head)
    x, y = torch.randn(3, 2, 6, 6), torch.tensor([0, 1, 2])
    op = nakami.jacobian(net, x[:1])
    wanted = (
        op.dense(),
        nakami.svd(op, 3).values,
        nakami.fisher(net, (x, y), "cross_entropy").dense(),
    )
    with Rounding() as mode:
        op = nakami.jacobian(net, x[:1])
        values = nakami.svd(op, 3).values
        found = op.dense(), values, nakami.fisher(net, (x, y), "cross_entropy").dense()
        assert mode.rounded == 0
        plain = net(x[:1])
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-6)
    if setting == "default":  # the mode does round a convolution that nakami does not make
        assert mode.rounded > 0
        assert float((plain - net(x[:1])).norm() / plain.norm()) > 1e-5
