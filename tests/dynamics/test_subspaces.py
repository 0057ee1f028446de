"""Leading subspaces, against dense SVDs, closed forms of linear nets, and simulations."""

import numpy as np
import pytest
import torch
from scipy.linalg import subspace_angles
from torch import nn

import nakami
from nakami import dynamics
from nakami.results import UsageError, UsageTypeError


class Gated(nn.Module):
    """One linear map where the first number is positive, another where it is not."""

    def __init__(self, a, b):
        super().__init__()
        self.a, self.b = nn.Parameter(a), nn.Parameter(b)

    def forward(self, x):
        return torch.where(x[:, :1] > 0, x @ self.a.T, x @ self.b.T)


def drawn(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def small(seed=0):
    torch.manual_seed(seed)
    layers = nn.Linear(9, 12), nn.Tanh(), nn.Linear(12, 7), nn.Tanh(), nn.Linear(7, 3)
    return nn.Sequential(*layers).double().requires_grad_(False)


def leading(part, x, r):
    """Right singular vectors by LAPACK, (n, r)."""
    return torch.linalg.svd(torch.autograd.functional.jacobian(part, x))[2][:r].T.numpy()


@pytest.fixture(scope="module")
def tried():
    model, x = small(), drawn(5, 9)
    run = nakami.xray(model, x, stages=["1", "3", "output"])
    return model, x, run, dynamics.subspaces(model, x, run, 3)


def test_subspaces_and_angles_are_those_of_dense_matrices(tried):
    model, x, _, found = tried
    parts = {"1": model[:2], "3": model[:4], "output": model}
    angles = found.angles("1", "output")
    for i, one in enumerate(x):
        dense = {name: leading(part, one, 3) for name, part in parts.items()}
        for name, wanted in dense.items():
            off = np.sin(subspace_angles(found.basis(name, i).T, wanted).max())
            s = found.stages.index(name)
            assert off <= found.arrays["doubt"][i, s] + 1e-6
            assert off < 1e-4
        np.testing.assert_allclose(
            angles[i], subspace_angles(dense["1"], dense["output"])[::-1], atol=1e-4
        )
        values = torch.linalg.svdvals(torch.autograd.functional.jacobian(parts["1"], one))
        np.testing.assert_allclose(found.arrays["values"][i, 0], values[:4], rtol=1e-5)
    overlaps = (np.cos(angles) ** 2).mean(1)
    assert found.overlap("1", "output").mean == pytest.approx(overlaps.mean(), abs=1e-5)
    assert found.overlap("1", "1").mean == pytest.approx(1, abs=1e-6)
    assert np.isnan(found.arrays["values"][:, 2, 3]).all()  # the output has no fourth value
    assert found.chance("1") == pytest.approx(3 / 9)


def test_pairs_of_inputs_are_those_of_dense_matrices(tried):
    model, x, run, decided = tried
    assert decided.classes == tuple(model(x).argmax(1).tolist())
    classes = [0, 0, 1, 1, 0]
    found = dynamics.subspaces(model, x, run, 3, labels=classes)
    assert found.classes == tuple(classes)
    bases = [leading(model, one, 3) for one in x]
    overlaps, shares = {}, {}
    for i in range(5):
        for j in range(i):
            overlaps[i, j] = (np.cos(subspace_angles(bases[i], bases[j])) ** 2).mean()
            d = (x[i] - x[j]).numpy()
            each = [np.sum((b.T @ d) ** 2) / np.sum(d**2) for b in (bases[i], bases[j])]
            shares[i, j] = np.mean(each)
    for pairs, read in ((overlaps, found.between("output")), (shares, found.kept("output"))):
        for alike, group in ((True, read.same), (False, read.different)):
            here = [p for p in pairs if (classes[p[0]] == classes[p[1]]) == alike]
            assert group.pairs == len(here)
            assert group.mean == pytest.approx(np.mean([pairs[p] for p in here]), abs=1e-5)
            without = [np.mean([pairs[p] for p in here if k not in p]) for k in range(5)]
            jackknife = np.sqrt(4 / 5 * np.sum((without - np.mean(without)) ** 2))
            assert group.se == pytest.approx(jackknife, abs=1e-5)


def test_classes_with_maps_of_their_own_are_told_apart_and_one_map_is_not():
    a, b = drawn(4, 12, seed=2), drawn(4, 12, seed=3)
    x = drawn(10, 12)
    labels = (x[:, 0] > 0).int()
    verdicts = []
    for other in (b, a):
        model = Gated(a, other).requires_grad_(False)
        found = dynamics.subspaces(model, x, nakami.xray(model, x), 4, labels=labels)
        between = found.between("output")
        assert between.same.mean == pytest.approx(1, abs=1e-6)
        wanted = (np.cos(subspace_angles(a.T.numpy(), other.T.numpy())) ** 2).mean()
        assert between.different.mean == pytest.approx(wanted, abs=1e-5)
        verdicts.append(between.verdict)
    assert verdicts == ["higher", "not distinguishable"]


def test_differences_lie_in_random_subspaces_as_often_as_chance_has_it():
    x = drawn(12, 200, seed=4)
    torch.manual_seed(0)
    model = nn.Linear(200, 20).double().requires_grad_(False)
    found = dynamics.subspaces(model, x, nakami.xray(model, x), 20, labels=[0, 1] * 6)
    kept = found.kept("output")
    one = 0.1 * (2 / 20) ** 0.5  # sd of the share of one difference
    for group in (kept.same, kept.different):
        assert abs(group.mean - kept.chance) < 4 * one / 12**0.5
        assert 0.4 < group.se / (one / 12**0.5) < 2.5
    assert kept.verdict == "not distinguishable"
    inside = x @ model.weight.T @ torch.linalg.pinv(model.weight).T  # nothing else differs
    found = dynamics.subspaces(model, inside, nakami.xray(model, inside), 20, labels=[0, 1] * 6)
    assert found.kept("output").same.mean == pytest.approx(1, abs=1e-6)


def test_exponents_of_scaled_rotations_are_the_logarithm_of_the_scale():
    torch.manual_seed(0)
    layers = [nn.utils.parametrizations.orthogonal(nn.Linear(6, 6, bias=False)) for _ in range(3)]
    weights = [0.7 * layer.weight.detach() for layer in layers]
    model = nn.Sequential(*(nn.Linear(6, 6, bias=False) for _ in weights)).requires_grad_(False)
    for layer, weight in zip(model, weights, strict=True):
        layer.weight.copy_(weight)
    model, x = model.double(), drawn(2, 6)
    found = dynamics.subspaces(model, x, nakami.xray(model, x, stages=["0", "2"]), 3)
    assert found.depths == (1, 3)
    for stage in found.stages:
        assert [e.mean for e in found.exponents(stage)] == pytest.approx([np.log(0.7)] * 3)
    assert (found.arrays["doubt"] > 0).all()  # equal values: no gap ends the subspace


def test_another_checkpoint_lies_at_the_angle_of_its_rotation(tried):
    model, x, run, found = tried
    other = small(1)
    theirs = dynamics.subspaces(other, x, nakami.xray(other, x, stages=["3", "output"]), 3)
    angles = found.against(theirs)
    assert list(angles) == ["3", "output"]
    for i, one in enumerate(x):
        wanted = subspace_angles(leading(model, one, 3), leading(other, one, 3))[::-1]
        np.testing.assert_allclose(angles["output"][i], wanted, atol=1e-4)
    assert max(map(np.max, found.against(found).values())) < 1e-3
    moved = dynamics.subspaces(model, x + 1, nakami.xray(model, x + 1), 3)
    with pytest.raises(UsageError, match="other must have the inputs_sha256 of this one"):
        found.against(moved)
    with pytest.raises(UsageTypeError, match="other must be Subspaces, got Xray"):
        found.against(run)
    elsewhere = dynamics.subspaces(model, x, run, 3, stages=["1"])
    with pytest.raises(UsageError, match="other must share a stage with 1, got 3, output"):
        elsewhere.against(theirs)


def test_pieces_are_kept_and_dead_inputs_leave_an_empty_subspace(tmp_path):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 2)).double()
    model.requires_grad_(False)
    model[0].bias.zero_()
    x = drawn(3, 6)
    x[1] = torch.linalg.lstsq(model[0].weight, -torch.ones(4, 1).double()).solution[:, 0]
    run = nakami.xray(model, x, out=tmp_path)
    first = dynamics.subspaces(model, x, run)
    assert first.arrays["rank"][1].max() == 0
    assert first.exponents(first.stages[-1]) == []
    assert np.isnan(first.angles(*first.stages)[1]).all()
    calls = []
    again = dynamics.subspaces(model, x, run, progress=lambda *said: calls.append(said))
    assert calls == []
    for other in (again, nakami.load(tmp_path).experiments["subspaces"]):
        assert all(np.array_equal(other.arrays[n], first.arrays[n], equal_nan=True)
                   for n in first.arrays)  # fmt: skip
    assert len(first.rows()) == len(first.stages)


def test_bad_input_is_refused_in_a_sentence(tried):
    model, x, run, found = tried
    for settings, said in (
        ({"dimension": 10}, r"dimension must be a whole number from 1 to 9 \(the size of the"),
        ({"labels": [0.5] * 5}, "labels must be one whole number for each of 5 inputs"),
        ({"stages": ["2"]}, "stage '2' is unknown"),
        ({"tol": 2}, "tol must lie between 0 and 1"),
    ):
        with pytest.raises(UsageError, match=said):
            dynamics.subspaces(model, x, run, **settings)
    with pytest.raises(UsageError, match="stage '2' is unknown"):
        found.kept("2")
