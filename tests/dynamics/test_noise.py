"""Noise on the inputs, against dense spectra, closed forms and simulations."""

import dataclasses

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

import nakami
from nakami import dynamics
from nakami.results import UsageError


class Pointwise(nn.Module):
    """A function of each number, so that singular values are sizes of its derivative."""

    def __init__(self, function):
        super().__init__()
        self.layer, self.function = nn.Identity(), function

    def forward(self, x):
        return self.layer(self.function(x))


def examples(n=8, size=40, seed=1):
    return torch.randn(n, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def small():
    torch.manual_seed(0)
    layers = nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 5), nn.Tanh(), nn.Linear(5, 3)
    return nn.Sequential(*layers).double().requires_grad_(False)


@pytest.fixture(scope="module")
def tried():
    model, x = small(), examples(4, 6)
    run = nakami.xray(model, x)
    labels = [int(model(one).argmax()) for one in x]
    labels[0] = (labels[0] + 1) % 3
    return model, x, run, dynamics.noise(model, x, run, {"gaussian": [0.5, 3]},
                                         labels=labels, repeats=2), labels  # fmt: skip


def test_spectra_and_decisions_are_those_of_the_noisy_inputs(tried):
    model, x, run, found, labels = tried
    assert found.stages == (run.names[0], run.names[-1]) == ("1", "4")
    assert found.conditions == (("gaussian", 0.5), ("gaussian", 3.0))
    right = np.zeros((4, 2, 2))
    for i, c, r in np.ndindex(4, 2, 2):
        seed = int(found.arrays["seed"][i, c, r])
        drawn = torch.randn(1, 6, generator=torch.Generator().manual_seed(seed),
                            dtype=torch.float64)[0]  # fmt: skip
        noisy = x[i] + (0.5, 3)[c] * x[i].std() * drawn
        for s, part in enumerate((model[:2], model)):
            dense = torch.autograd.functional.jacobian(part, noisy)
            wanted = torch.linalg.svdvals(dense)
            got = found.arrays["values"][i, c, r, s]
            np.testing.assert_allclose(got[: len(wanted)], wanted, rtol=1e-4)
            assert np.isnan(got[len(wanted) :]).all()
        size = float((noisy - x[i]).norm() / (x[i].std() * 6**0.5))
        assert found.arrays["size"][i, c, r] == pytest.approx(size)
        right[i, c, r] = int(model(noisy).argmax()) == labels[i]
    assert [a.mean for a in found.accuracy("gaussian")] == right.mean((0, 2)).tolist()
    assert found.clean_accuracy.mean == 0.75
    interval = stats.binomtest(3, 4).proportion_ci(0.95, "wilson")
    assert found.clean_accuracy.low == pytest.approx(interval.low)
    assert found.rows()[0]["accuracy_high"] == found.accuracy("gaussian")[0].high
    assert len(np.unique(found.arrays["seed"])) == 16


def test_changes_are_paired_with_the_run(tried):
    _, _, run, found, _ = tried
    np.testing.assert_array_equal(found.arrays["clean"][:, 1, :3], run.values("4"))
    for quantity, of in (
        ("mean", lambda v: v.mean(-1)),
        ("largest", lambda v: v.max(-1)),
        ("log_mean", lambda v: np.log(v).mean(-1)),
    ):
        change = found.change("gaussian", 3, quantity=quantity)
        noisy = of(found.arrays["values"][:, 1, :, 1, :3]).mean(1)
        wanted = noisy - of(run.values("4"))
        assert change.mean == pytest.approx(wanted.mean())
        assert change.se == pytest.approx(wanted.std(ddof=1) / 2)


@pytest.mark.parametrize(
    ("function", "slope", "verdict"),
    [
        (torch.tanh, lambda x: 1 - torch.tanh(x) ** 2, "falls"),
        (lambda x: x**2 / 2, torch.abs, "rises"),
        (lambda x: 3 * x, lambda x: 3 + 0 * x, "not distinguishable"),
    ],
)
def test_late_spectra_shrink_or_grow_as_a_simulation_says(function, slope, verdict):
    model, x = Pointwise(function), examples()
    run = nakami.xray(model, x, stages=["layer"])
    found = dynamics.noise(model, x, run, {"gaussian": [2.0]}, k=40, repeats=2)
    change = found.change("gaussian", 2)
    assert change.verdict == verdict
    drawn = torch.randn(4000, *x.shape, generator=torch.Generator().manual_seed(5)).double()
    wanted = slope(x + 2 * x.std(1, keepdim=True) * drawn).mean((0, 2)) - slope(x).mean(1)
    assert change.mean == pytest.approx(float(wanted.mean()), abs=4 * change.se + 1e-9)
    assert found.as_dict()["gaussian_verdict"] == verdict


def test_sizes_are_those_of_the_kinds():
    model, n = nn.Linear(20000, 2).requires_grad_(False), 20000
    x = 1 + torch.rand(2, n, generator=torch.Generator().manual_seed(0))
    run = nakami.xray(model, x)
    both = {"gaussian": [0.3], "gaussian-absolute": [0.3], "salt-and-pepper": [0.2],
            "uniform": [0.2]}  # fmt: skip
    found = dynamics.noise(model, x, run, both, k=1)
    third, twelfth = 1 / 3, 1 / 12  # E (x - low)^2, and the variance
    wanted = {"gaussian": 0.3**2, "gaussian-absolute": 0.3**2 / twelfth,
              "salt-and-pepper": 0.2 * third / twelfth, "uniform": 0.2 * 2}  # fmt: skip
    for kind, square in wanted.items():
        sizes = found.arrays["size"][:, found.kinds.index(kind), 0]
        np.testing.assert_allclose(sizes**2, square, rtol=0.06)


def test_salt_and_pepper_reach_the_ends_of_each_channel():
    class Largest(nn.Module):
        def forward(self, x):
            return torch.cat([x.amax((2, 3)), -x.amin((2, 3))], 1) ** 2 / 2

    x = torch.rand(3, 2, 6, 6, dtype=torch.float64) * torch.tensor([1.0, 10.0])[:, None, None]
    run = nakami.xray(Largest(), x, stages=["output"])
    found = dynamics.noise(Largest(), x, run, {"salt-and-pepper": [1.0]})
    ends = x.amax((0, 2, 3)).tolist()
    values = found.arrays["values"][:, 0, 0, 0, :2]  # of the two channels, the wider first
    for end, found_values in zip(sorted(ends, reverse=True), values.T, strict=True):
        ties = (end / found_values) ** 2  # those who share the maximum share its slope
        np.testing.assert_allclose(ties, ties.round(), rtol=1e-4)
        assert (ties > 5).all()
        assert (ties < 31).all()


def test_a_value_that_falls_to_zero_counts_down_to_the_floor():
    model, x = Pointwise(torch.relu), examples().abs() + 0.1
    run = nakami.xray(model, x, stages=["layer"])
    found = dynamics.noise(model, x, run, {"gaussian": [1.0]}, k=40)
    dead = (found.arrays["values"][:, 0, 0, 0] < 1e-9).mean(1)
    assert (dead > 0).all()
    change = found.change("gaussian", 1, quantity="log_mean")
    np.testing.assert_allclose(change.before, 0, atol=1e-9)
    np.testing.assert_allclose(change.after, dead * np.log(found.arrays["floor"][:, 0, 0, 0]))


def test_pieces_labels_of_the_run_and_several_parts(tmp_path):
    class Sum(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.table = nn.Linear(4, 3), nn.Linear(2, 3), nn.Embedding(5, 3)

        def forward(self, x, y, tokens):
            return self.a(x) + self.b(y) + self.table(tokens).mean(1)

    torch.manual_seed(0)
    model = Sum().requires_grad_(False)
    inputs = torch.randn(3, 4), torch.randn(3, 2), torch.randint(5, (3, 6))
    run = nakami.xray(model, inputs, out=tmp_path, stages=["output"], about={"labels": [0, 1, 9]})
    first = dynamics.noise(model, inputs, run, {"uniform": [0.5]})
    assert first.labels is None  # 9 is no entry of the output
    calls = []
    again = dynamics.noise(model, inputs, run, {"uniform": [0.5]},
                           progress=lambda *said: calls.append(said))  # fmt: skip
    assert calls == []
    loaded = nakami.load(tmp_path).experiments["noise"]
    for other in (again, loaded):
        assert all(np.array_equal(other.arrays[n], first.arrays[n], equal_nan=True)
                   for n in first.arrays)  # fmt: skip
    assert (first.arrays["size"] > 0).all()
    with pytest.raises(UsageError, match=r"repeats must be as in the noise that .* holds, 1"):
        dynamics.noise(model, inputs, run, {"uniform": [0.5]}, repeats=2)


def test_embeddings_of_tokens_get_the_noise():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Embedding(5, 4), nn.Flatten(), nn.Linear(12, 6), nn.Tanh(),
                          nn.Linear(6, 3)).double().requires_grad_(False)  # fmt: skip
    tokens = torch.randint(5, (2, 3))
    found = dynamics.noise(model, tokens, nakami.xray(model, tokens), {"gaussian": [1.0]})
    for i, x in enumerate(model[:2](tokens)):
        seed = int(found.arrays["seed"][i, 0, 0])
        drawn = torch.randn(12, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        noisy = x + x.std() * drawn
        dense = torch.autograd.functional.jacobian(model[2:], noisy[None])[0, :, 0]
        got = found.arrays["values"][i, 0, 0, -1, :3]
        np.testing.assert_allclose(got, torch.linalg.svdvals(dense), rtol=1e-4)
        assert found.arrays["decision"][i, 0, 0] == int(model[2:](noisy[None]).argmax())


def test_of_an_unfinished_run_the_inputs_that_were_read_are_tried(tried):
    model, x, run = tried[:3]
    part = dataclasses.replace(run, spectra=run.spectra[:-1])
    assert dynamics.noise(model, x, part, {"gaussian": [1]}).inputs == (0, 1, 2)
    none = dataclasses.replace(run, spectra=run.spectra[:4])
    with pytest.raises(UsageError, match="run must hold spectra at every stage, got an unfinished"):
        dynamics.noise(model, x, none)


def test_measuring_leaves_no_trace_and_repeats(tried):
    model, x, run, found, _ = tried
    model.train()
    state = torch.get_rng_state()
    again = dynamics.noise(model, x, run, {"gaussian": [3]}, repeats=2)
    assert torch.equal(torch.get_rng_state(), state)
    assert model.training
    np.testing.assert_array_equal(again.arrays["values"][:, 0], found.arrays["values"][:, 1])
    other = dynamics.noise(model, x, run, {"gaussian": [3]}, seed=1)
    assert (other.arrays["values"][:, 0, 0, 0] != found.arrays["values"][:, 1, 0, 0]).all()


def test_bad_input_is_refused_in_a_sentence(tried):
    model, x, run = tried[:3]
    for settings, said in (
        ({"levels": [0.1]}, r"levels must be a mapping from kinds to levels, got \[0.1\]"),
        ({"levels": {"pink": [1]}}, "kind 'pink' is unknown"),
        ({"levels": {"uniform": [0.1, 2]}}, r"hold numbers above 0 up to 1, rising, for 'uniform'"),
        ({"levels": {"gaussian": [1, 0.5]}}, "hold numbers above 0 that are finite, rising"),
        ({"labels": [0, 1]}, "labels must be one whole number for each of 4 inputs"),
        ({"labels": [0, 1, 2, 3]}, "labels must be entries of the network's output, which has 3"),
        ({"stages": ["3", "nine"]}, "stage 'nine' is unknown"),
        ({"stages": []}, "stages must name at least one stage"),
        ({"k": 9}, r"k must be a whole number from 1 to 6 \(those of the run\)"),
        ({"repeats": 0}, "repeats must be a whole number from 1 on"),
    ):
        with pytest.raises(UsageError, match=said):
            dynamics.noise(model, x, run, **settings)
    zeros = torch.zeros(1, 6, dtype=torch.float64)
    with pytest.raises(UsageError, match=r"inputs must have numbers with an sd above 0, got inp"):
        dynamics.noise(model, zeros, nakami.xray(model, zeros))
    found = tried[3]
    with pytest.raises(UsageError, match=r"level must be one of 0.5, 3.0, got 1"):
        found.change("gaussian", 1)
    with pytest.raises(UsageError, match="quantity 'median' is unknown"):
        found.change("gaussian", 3, quantity="median")
