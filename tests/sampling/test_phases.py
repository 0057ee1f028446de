"""Samplers of a training against enumeration: what they draw, and what they go on from."""

import pytest
import torch
from safetensors.torch import load

from machines import expected_cd, states, tiny
from nakami import sampling
from nakami.results import UsageError
from nakami.sampling import FromData, Persistent, Tempered, divergence_bias, pair_statistics
from nakami.training import ContrastiveDivergence, fit
from nakami.training._state import pack, unpack
from nakami.zoo.rbm import RBM

STILL = {"rate": 1.0, "momentum": 0.0, "decay": 0.0}


def moved(rbm, method, v):
    """Change of the weights by one step."""
    before = rbm.weight.detach().clone()
    method.step([v])
    return rbm.weight.detach() - before


@pytest.mark.parametrize("k", [1, 3])
def test_from_data_by_block_gibbs_is_contrastive_divergence(k):
    rbm, v, n = tiny(), states(4)[[3, 9, 14]], 40_000
    expected = expected_cd(rbm, v, k)
    found = moved(rbm, ContrastiveDivergence(rbm, sampler=FromData(k), **STILL), v.repeat(n, 1))
    error = 5 * 0.5 / n**0.5
    assert (found - expected).abs().max() < error
    assert expected.abs().max() > 10 * error  # the check can fail


@pytest.mark.parametrize("kernel", [sampling.SuwaTodo(2), sampling.CollapsedGibbs()])
def test_another_kernel_has_the_bias_of_its_matrix(kernel):
    rbm, v, n = tiny(), states(4)[[3, 9, 14]], 40_000
    law = torch.bincount(torch.tensor([3, 9, 14]), minlength=16).double() / 3
    gradient = ((law - sampling.stationary(rbm)) @ pair_statistics(rbm)).reshape(3, 4)
    expected = gradient + divergence_bias(rbm, v, kernel, k=2)
    found = moved(
        rbm, ContrastiveDivergence(rbm, sampler=FromData(2, kernel), **STILL), v.repeat(n, 1)
    )
    assert (found - expected).abs().max() < 5 * 0.5 / n**0.5


@pytest.mark.parametrize(
    "sampler",
    [Persistent(400), Persistent(400, kernel=sampling.SuwaTodo(2)), Tempered(400, 3),
     Persistent(400, kernel=sampling.Lifted()), Tempered(400, torch.tensor([0.0, 0.4, 1.0]))],
)  # fmt: skip
def test_persistent_chains_draw_from_the_machine(sampler):
    rbm, data = tiny(), states(4)[[3, 9, 14]]
    sampler.begin(rbm, data, torch.Generator().manual_seed(0))
    worth = torch.tensor([8.0, 4, 2, 1], dtype=torch.float64)
    means = []
    for step in range(120):
        v = sampler.draw(data)
        if step >= 20:
            means.append(pair_statistics(rbm)[(v @ worth).long()].mean(0))
    blocks = torch.stack(means).unflatten(0, (10, 10)).mean(1)  # nearly independent
    exact = sampling.stationary(rbm) @ pair_statistics(rbm)
    z = (blocks.mean(0) - exact) / (blocks.std(0) / 10**0.5)
    assert z.abs().mean() < 2
    assert z.abs().max() < 6
    far = (blocks.mean(0) - expected_data(rbm, data)) / (blocks.std(0) / 10**0.5)
    assert far.abs().max() > 20  # the check can fail


def expected_data(rbm, data):
    return (rbm(data).detach()[:, :, None] * data[:, None, :]).flatten(1).mean(0)


def test_loss_is_the_gap_of_free_energies_whose_gradient_is_the_step():
    rbm, v = tiny(), states(4)[[3, 9, 14, 2]]
    sampler = Persistent(7)
    method = ContrastiveDivergence(rbm, sampler=sampler, **STILL)
    twin = tiny()
    method.step([v])
    twin.load_state_dict(rbm.state_dict())
    before = [p.detach().clone() for p in rbm.parameters()]
    loss = method.step([v])
    gap = twin.free_energy(v).mean() - twin.free_energy(sampler.state_dict()["states"]).mean()
    assert loss.item() == pytest.approx(gap.item(), rel=1e-12)
    gap.backward()
    for p, q, t in zip(rbm.parameters(), before, twin.parameters(), strict=True):
        torch.testing.assert_close(p.detach() - q, -t.grad, rtol=1e-10, atol=1e-13)
    assert method.loss_name == "free energy of data less that of samples, nats"


def test_grey_examples_start_chains_by_chance():
    sampler = FromData(1, sampling.SuwaTodo(2))
    rbm = RBM(6, 3)
    sampler.begin(rbm, torch.rand(9, 6), torch.Generator().manual_seed(0))
    v = sampler.draw(torch.rand(9, 6))
    assert ((v == 0) | (v == 1)).all()


@pytest.mark.parametrize(
    "make",
    [
        lambda: Persistent(5),
        lambda: Persistent(5, kernel=sampling.Lifted()),
        lambda: Tempered(5, 3, kernel=sampling.Lifted()),
        lambda: FromData(2),
    ],
)
def test_a_training_goes_on_to_the_same_bits(make):
    data = states(4).float()

    def step(method, count):
        for _ in range(count):
            method.step([data])

    ends = []
    for broken in (False, True):
        g = torch.Generator().manual_seed(3)
        rbm = RBM(4, 3)
        method = ContrastiveDivergence(rbm, sampler=make())
        method.start([data], g)
        step(method, 3)
        if broken:
            shape, tensors = pack(method.state_dict())
            weights, random = {k: p.clone() for k, p in rbm.state_dict().items()}, g.get_state()
            rbm, g = RBM(4, 3), torch.Generator()
            method = ContrastiveDivergence(rbm, sampler=make())
            method.start([data], g)
            rbm.load_state_dict(weights)
            method.load_state_dict(unpack(shape, load(tensors)))
            g.set_state(random)
        step(method, 3)
        ends.append(torch.cat([p.detach().flatten() for p in rbm.parameters()]))
    assert torch.equal(*ends)


def test_tempered_training_keeps_the_shares_of_two_far_modes():
    data = torch.tensor([[1.0] * 6 + [0.0] * 6, [0.0] * 6 + [1.0] * 6]).repeat(50, 1)
    found = []
    for sampler in (Tempered(50, 6), FromData()):
        g = torch.Generator().manual_seed(0)
        rbm = RBM(12, 4, generator=g)
        method = ContrastiveDivergence(rbm, sampler=sampler, rate=0.1, momentum=0.0, decay=0.0)
        method.start([data], g)
        for _ in range(500):
            method.step([data])
        log_z = sampling.log_partition(rbm)
        found.append(sampling.log_likelihood(rbm, data[[0, -1]], log_partition=log_z))
    tempered, from_data = found
    assert -1.2 < tempered.value <= -0.6931471  # log 1/2 is the best
    assert abs(tempered.examples.diff()) < 1 < 2 < abs(from_data.examples.diff())


def test_fit_takes_a_sampler_and_leaves_global_random_state():
    rbm, before = RBM(4, 2), torch.get_rng_state()
    losses = fit(ContrastiveDivergence(rbm, sampler=Persistent(3)), [states(4).float()], epochs=2)
    assert len(losses) == 2
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: FromData(0), r"k must be a whole number from 1 on, got 0"),
        (lambda: Persistent(0), r"chains must be a whole number from 1 on, got 0"),
        (lambda: Persistent(5, k=0), r"k must be a whole number from 1 on"),
        (lambda: Tempered(temperatures=1), r"temperatures must be at least 2 replicas, got 1"),
        (
            lambda: ContrastiveDivergence(RBM(2, 2), k=5, sampler=Persistent(5)),
            r"k and reconstruction must be left out with a sampler, got k=5.*FromData\(k=5\)",
        ),
    ],
)
def test_wrong_use_is_one_sentence(call, match):
    with pytest.raises(UsageError, match=match):
        call()
