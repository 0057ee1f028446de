"""The deep Boltzmann machine on digits in a tiny size, against the same steps by hand."""

from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from nakami import data, recipes, sampling
from nakami.recipes import dbm_digits
from nakami.recipes.dbm_digits import DBMSettings
from nakami.results import UsageError
from nakami.training import ContrastiveDivergence, Falling, MeanFieldLearning, fit
from nakami.training._random import phase_generator
from nakami.zoo.dbm import DBM
from nakami.zoo.rbm import RBM

TINY = DBMSettings(
    hidden=(9, 7), pretrain_epochs=2, joint_epochs=2, finetune_epochs=2, batch=20, temperatures=200
)


def prepared(folder, settings=TINY):
    few = data.digits("train")[:100], data.digits("test")[:50]
    with pytest.MonkeyPatch.context() as patch:
        entry = replace(dbm_digits.ENTRY, examples=lambda folder: few, settings=settings)
        patch.setattr(dbm_digits, "ENTRY", entry)
        return recipes.prepare("dbm-digits", folder, n_inputs=2)


@pytest.fixture(scope="module")
def subject(tmp_path_factory):
    return prepared(tmp_path_factory.mktemp("dbm") / "run")


def drawn(split, n, name):
    grey = data.digits(split)[:n].inputs.flatten(1)
    return (torch.rand(grey.shape, generator=phase_generator(0, name)) < grey).float()


def test_its_phases_are_those_of_steps_by_hand(subject):
    v, first = drawn("train", 100, "training pixels"), phase_generator(0, "first weights")
    below, rbms = v, [RBM(784, 9, generator=first), RBM(9, 7, generator=first)]
    for i, (rbm, factors) in enumerate(zip(rbms, ((2, 1), (1, 2)), strict=True), 1):
        method = ContrastiveDivergence(rbm, rate=0.05, factors=factors)
        fit(method, (below,), epochs=2, batch=20, generator=phase_generator(0, f"layer{i}"))
        below = rbm(factors[0] * below).detach()
    machine = DBM.from_rbms(rbms)
    method = MeanFieldLearning(
        machine,
        torch.optim.SGD(machine.parameters(), 0.01),
        sampler=sampling.Persistent(100, 5),
    )
    generator = phase_generator(0, "together")
    fit(Falling(method, 2), (v,), epochs=2, batch=20, generator=generator)
    for p, q in zip(machine.parameters(), subject.networks[0].origin.parameters(), strict=True):
        assert_close(p, q, rtol=0, atol=0)


def test_its_figures_are_a_bound_and_an_error(subject):
    machine, (start, tuned) = subject.networks[0].origin, subject.networks
    log_z = sampling.log_partition(machine)
    v = drawn("test", 50, "test pixels")
    exact = sampling.likelihood_bound(machine, v, log_partition=log_z)
    error, bound, _, runs = start.facts
    assert bound["label"] == "test log-likelihood, lower bound"
    assert bound["value"] == pytest.approx(exact.value, abs=0.2)
    assert runs["value"] > 10
    assert error["label"].startswith("test error (output layer")
    assert [fact["label"] for fact in tuned.facts] == ["test error"]
    held = dict(tuned.model.machine.named_parameters())
    assert all(torch.equal(held[k], p) for k, p in machine.named_parameters())
    assert not torch.equal(tuned.model.linear1.weight, start.model.linear1.weight)


def test_what_its_page_shows_and_what_is_measured(subject, tmp_path):
    gen = torch.Generator().manual_seed(0)
    shown = dbm_digits.pictures(subject.networks, data.digits("test")[:20], TINY, gen)
    assert [p.title for p in shown] == ["Filters of the first layer", "Samples of the machine"]
    assert shown[1].images.shape[-2:] == (28, 28)
    run = recipes.measure(subject, tmp_path)[1]
    assert list(run.names) == ["hidden1", "hidden2"]
    assert subject.networks[0].training.startswith("2 machines with doubled inputs, one on the")
    assert list(dbm_digits.epochs(TINY)) == ["layer1", "layer2", "together", "finetuned"]


def test_three_layers_are_trained_and_one_is_refused_before_any_training(tmp_path):
    deep = prepared(tmp_path / "deep", replace(TINY, hidden=(9, 7, 5)))
    machine, tuned = deep.networks[0].origin, deep.networks[1].model
    assert machine.sizes == (784, 9, 7, 5)
    assert deep.stages == ("hidden1", "hidden2", "hidden3")
    assert tuned(data.digits("test")[:3].inputs).shape == (3, 10)
    with pytest.raises(UsageError, match=r"setting hidden must name two layers or more, got \[9\]"):
        prepared(tmp_path / "flat", replace(TINY, hidden=(9,)))
    assert not (tmp_path / "flat").exists()
