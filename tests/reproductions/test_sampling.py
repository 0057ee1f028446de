"""The scripts on sampling, in small sizes."""

import importlib.util
import sys
from pathlib import Path

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
