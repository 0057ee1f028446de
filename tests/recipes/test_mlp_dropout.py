"""The recipes with dropout against plain loops, and what the bound on weights does."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F
from torch.testing import assert_close

from nakami import data, recipes
from nakami.recipes import maxout_digits, mlp_dropout
from nakami.training._random import phase_generator
from nakami.zoo import maxout, mlp

OWN = {"mlp-dropout": mlp_dropout, "maxout-digits": maxout_digits}


def prepared(name, folder, **changes):
    module = OWN[name]
    few = data.digits("train")[:60], data.digits("test")[:20]
    settings = replace(module.ENTRY.settings, hidden=(9, 7), epochs=3, batch=20, **changes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "ENTRY", replace(module.ENTRY, examples=lambda files: few))
        return recipes.prepare(name, folder, n_inputs=2, settings=settings), settings


def by_hand(model, settings, phase, limit):
    """Descent with momentum and the bound, written out."""
    digits, generator = data.digits("train")[:60], phase_generator(0, phase)
    speeds = [torch.zeros_like(p) for p in model.parameters()]
    with torch.random.fork_rng():
        torch.manual_seed(generator.initial_seed())
        for _ in range(3):
            for rows in torch.randperm(60, generator=generator).split(20):
                model.zero_grad()
                F.cross_entropy(model.train()(digits.inputs[rows]), digits.labels[rows]).backward()
                with torch.no_grad():
                    for p, v in zip(model.parameters(), speeds, strict=True):
                        v.mul_(settings.momentum).add_(p.grad)
                        p -= settings.rate * v
                        if p.ndim == 2:
                            p *= (limit / p.norm(dim=1, keepdim=True)).clamp(max=1)
    return model


@pytest.mark.parametrize(
    ("name", "phase"), [("mlp-dropout", "dropout"), ("maxout-digits", "trained")]
)
def test_weights_are_those_of_a_loop_by_hand(name, phase, tmp_path):
    subject, settings = prepared(name, tmp_path, max_norm=0.8)
    make = mlp.make if name == "mlp-dropout" else maxout.make
    first = phase_generator(0, "first weights")
    model = make((784, 9, 7, 10), dropout=(0.2, 0.5), generator=first)
    wanted = by_hand(model, settings, phase, 0.8)
    found = subject.networks[-1].model
    for p, q in zip(found.parameters(), wanted.parameters(), strict=True):
        assert_close(p, q, rtol=1e-5, atol=1e-6)
    longest = max(float(p.detach().norm(dim=1).max()) for p in found.parameters() if p.ndim == 2)
    assert longest == pytest.approx(0.8)  # so that the bound is reached


def test_the_plain_network_has_neither_dropout_nor_bound(tmp_path):
    subject, settings = prepared("mlp-dropout", tmp_path, max_norm=0.8, plain_epochs=3)
    model = mlp.make((784, 9, 7, 10), generator=phase_generator(0, "first weights"))
    wanted = by_hand(model, settings, "plain", 1e9)
    for p, q in zip(subject.networks[0].model.parameters(), wanted.parameters(), strict=True):
        assert_close(p, q, rtol=1e-5, atol=1e-6)
    assert "dropout" not in subject.networks[0].training
    assert "weights of a unit at most 0.8 long" in subject.networks[1].training
