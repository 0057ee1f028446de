"""The scripts on sampling, in small sizes."""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from nakami import sampling

FOLDER = Path(__file__).resolve().parents[2] / "reproductions"


@pytest.fixture(scope="module")
def scripts():
    if not FOLDER.is_dir():
        pytest.skip("the reproductions are not part of this installation")
    path, found = list(sys.path), {}
    for name in ("sampling_detailed_balance", "rbm_log_likelihood"):
        spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
        found[name] = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(found[name])
    yield found
    sys.path[:] = path


def test_exact_gradient_is_that_of_autograd(scripts):
    script = scripts["sampling_detailed_balance"]
    machine, kl = script.trained_machine(0, 3)
    data = script.bars_and_stripes()
    assert data.shape == (14, 9)
    assert 3 < kl < 4  # nearly uniform over 512 states
    v = sampling.states(9, machine.weight)
    parts = [p.clone().requires_grad_() for p in (machine.weight, machine.visible_bias)]
    free = sampling.Machine(*parts, machine.hidden_bias)
    log_p = free.log_weight(data).mean() - free.log_weight(v).logsumexp(0)
    log_p.backward()
    found = script.exact_gradient(machine, data, v)
    for p, q in zip(parts, found, strict=False):
        torch.testing.assert_close(p.grad, q, rtol=1e-10, atol=1e-14)


def test_times_have_the_cost_of_lifting_in_units_of_sweeps(scripts):
    script = scripts["sampling_detailed_balance"]
    found = script.times(script.random_machine(1.5))["times"]
    assert found["lifted on the sum"][0] == pytest.approx(2.64, abs=0.006)
    assert found["lifted on the sum"][1] == pytest.approx(0.90, abs=0.006)
    assert found["random flips, each step"][1] == pytest.approx(1.39, abs=0.006)


def test_circular_fluxes_keep_the_law_and_rates_of_a_chain(scripts, monkeypatch):
    checks = scripts["sampling_detailed_balance"]._sampling_checks
    g = np.random.default_rng(1)
    law, flow = np.full(30, 1 / 30), g.random((30, 30)) + 0.1
    flow = np.triu(flow, 1) + np.triu(flow, 1).T
    turned = checks.fluxes(g, flow)
    np.testing.assert_allclose(turned.sum(1), 0, atol=1e-15)
    np.testing.assert_array_equal(turned, -turned.T)
    assert (np.abs(turned) <= flow + 1e-15).all()
    f = g.standard_normal((30, 2))
    f -= law @ f
    rates = (flow + turned) / law[:, None]
    rates -= np.diag(rates.sum(1))
    solved = np.linalg.lstsq(-rates, f, rcond=None)[0]
    gap, variance, _ = checks.relaxation(flow + turned, law, f)
    np.testing.assert_allclose(variance, 2 * law @ (f * (solved - law @ solved)), rtol=1e-10)
    assert gap == pytest.approx(np.sort(-np.linalg.eigvals(rates).real)[1], rel=1e-10)
    monkeypatch.setattr(checks, "FLUXES", 3)
    found = checks.theorem()
    assert found["least_gap"] > 0 > found["largest_variance"]
    assert abs(found["every"]) < 1e-13


@pytest.mark.parametrize(("gamma", "step"), [(0.0, 0.1), (1.0, 0.05), (0.5, 0.2)])
def test_sums_over_lags_of_langevin_pairs_are_the_closed_forms(scripts, gamma, step):
    checks = scripts["sampling_detailed_balance"]._sampling_checks
    drift, size = 2 * step, 1 + gamma**2
    mu = (1 - drift) + 1j * drift * gamma
    turned, round_ = 1 / (1 - mu**2), 1 / (1 - abs(mu) ** 2)
    wanted = (
        0.5 / (1 - drift * size / 2), 2 / (drift * size) - 1, round_ + turned.real - 1,
        2 * round_ - 1,
    )  # fmt: skip
    assert checks.langevin_exact(gamma, step) == pytest.approx(wanted, rel=1e-10)


def test_the_page_of_results_is_what_the_kept_records_say(scripts):
    script = scripts["sampling_detailed_balance"]
    results = FOLDER / "results" / f"{script.NAME}.json"
    settings = json.loads(results.read_text("utf-8"))["settings"]
    found = list(script.report(script.Kept(results, settings)))
    page = results.with_suffix(".md").read_text("utf-8").split("\n")
    assert found[:-2] == page[:-2]  # but for versions and seconds


def test_a_training_that_was_stopped_goes_on(scripts, tmp_path, monkeypatch):
    script = scripts["rbm_log_likelihood"]
    monkeypatch.setattr(script, "STEPS", 2)
    monkeypatch.setattr(script, "measure", lambda *_: {"epochs": 1})
    digits = torch.randint(0, 2, (150, 784), generator=torch.Generator().manual_seed(0)).float()
    ends = []
    for name, parts in (("whole", (3,)), ("parts", (1, 2))):
        monkeypatch.setattr(script, "OUT", tmp_path / name)
        kept = script.Kept(tmp_path / f"{name}.json", {"epochs": 3})
        for more in parts:
            script.train(kept, digits, digits, more)
        ends.append(script.load_file(script.OUT / "3.safetensors"))
    for name in ("weight", "visible_bias", "hidden_bias", "generator", "epoch"):
        assert torch.equal(ends[0][name], ends[1][name])
