"""A constraint on GRUs inside a method: it holds, and a training that goes on is the same."""

import pytest
import torch

from nakami.recurrent import margins
from nakami.results import UsageError
from nakami.training import Falling, Held, Supervised, TruncatedBPTT, fit
from nakami.training._fit import go_on
from nakami.training._position import Place, Position
from nakami.training._state import pack, saved, unpack
from nakami.zoo.rnnlm import RecurrentLM


def free():
    net = RecurrentLM(5, 6, 1, "gru")
    return TruncatedBPTT(net, torch.optim.Adam(net.parameters(), 0.05), most=1.0)


def method():
    return Falling(Held(free(), 0.5), 4)


def text():
    words = torch.randint(5, (41, 3), generator=torch.Generator().manual_seed(0))
    return words[:-1], words[1:]


def test_a_training_that_goes_on_ends_in_the_same_bits():
    from safetensors.torch import load

    whole = method()
    fit(whole, text(), epochs=4, batch=8)
    first = Position(method(), torch.Generator().manual_seed(0))
    go_on(first, text(), 2, 8, Place(), lambda _: None)
    shape, tensors = pack(first.state())
    second = Position(method(), torch.Generator().manual_seed(0), list(first.losses))
    second.resumed = unpack(shape, load(tensors))
    go_on(second, text(), 4, 8, Place(), lambda _: None)
    assert saved(whole.module.state_dict()) == saved(second.method.module.state_dict())
    assert second.method.method.constraint.count == whole.method.constraint.count == 20


def test_it_holds_where_a_free_net_grows():
    held, other = Held(free(), 1.2), free()
    for each in (held, other):
        fit(each, text(), epochs=4, batch=8)
    assert margins(held.module)[0].sigma <= 0.8 * (1 + 1e-5)
    assert margins(other.module)[0].sigma > 0.8


def test_a_network_without_a_gru_is_refused():
    net = torch.nn.Linear(2, 2)
    with pytest.raises(UsageError, match="GRU"):
        Held(Supervised(net, torch.optim.SGD(net.parameters(), 0.1)))
