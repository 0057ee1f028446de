"""Message passing on instances against state evolution, by enumeration and sampling."""

import numpy as np
import pytest

from nakami.results import UsageError
from nakami.theory import phase
from nakami.theory.phase import _gamp


@pytest.fixture(scope="module")
def learned():
    """One instance beyond the transition, one before it."""
    return {beta: phase.draw_instance(0.5, 0.1, beta, 2000, seed=3) for beta in (2.0, 5.0)}


def test_patterns_keep_the_margin_and_are_normal_across_it():
    kappa, found = 0.8, phase.draw_instance(0.8, 2.0, 18.0, 200, seed=1)
    fields = found.patterns @ found.teacher / 200**0.5
    assert np.abs(fields).min() >= kappa
    assert found.patterns.shape == (4000, 200)
    assert found.n_labelled == 400
    np.testing.assert_array_equal(found.labels[3600:], np.sign(fields[3600:]))
    assert not found.labels[:3600].any()
    assert abs(np.sign(fields).mean()) < 4 / 4000**0.5
    beyond = np.abs(fields)  # mean of a normal above kappa: phi / H
    density = np.exp(-(kappa**2) / 2) / (2 * np.pi) ** 0.5
    assert beyond.mean() == pytest.approx(density / 0.2118554, abs=0.03)
    across = found.patterns - np.outer(fields, found.teacher) / 200**0.5
    assert across.var() == pytest.approx(199 / 200, abs=0.01)


@pytest.mark.parametrize(("beta", "tolerance"), [(2.0, 0.1), (5.0, 0.015)])
def test_overlaps_are_those_of_state_evolution(learned, beta, tolerance):
    found = phase.gamp(learned[beta])
    theory = phase.state_evolution(0.5, 0.1, beta)
    assert found.converged
    assert abs(found.q - theory.q) < tolerance
    assert abs(found.q - found.overlap) < 0.03  # Nishimori
    assert abs(found.free_entropy - theory.free_entropy) < 0.03
    assert found.q + found.variance == pytest.approx(1, abs=1e-10)  # on the sphere


def test_an_uninformed_start_knows_nothing_of_the_teacher():
    """Also at equal seeds: one step without labels leaves the overlap near chance."""
    instance = phase.draw_instance(0.5, 0.0, 2.0, 1000, seed=0)
    one = phase.gamp(instance, seed=0, max_steps=1)
    cosine = one.overlap / one.q**0.5
    assert abs(cosine) < 4 / 1000**0.5
    assert not one.converged
    below = phase.gamp(instance, seed=0)  # 2 is below weak recovery, 3.07
    assert below.converged
    assert below.q < 1e-3


def test_pre_training_then_fine_tuning():
    instance = phase.draw_instance(0.5, 0.1, 5.0, 1000, seed=3)
    found = phase.pretrain_then_finetune(instance)
    at_once = phase.gamp(instance, max_steps=100)
    theory = phase.state_evolution(0.5, 0.1, 5.0)
    assert abs(found.pretrained.error_up_to_sign - theory.bayes_error) < 0.015
    assert np.sign(found.pretrained.overlap) == found.sign
    assert abs(found.finetuned.error - at_once.error) < 1e-3  # the order does not matter
    assert found.finetuned.steps < found.pretrained.steps


REFUSED = [
    (lambda one: phase.gamp(one, "cold"), r"start must be one of .* or a vector, got 'cold'"),
    (lambda one: phase.gamp(one, np.ones(3)), r"a vector \(2000,\) inside the sphere"),
    (lambda one: phase.gamp(one, max_steps=0), r"max_steps must be a whole number from 1 on, got"),
    (lambda one: phase.gamp(one, student_kappa=-1), r"student_kappa must be a number from 0 to 5"),
    (lambda _: phase.draw_instance(0.5, 0, 0), r"must give at least one pattern, got 0 and 0"),
    (lambda _: phase.draw_instance(7, 0, 1), r"kappa must be a number from 0 to 5, got 7"),
    (
        lambda one: phase.pretrain_then_finetune(one.without_labels()),
        r"instance must hold patterns with and without labels, got Instance\(N 2000, 4000 unl",
    ),
]


@pytest.mark.parametrize(("call", "text"), REFUSED)
def test_what_gamp_refuses(learned, call, text):
    with pytest.raises(UsageError, match=text):
        call(learned[2.0])


def test_an_instance_beyond_memory_is_refused():
    with pytest.raises(UsageError, match=r"dimension must leave at most .* bytes, got 40,8"):
        phase.draw_instance(0.5, 0.1, 5, 10**6)


@pytest.mark.parametrize(
    "call",
    [
        lambda: phase.state_evolution([0.3, 0.5], [0.1, 0.2, 0.3], 3),
        lambda: phase.state_evolution([0.3, 0.5], 0.1, 3, start=[0.1, 0.2, 0.3]),
        lambda: phase.mismatched_evolution([0.3, 0.5], 0.3, [0.1, 0.2, 0.3]),
        lambda: phase.curve([0.3, 0.5], [0.1, 0.2, 0.3]),
        lambda: phase.free_entropy([0.3, 0.5], [0.1, 0.2, 0.3], 0, 1),
    ],
)
def test_shapes_that_do_not_fit_are_refused(call):
    with pytest.raises(UsageError, match=r"must broadcast, got shapes .*; pass numbers, or arrays"):
        call()


@pytest.mark.parametrize(("seed", "settles"), [(3, True), (4, False)])
def test_damping_settles_what_hovers_and_moves_no_fixed_point(monkeypatch, seed, settles):
    instance = phase.draw_instance(0.5, 0.5, 3, 200, seed)
    runs = [phase.gamp(instance, start, seed=seed) for start in ("informed", "uninformed")]
    assert all(run.converged and 100 < run.steps < 200 for run in runs)
    assert runs[0].mean == pytest.approx(runs[1].mean, abs=2e-3)
    monkeypatch.setattr(_gamp, "DAMPING", ((0, 0.0),))
    plain = phase.gamp(instance, seed=seed)
    assert plain.converged == settles
    assert plain.steps > 700
    if settles:
        assert runs[1].mean == pytest.approx(plain.mean, abs=2e-3)


def test_without_labels_a_run_that_changes_between_both_signs_is_not_damped_to_nothing(monkeypatch):
    instance = phase.draw_instance(0.5, 0.0, 4.6, 300, 1)
    found = phase.gamp(instance, max_steps=400, seed=1)
    assert not found.converged
    assert found.q > 0.3  # it knows something, whichever the sign
    monkeypatch.setattr(_gamp, "DAMPING", ((0, 0.5),))
    damped = phase.gamp(instance, max_steps=400, seed=1)
    assert damped.converged
    assert damped.q < 0.01
