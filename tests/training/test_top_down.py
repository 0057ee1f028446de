"""Top-down regularisation: plain contrastive divergence at phi 0, else between both signals."""

import copy

import pytest
import torch
from torch.testing import assert_close

from machines import expected_cd
from nakami.results import UsageError
from nakami.training import ContrastiveDivergence, TopDown, fit
from nakami.zoo.dbn import DBN


def stack(*sizes):
    made, gen = DBN(sizes).double(), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in made.parameters():
            p.normal_(0, 0.7, generator=gen)
    return made


def some(n=30):
    gen = torch.Generator().manual_seed(1)
    x = (torch.rand(n, 4, generator=gen) < 0.5).double()
    return x, torch.randint(0, 2, (n,), generator=gen)


def learner(rbm):
    return ContrastiveDivergence(rbm, rate=0.1)


def test_phi_0_is_contrastive_divergence_to_the_bit():
    made, alone, (v, labels) = stack(4, 3), stack(4, 3), some()
    fit(TopDown(made, learner, phi=0.0), (v,), epochs=3, batch=7)
    fit(learner(alone.rbms[0]), (v,), epochs=3, batch=7)
    for p, q in zip(made.parameters(), alone.parameters(), strict=True):
        assert torch.equal(p, q)
    deep, by_hand = stack(4, 3, 2), stack(4, 3, 2)
    method, gen = TopDown(deep, learner, phi=0.0), torch.Generator().manual_seed(5)
    method.start((v, labels), gen)
    method.step((v, labels))
    gen = torch.Generator().manual_seed(5)
    with torch.no_grad():
        below = [by_hand(v, depth) for depth in range(2)]
    for rbm, x in zip(by_hand.rbms, below, strict=True):
        one = learner(rbm)
        one.start((x,), gen)
        one.step((x,))
    for p, q in zip(deep.parameters(), by_hand.parameters(), strict=True):
        assert torch.equal(p, q)


@torch.no_grad()
def test_signals_lie_between_below_and_above():
    made, (v, labels) = stack(4, 3, 2), some()
    below, top = made.rbms
    up = below(v)
    for given, ends in (((v,), top(up)), ((v, labels), torch.eye(2).double()[labels])):
        method = TopDown(made, learner, phi=0.25)
        seen, first, last = method.signals(*given)
        assert torch.equal(seen, v)
        assert_close(first, 0.75 * up + 0.25 * top.visible(ends))
        assert_close(last, 0.75 * top(up) + 0.25 * ends)


def test_the_mean_update_starts_from_the_signal():
    made, n = stack(4, 3), 40_000
    (rbm,), v = made.rbms, torch.tensor([[1.0, 0.0, 0.0, 1.0]], dtype=torch.float64)
    target = torch.tensor([[1.0, 0.0, 1.0]], dtype=torch.float64)
    before = rbm.weight.detach().clone()
    plain = ContrastiveDivergence(copy.deepcopy(rbm), rate=1.0, momentum=0.0, decay=0.0)
    method = ContrastiveDivergence(rbm, rate=1.0, momentum=0.0, decay=0.0)
    method.step_from(v.repeat(n, 1), target.repeat(n, 1))
    chain = rbm_of(before, rbm).visible(target).detach()  # v given this h
    visible = torch.cartesian_prod(*[torch.tensor([0.0, 1.0]).double()] * 4)
    law = (visible * chain + (1 - visible) * (1 - chain)).prod(1)
    model = (rbm_of(before, rbm)(visible) * law[:, None]).T @ visible
    wanted = target.T @ v - model
    assert_close(rbm.weight.detach() - before, wanted.detach(), rtol=0, atol=5 * 0.5 / n**0.5)
    plain.step((v.repeat(n, 1),))
    moved = plain.module.weight.detach() - before
    assert_close(moved, expected_cd(rbm_of(before, rbm), v, 1), rtol=0, atol=5 * 0.5 / n**0.5)


def rbm_of(weight, rbm):
    """The machine before the step: biases moved too, so they are put back."""
    first = copy.deepcopy(stack(4, 3).rbms[0])
    assert torch.equal(first.weight, weight)
    return first


def test_labels_above_separate_the_classes():
    gen = torch.Generator().manual_seed(2)
    labels = torch.randint(0, 2, (200,), generator=gen)
    noise = (torch.rand(200, 4, generator=gen) < 0.5).double().repeat(1, 3)  # what stands out
    v = torch.cat([noise, labels[:, None].double().repeat(1, 2)], 1)
    found = {}
    for phi in (0.0, 0.5):
        made = DBN((14, 8, 2)).double()
        fit(TopDown(made, learner, phi=phi), (v, labels), epochs=40, batch=20)
        with torch.no_grad():
            found[phi] = float((made(v).argmax(1) == labels).double().mean())
    assert found[0.5] > 0.95 > found[0.0] + 0.1


def test_a_training_goes_on_from_its_state():
    v, labels = some()
    made, other = stack(4, 3, 2), stack(4, 3, 2)
    first, gen = TopDown(made, learner), torch.Generator().manual_seed(3)
    first.start((v, labels), gen)
    first.step((v, labels))
    second = TopDown(other, learner)
    again = torch.Generator()
    second.start((v, labels), again)
    again.set_state(gen.get_state())
    other.load_state_dict(made.state_dict())
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    first.step((v, labels))
    second.step((v, labels))
    for p, q in zip(made.parameters(), other.parameters(), strict=True):
        assert torch.equal(p, q)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: TopDown(stack(4, 3), learner, phi=1.5), "phi must .*, got 1.5; use 0.1"),
        (
            lambda: fit(TopDown(stack(4, 3), learner), (some()[0], some()[1] + 5), epochs=1),
            "labels must be 30 whole numbers from 0 to 2, a tensor, got 5 to 6",
        ),
        (
            lambda: fit(TopDown(stack(4, 3), learner), (some()[0], some()[1].float()), epochs=1),
            "labels must be .* whole numbers from 0 to 2, a tensor, got torch.float32 of shape",
        ),
        (
            lambda: fit(TopDown(stack(4, 3), learner), (*some(), some()[0]), epochs=1),
            "data must be pixels, or pixels and labels, got 3 tensors",
        ),
    ],
)
def test_wrong_use(call, message):
    with pytest.raises(UsageError, match=message):
        call()
