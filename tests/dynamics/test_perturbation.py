"""Steps along singular directions, against plain runs of the network and closed forms."""

import math

import numpy as np
import pytest
import torch
from torch import nn

import nakami
from nakami import dynamics
from nakami.results import UsageError, UsageTypeError


def small(seed=0):
    torch.manual_seed(seed)
    layers = nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 5), nn.Tanh(), nn.Linear(5, 3)
    return nn.Sequential(*layers).requires_grad_(False)


def examples(n=3, seed=1):
    return torch.randn(n, 6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture(scope="module")
def tried():
    model, x = small().double(), examples()
    run = nakami.xray(model, x, stages=["1", "3", "output"])
    return model, x, run, dynamics.perturbation(model, x, run, each=1)


def test_changes_are_those_of_plain_runs(tried):
    model, x, run, found = tried
    assert found.groups == ("top", "middle", "bottom", *["random"] * 4)
    assert found.stages == ("1", "3", "output")
    with pytest.raises(UsageError, match="stage '2' is unknown; nearest"):
        found.change("top", "2")
    parts = [model[:2], model[:4], model]
    for i in range(len(x)):
        spectrum = run.at("output")[i]
        dense = [torch.autograd.functional.jacobian(part, x[i]) for part in parts]
        step = float(x[i].norm())
        assert found.arrays["step"][i] == pytest.approx(step)
        for d, number in enumerate(found.arrays["index"][i][:3]):
            v = torch.linalg.svd(dense[2])[2][number]
            assert abs(v @ torch.from_numpy(spectrum.right[d]).double()) > 1 - 1e-6
            for s, part in enumerate(parts):
                gain = float((dense[s] @ v).norm())
                assert found.arrays["gain"][i, s, d] == pytest.approx(gain, rel=1e-5)
                for at, length in enumerate(found.lengths):
                    moved = [part(x[i] + sign * length * step * v) - part(x[i]) for sign in (1, -1)]
                    wanted = float(sum(gap.norm() for gap in moved) / 2)
                    got = found.arrays["change"][i, s, d, at]
                    assert got == pytest.approx(wanted, rel=1e-4)
    assert found.arrays["gain"][:, 2, 0].min() > found.arrays["gain"][:, 2, 2].max()


def test_small_steps_change_what_the_jacobian_says_and_large_ones_do_not(tried):
    found = tried[3]
    ratios = [one.mean for one in found.ratio("top")]
    assert ratios[0] == pytest.approx(1, abs=1e-3)
    assert abs(ratios[-1] - 1) > 0.05
    radius, lengths = found.arrays["radius"][:, 0], found.lengths
    assert ((radius > lengths[0]) & (radius <= lengths[-1])).all()
    for i, r in enumerate(radius):  # just inside it holds, just outside it does not
        if r < lengths[-1]:
            model, x = tried[0], tried[1][i]
            v = torch.linalg.svd(torch.autograd.functional.jacobian(model, x))[2][0]
            step, gain = float(x.norm()), found.arrays["gain"][i, 2, 0]

            def off(length, model=model, x=x, v=v, step=step, gain=gain):
                moved = [model(x + s * length * step * v) - model(x) for s in (1, -1)]
                return max(abs(float(m.norm()) / (length * step * gain) - 1) for m in moved)

            assert off(r * 0.999) < 0.1 < off(r * 1.03)


def test_a_linear_net_is_predicted_everywhere_and_its_border_is_known():
    torch.manual_seed(0)
    model, x = nn.Linear(6, 3).double().requires_grad_(False), examples(4)
    run = nakami.xray(model, x)
    found = dynamics.perturbation(model, x, run, each=1, random=0)
    assert found.decides
    assert (found.arrays["radius"][:, 0] == 1).all()
    for i in range(4):
        z = model(x[i]).detach()
        v = torch.linalg.svd(model.weight.detach())[2][0]
        slopes, best = model.weight.detach() @ v, int(z.argmax())
        at = [float((z[best] - z[c]) / (slopes[c] - slopes[best])) for c in range(3) if c != best]
        nearest = min(abs(t) for t in at) / float(x[i].norm())
        got = found.arrays["border"][i, 0]
        if nearest > 1:
            assert math.isinf(got)
        else:
            assert nearest <= got <= 1.02 * nearest
    shares = [one.mean for one in found.decided("top")]
    assert shares == sorted(shares)
    assert shares[-1] > 0


def test_ratios_leave_out_what_rounding_hides():
    """Rank 2 of 3: the last direction changes nothing but by rounding."""
    torch.manual_seed(0)
    net, x = nn.Sequential(nn.Linear(4, 2), nn.Tanh(), nn.Linear(2, 3)), torch.eye(4)[:3]
    run = nakami.xray(net, x, stages=["output"])
    found = dynamics.perturbation(net, x, run, [1e-3, 1e-2], each=1, random=0)
    assert all(np.isnan(one.mean) for one in found.ratio("bottom"))
    assert [one.mean for one in found.ratio("top")] == pytest.approx([1, 1], rel=1e-2)
    assert [one.n for one in found.ratio("top")] == [3, 3]
    size = found.arrays["step"] * found.arrays["gain"][:, 0, 0]
    told = [one.mean for one in found.predicted("top")]
    assert told == pytest.approx([1e-3 * size.mean(), 1e-2 * size.mean()])


def test_lengths_in_deviations_are_steps_of_the_root_mean_square():
    model, x = small().double(), examples()
    run = nakami.xray(model, x, stages=["output"], k=2)
    found = dynamics.perturbation(model, x, run, [0.1], unit="sd", random=1)
    wanted = x.std(1) * math.sqrt(6)
    np.testing.assert_allclose(found.arrays["step"], wanted, rtol=1e-12)
    assert found.groups == ("top", "bottom", "random")  # of two values none is in the middle


def test_pieces_are_kept_in_the_runs_folder_and_read_back(tmp_path):
    model, x = small().double(), examples()
    run = nakami.xray(model, x, stages=["output"], out=tmp_path)
    first = dynamics.perturbation(model, x, run)
    calls = []
    again = dynamics.perturbation(model, x, run, progress=lambda *said: calls.append(said))
    assert calls == []
    loaded, plain = nakami.load(tmp_path), nakami.xray(model, x, stages=["output"])
    in_memory = dynamics.perturbation(model, x, plain)
    assert all(first.arrays[name].shape == array.shape for name, array in in_memory.arrays.items())
    assert first.rows() == in_memory.rows()
    for other in (again, loaded.experiments["perturbation"]):
        assert other.settings == first.settings
        assert all((other.arrays[name] == first.arrays[name]).all() for name in first.arrays)
    assert loaded.including(first).experiments["perturbation"] is first
    with pytest.raises(UsageError, match=r"unit must be as in the perturbation that .* holds, 'no"):
        dynamics.perturbation(model, x, run, unit="sd")


def test_measuring_leaves_no_trace_and_repeats():
    model, x = small().double().train(), examples()
    before = [p.detach().clone() for p in model.parameters()]
    run = nakami.xray(model, x, stages=["output"])
    state = torch.get_rng_state()
    first, second = (dynamics.perturbation(model, x, run, seed=s) for s in (3, 3))
    assert torch.equal(torch.get_rng_state(), state)
    assert model.training
    assert all(map(torch.equal, before, model.parameters()))
    assert (first.arrays["change"] == second.arrays["change"]).all()
    other = dynamics.perturbation(model, x, run, seed=4)
    assert (first.arrays["change"][:, :, -1] != other.arrays["change"][:, :, -1]).any()


def test_bad_input_is_refused_in_a_sentence():
    model, x = small().double(), examples()
    run = nakami.xray(model, x, stages=["output"])
    for settings, said in (
        ({"lengths": [0.1, 0.1]}, r"lengths must be numbers above 0 that rise, got \[0.1, 0.1\]"),
        ({"lengths": []}, "lengths must be numbers above 0 that rise"),
        ({"unit": "pixels"}, "unit must be"),
        ({"each": 0}, "each must be"),
        ({"random": -1}, "random must be"),
        ({"stage": "outptu"}, "output"),
    ):
        with pytest.raises(UsageError, match=said):
            dynamics.perturbation(model, x, run, **settings)
    with pytest.raises(UsageError, match="inputs must be those of the x-ray, got others"):
        dynamics.perturbation(model, x + 1, run)
    with pytest.raises(UsageError, match="model must have the weights of the x-ray, got others"):
        dynamics.perturbation(small(5).double(), x, run)
    with pytest.raises(UsageTypeError, match="run must be an Xray, got NoneType"):
        dynamics.perturbation(model, x, None)
    zeros = torch.zeros(1, 6, dtype=torch.float64)
    with pytest.raises(UsageError, match="inputs must have a norm above 0, got input 0"):
        dynamics.perturbation(model, zeros, nakami.xray(model, zeros, stages=["output"]))
