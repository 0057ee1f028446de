"""The machine on digits in a tiny size, against the same loop by hand and enumeration."""

from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from nakami import data, recipes, sampling
from nakami.recipes import rbm_digits
from nakami.recipes._facts import likelihood_facts
from nakami.recipes.rbm_digits import RBMSettings
from nakami.training import ContrastiveDivergence
from nakami.training._random import phase_generator
from nakami.zoo.rbm import RBM

TINY = RBMSettings(hidden=9, epochs=3, batch=20, temperatures=200)


def prepared(folder, settings=TINY):
    few = data.digits("train")[:100], data.digits("test")[:50]
    with pytest.MonkeyPatch.context() as patch:
        entry = replace(rbm_digits.ENTRY, examples=lambda folder: few, settings=settings)
        patch.setattr(rbm_digits, "ENTRY", entry)
        return recipes.prepare("rbm-digits", folder, n_inputs=2)


@pytest.fixture(scope="module")
def subject(tmp_path_factory):
    return prepared(tmp_path_factory.mktemp("rbm") / "run")


def drawn(split, n, name):
    grey = data.digits(split)[:n].inputs.flatten(1)
    return (torch.rand(grey.shape, generator=phase_generator(0, name)) < grey).float()


@pytest.mark.parametrize("chains", ["persistent", "data"])
def test_weights_are_those_of_a_loop_by_hand(tmp_path, chains):
    made = prepared(tmp_path / "run", replace(TINY, chains=chains)).networks[0].model[1]
    rbm = RBM(784, 9, generator=phase_generator(0, "first weights"))
    options = {"sampler": sampling.Persistent(20)} if chains == "persistent" else {"k": 1}
    method = ContrastiveDivergence(rbm, momentum=0.5, decay=2e-3, **options)
    v, gen = drawn("train", 100, "training pixels"), phase_generator(0, "trained")
    method.start((v,), gen)
    for epoch in range(3):
        method.rate = 0.05 * (1 - epoch / 3)
        for rows in torch.randperm(100, generator=gen).split(20):
            method.step((v[rows],))
    for p, q in zip(made.parameters(), rbm.parameters(), strict=True):
        assert_close(p, q, rtol=1e-5, atol=1e-6)


def test_its_figure_is_the_likelihood_of_test_digits(subject):
    rbm = subject.networks[0].origin
    log_z = sampling.log_partition(rbm)
    exact = sampling.log_likelihood(rbm, drawn("test", 50, "test pixels"), log_partition=log_z)
    test, train, runs = subject.networks[0].facts
    assert test["label"] == "test log-likelihood"
    assert test["value"] == pytest.approx(exact.value, abs=0.2)
    assert exact.spread <= test["spread"] < 1.5 * exact.spread
    assert train["value"] > test["value"]
    assert 10 < runs["value"] <= 100


def test_what_its_page_shows_and_what_is_measured(subject, tmp_path):
    gen = torch.Generator().manual_seed(0)
    shown = rbm_digits.pictures(subject.networks, data.digits("test")[:20], TINY, gen)
    assert [p.title for p in shown] == [
        "Filters of the machine",
        "Samples of the machine",
        "Reconstructions",
    ]
    assert ((shown[1].images >= 0) & (shown[1].images <= 1)).all()
    run = recipes.measure(subject, tmp_path)[0]
    assert list(run.names) == ["hidden"]
    assert subject.networks[0].training.startswith("persistent chains of 1 Gibbs step, 3 epochs")


def test_the_unit_reads_well_with_any_noun():
    rbm, v = RBM(3, 2), torch.ones(2, 3)
    facts = likelihood_facts(
        lambda rows, **how: sampling.log_likelihood(rbm, rows, **how),
        {"test": v},
        "input",
        temperatures=5,
    )
    assert facts[0]["unit"] == "nats per input"
