"""Nested states as JSON and safetensors, and back."""

import pytest
import torch
from safetensors.torch import load
from torch import nn

from nakami.training._state import pack, unpack


def round_trip(state):
    text, tensors = pack(state)
    return unpack(text, load(tensors))


def test_what_goes_in_comes_out_with_its_types():
    shared = torch.arange(6.0).reshape(2, 3)
    state = {
        "number": 3,
        "none": None,
        0: [1.5, True, ("text", shared.T)],
        "same memory": {"a": shared, "b": shared},
        "bytes": torch.arange(3, dtype=torch.uint8),
        "scalar": torch.tensor(2.0, dtype=torch.float64),
        "half": torch.ones(2, dtype=torch.bfloat16),
    }
    found = round_trip(state)
    assert list(found) == list(state)
    assert found[0][:2] == [1.5, True]
    assert isinstance(found[0][2], tuple)
    assert torch.equal(found[0][2][1], shared.T)
    assert torch.equal(found["same memory"]["b"], shared)
    for name in ("bytes", "scalar", "half"):
        assert found[name].dtype == state[name].dtype
        assert torch.equal(found[name], state[name])


@pytest.mark.parametrize(
    "kind", [torch.optim.AdamW, torch.optim.LBFGS, torch.optim.RMSprop, torch.optim.ASGD]
)
def test_states_of_torch_optimizers(kind):
    def stepped(optimizer, model):
        def loss():
            optimizer.zero_grad()
            value = model(torch.ones(2, 3)).square().sum()
            value.backward()
            return value

        optimizer.step(loss)
        return torch.cat([p.detach().flatten() for p in model.parameters()])

    first, second = nn.Linear(3, 2), nn.Linear(3, 2)
    one = kind(first.parameters(), lr=0.01)
    stepped(one, first)
    second.load_state_dict(first.state_dict())
    two = kind(second.parameters(), lr=0.01)
    two.load_state_dict(round_trip(one.state_dict()))
    assert torch.equal(stepped(one, first), stepped(two, second))


def test_anything_else_is_refused():
    with pytest.raises(TypeError, match=r"must hold tensors, numbers and texts, got set; return"):
        pack({"a": {1, 2}})
