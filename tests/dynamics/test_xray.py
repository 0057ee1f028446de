"""The x-ray against dense Jacobians; killed and continued equals unbroken, bit for bit."""

import json

import numpy as np
import pytest
import torch
from torch import nn

import nakami
from checks import Killed, bytes_of_run
from nakami.dynamics import SpectrumOptions as Options
from nakami.results import NakamiWarning, NotConvergedWarning, UsageError
from networks import Residual, build


def small_net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 10), nn.Sigmoid(), nn.Linear(10, 6), nn.Sigmoid()).double()


class Stopped(nn.Module):
    def forward(self, x):
        return x * x.detach()


def examples(n=3, size=8):
    return torch.randn(n, size, generator=torch.Generator().manual_seed(5), dtype=torch.float64)


def test_values_and_vectors_match_the_dense_jacobian():
    net, x = small_net(), examples()
    run = nakami.xray(net, x)
    assert run.names == ("1", "3")
    for s in run.spectra:
        depth = int(s.stage) + 1
        jac = torch.autograd.functional.jacobian(net[:depth].eval(), x[s.input])
        values = torch.linalg.svdvals(jac).numpy()
        np.testing.assert_allclose(s.values, values, rtol=1e-10)
        gain = np.linalg.norm(jac.numpy() @ s.right.T, axis=0)
        np.testing.assert_allclose(gain, values[s.kept], rtol=1e-5, atol=1e-6)
        assert s.converged
        assert s.complete


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_read(dtype, tmp_path):
    net, x = small_net().to(dtype), examples(1).to(dtype)
    run = nakami.xray(net, x, out=tmp_path)
    exact = nakami.xray(net.double(), x.double())
    for s, e in zip(run.spectra, exact.spectra, strict=True):
        np.testing.assert_allclose(s.values, e.values, rtol=1e-4)
    np.testing.assert_array_equal(nakami.load(tmp_path).inputs, x.float().numpy())


def test_the_comparison_with_dense_can_fail():
    net, x = small_net(), examples()
    jac = torch.autograd.functional.jacobian(net.eval(), x[0])
    wrong = nakami.xray(net, 2 * x, stages="3").spectra[0].values
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        np.testing.assert_allclose(wrong, torch.linalg.svdvals(jac).numpy(), rtol=1e-10)


def test_layers_own_jacobians():
    net, x = small_net(), examples()
    run = nakami.xray(net, x, layers=True)
    own = run.at("3", source=None)
    assert [s.source for s in own] == ["1"] * 3
    hidden = net[:2](x[0]).detach()
    jac = torch.autograd.functional.jacobian(net[2:], hidden)
    np.testing.assert_allclose(own[0].values, torch.linalg.svdvals(jac).numpy(), rtol=1e-10)
    assert len(run.at("3")) == 3


def test_a_wrong_derivative_is_warned_of_once():
    net = nn.Sequential(nn.Linear(8, 6), Stopped(), nn.Tanh(), nn.Linear(6, 5), nn.Tanh()).double()
    with pytest.warns(NakamiWarning, match="J is no derivative") as found:
        nakami.xray(net, examples(), stages=["2", "3", "4"], layers=True)
    assert sum(issubclass(w.category, NakamiWarning) for w in found) == 1


def test_layers_of_a_single_stage_measure_nothing_and_say_so():
    with pytest.warns(NakamiWarning, match=r"layers must come with two .*got '3' alone; no layer"):
        run = nakami.xray(small_net(), examples(1), stages="3", layers=True)
    assert len(run.spectra) == 1


def test_a_finite_step_along_the_first_vector_grows_by_s1():
    net, x = small_net(), examples(1)
    s = nakami.xray(net, x, stages="3").spectra[0]
    net.eval()
    step = 1e-6
    with torch.no_grad():
        moved = net(x + step * torch.as_tensor(s.right[0]).double()) - net(x)
    assert float(moved.norm()) / step == pytest.approx(s.values[0], rel=1e-4)


def test_top_k_and_kept_vectors():
    torch.manual_seed(0)
    net = nn.Linear(60, 50).double()
    run = nakami.xray(net, examples(2, 60), k=20)
    s = run.spectra[0]
    assert s.kept.tolist() == [0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19]
    assert s.right.shape == (12, 60)
    assert not s.complete


def test_killed_and_continued_equals_unbroken(tmp_path):
    net, x = small_net().float(), examples(2).float()

    def run(name, seed=4, **more):
        out = tmp_path / name
        return nakami.xray(net, x, out=out, layers=True, spectrum=Options(seed=seed), **more)

    whole = run("whole")
    killed, seen = iter((1, 4)), []
    after = next(killed)

    def kill(done, total, left, what):
        seen.append(done)
        if done == after:
            raise Killed

    for _ in range(2):
        with pytest.raises(Killed):
            run("broken", progress=kill)
        assert not (tmp_path / "broken" / "result.json").exists()
        part = nakami.load(tmp_path / "broken")
        assert (len(part.spectra), len(part.inputs)) == (after, 2)
        after = next(killed, None)
    run("broken", progress=kill)
    assert seen == list(range(1, len(whole.spectra) + 1))
    assert bytes_of_run(tmp_path / "whole") == bytes_of_run(tmp_path / "broken")
    run("other", seed=5)
    assert bytes_of_run(tmp_path / "whole") != bytes_of_run(tmp_path / "other")


def test_krylov_pieces_do_not_depend_on_the_order(tmp_path):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(1500, 1400), nn.Tanh())
    x = torch.randn(2, 1500, generator=torch.Generator().manual_seed(1))
    run = nakami.xray(net, x, k=4, out=tmp_path / "a")
    assert run.spectra[0].method == "krylov"
    nakami.xray(net, x, k=4, out=tmp_path / "b")
    (tmp_path / "b" / "pieces" / "0000-1" / "result.json").unlink()
    nakami.xray(net, x, k=4, out=tmp_path / "b")
    assert bytes_of_run(tmp_path / "a") == bytes_of_run(tmp_path / "b")


def test_other_weights_or_inputs_are_refused(tmp_path):
    net, x = small_net(), examples()
    nakami.xray(net, x, out=tmp_path)
    with pytest.raises(UsageError, match="inputs must be as in the run"):
        nakami.xray(net, x + 1, out=tmp_path)
    net[0].weight.data += 1
    with pytest.raises(UsageError, match=r"weights must be as in the run"):
        nakami.xray(net, x, out=tmp_path)


def test_in_memory_equals_on_disk(tmp_path):
    net, x = small_net(), examples()
    a, b = nakami.xray(net, x), nakami.xray(net, x, out=tmp_path)
    for s, t in zip(a.spectra, b.spectra, strict=True):
        assert np.array_equal(s.values, t.values)
        assert np.array_equal(s.right, t.right)
    assert np.array_equal(a.inputs, b.inputs)
    assert a.names == b.names


def test_unconverged_spectra_are_marked_and_said(monkeypatch):
    import nakami.dynamics._one_spectrum as module

    real = module.svd
    monkeypatch.setattr(
        module, "svd", lambda *a, **k: real(*a, **k, max_products=1, method="krylov")
    )
    torch.manual_seed(0)
    net = nn.Linear(300, 200).double()
    with pytest.warns(
        NotConvergedWarning, match="1 of 1 spectra did not converge; they are marked"
    ):
        run = nakami.xray(net, torch.ones(1, 300).double(), k=5, spectrum=Options(tol=1e-9))
    assert not run.converged
    assert not run.spectra[0].converged
    assert run.summary()[0].n_converged == 0


def test_settings_are_kept(tmp_path):
    about = {"subject": "s", "labels": [3, 1, 2], "training": "none", "model": {"name": "mine"}}
    net, x = small_net(), examples()
    run = nakami.xray(
        net, x, out=tmp_path, input_unit="volt", about=about, spectrum=Options(seed=9)
    )
    saved = json.loads((tmp_path / "run.json").read_text())
    assert saved == run.settings
    assert (saved["labels"], saved["subject"]) == ([3, 1, 2], "s")
    assert saved["model"]["name"] == "mine"
    assert saved["model"]["parameters"] == 8 * 10 + 10 + 10 * 6 + 6
    assert (saved["seed"], saved["dtype"], saved["input_unit"]) == (9, "float64", "volt")
    assert saved["versions"]["torch"] == torch.__version__.split("+")[0] or "+" in torch.__version__


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"inputs": torch.ones(3, 8, dtype=torch.int64)},
            r"inputs must be floating-point, got torch.int64",
        ),
        (
            {"inputs": torch.ones(8)},
            r"inputs must hold at least one example along axis 0, .* got shape",
        ),
        ({"inputs": [1.0]}, r"inputs must be a torch.Tensor, got list"),
        (
            {"inputs": torch.full((2, 8), torch.inf)},
            r"inputs must be finite, got NaN or infinity in exam",
        ),
        ({"stages": ["hidden"]}, r"stage 'hidden' is unknown"),
        ({"stages": ["input"]}, r"stages must name at least one stage beyond the input"),
        ({"k": 9}, r"k must be a whole number from 1 to 8 \(the largest spectrum here\), got 9"),
        ({"spectrum": Options(tol=2.0)}, r"tol must lie between 0 and 1, got 2.0"),
        (
            {"spectrum": Options(seed=-1)},
            r"seed must be a whole number from 0 to .*, got -1",
        ),
        (
            {"spectrum": Options(memory_budget=100)},
            r"memory_budget must hold the dense 10 x 8 matrix",
        ),
        (
            {"spectrum": Options(memory_budget=0)},
            r"memory_budget must be a whole number of bytes, .* got 0",
        ),
        ({"inputs": examples()[:, :0]}, r"inputs must hold at least one .* not empty, got shape"),
        ({"inputs": examples().to("meta")}, r"inputs must hold numbers, got a tensor on the meta"),
        ({"inputs": examples().to_sparse()}, r"inputs must be dense, got sparse_coo; convert it"),
        ({"stages": ["1", "1"]}, r"stage must name each stage once, got '1' again; leave it out"),
        ({"stages": 3}, r"stage must be the name of a stage, or several, got 3"),
        ({"spectrum": 0}, r"spectrum must be SpectrumOptions, got 0; pass nakami.dynamics"),
        ({"spectrum": 1e-3}, r"spectrum must be SpectrumOptions, got 0.001; pass nakami.dynamics"),
        ({"k": 0}, r"k must be a whole number from 1 to 8 .* got 0"),
    ],
)
def test_wrong_arguments_are_refused_before_work(change, message, tmp_path):
    arguments = {"inputs": examples(), **change}
    with pytest.raises(UsageError, match=message):
        nakami.xray(small_net(), out=tmp_path / "run", **arguments)
    assert not (tmp_path / "run").exists()
    with pytest.raises(UsageError, match=message):
        nakami.dynamics.check(small_net(), **arguments)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"progress": 3}, r"progress must be a function, called as progress\(done, .*, got 3"),
        ({"about": 3}, r"about must be a mapping, got 3; write about="),
    ],
)
def test_what_only_a_run_takes_is_refused_before_work(change, message, tmp_path):
    with pytest.raises(UsageError, match=message):
        nakami.xray(small_net(), examples(), out=tmp_path / "run", **change)
    assert not (tmp_path / "run").exists()


def test_check_gives_the_stages_of_the_xray_and_computes_nothing(monkeypatch):
    net, x = small_net(), examples()
    expected = nakami.xray(net, x).stages
    monkeypatch.setattr("nakami.operators.Jacobian.__init__", lambda *_: pytest.fail("computed"))
    assert nakami.dynamics.check(net, x[:1]) == expected
    assert [s.name for s in nakami.dynamics.check(net, x, ["3"], k=6)] == ["input", "3"]


@pytest.mark.parametrize("k", [None, 5])
def test_check_knows_the_memory_that_the_engine_needs(k):
    torch.manual_seed(0)
    net, x = nn.Linear(120, 90), torch.ones(1, 120)
    for budget, fits in ((1_000, False), (2**24, True)):
        for f in (nakami.dynamics.check, nakami.xray):
            if fits:
                f(net, x, k=k, spectrum=Options(memory_budget=budget))
            else:
                with pytest.raises(UsageError, match="memory_budget must hold"):
                    f(net, x, k=k, spectrum=Options(memory_budget=budget))


def test_layers_need_cuts():
    net = Residual().double()
    with pytest.raises(UsageError, match="start must be a cut, got 'inner'"):
        nakami.xray(net, examples(1, 6), stages=["inner", "leave"], layers=True)
    with pytest.raises(UsageError, match="start must be a cut, got 'inner'"):
        nakami.dynamics.check(net, examples(1, 6), ["inner", "leave"], layers=True)


def test_images_and_functions():
    net, x = build("tutorial cnn")
    run = nakami.xray(net, x)
    assert run.names == ("conv1.relu", "bn.relu", "fc1.tanh", "fc2")
    assert run.inputs.shape == (1, 1, 14, 14)


@pytest.mark.parametrize("k", [np.int64(2), torch.tensor(2)])
def test_whole_numbers_of_any_library_count_values(k):
    net = torch.nn.Linear(4, 3)
    run = nakami.xray(net, torch.ones(1, 4), stages=["output"], k=k)
    assert run.spectra[0].values.shape == (2,)
    assert type(run.settings["k"]) is int


def test_what_is_not_computed_is_estimated_next_to_the_dense_truth():
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 6, 3),
        nn.ReLU(),
        nn.Conv2d(6, 4, 3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(256, 3),
    )
    for layer in (net[0], net[2]):
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    x = torch.randn(1, 1, 12, 12, generator=torch.Generator().manual_seed(1))
    whole, cut = nakami.xray(net, x), nakami.xray(net, x, k=6)
    for s, true in zip(cut.spectra, whole.spectra, strict=True):
        assert true.remainder is None
        if s.complete:
            assert s.remainder is None
            continue
        for part, of in (("count", "count_above_one"), ("effective_rank", "effective_rank")):
            low, high = getattr(s, f"{part}_interval")
            assert low <= getattr(true, of) <= high
            assert high < min(s.shape)
        assert s.remainder.size == min(s.shape) - 6
    row = cut.summary()[1]
    assert not row.count.lower_bound
    assert row.count.interval is not None
