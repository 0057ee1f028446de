"""Units over a training against the experiment of single networks, and jumps made by hand."""

import numpy as np
import pytest
import torch
from torch import nn

import nakami
from nakami import dynamics, report
from nakami.results import UsageError
from nakami.results._trained import training_report
from nakami.training import Supervised, Training


def net(seed):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 3, 2))


def pictures():
    return torch.randn(5, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def test_each_time_is_the_experiment_of_that_network():
    x, nets = pictures(), [net(0), net(1)]
    states = {epoch: one.state_dict() for epoch, one in enumerate(nets)}
    model = net(2)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    found = dynamics.feature_evolution(model, x, states, "3", units=[2, 0])
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])
    for t, one in enumerate(nets):
        alone = dynamics.units(one, x, nakami.xray(one, x, stages=["3"]), units=[2, 0])
        for u, unit in enumerate((2, 0)):
            best = alone.best(unit, 1)[0]
            assert found.best[t, u] == best
            for name in ("exact", "deconvolved"):
                here = getattr(found, name)[t, u]
                np.testing.assert_allclose(here, alone.arrays[name][best, u], atol=1e-6)
            jacobian = torch.autograd.functional.jacobian(one, x[best : best + 1]).reshape(-1, 64)
            _, s, v = torch.linalg.svd(jacobian)
            assert found.value[t, u] == pytest.approx(float(s[0]), rel=1e-4)
            assert abs(float(v[0] @ torch.tensor(found.singular[t, u]))) > 0.999
    assert (found.jumps == (found.best[1] != found.best[0])).all()
    assert found.alike.shape == (1, 2)
    assert len(found.rows()) == 4


def test_the_same_weights_twice_do_not_jump_and_pictures_are_drawn():
    one = net(0)
    found = dynamics.feature_evolution(
        one, pictures(), {"a": one.state_dict(), "b": one.state_dict()}, "3"
    )
    assert not found.jumps.any()
    np.testing.assert_allclose(found.alike, 1, rtol=1e-5)
    drawn = found.pictures()
    assert [p.rows for p in drawn] == [("a", "b")] * 3
    assert drawn[0].images.shape == (2, 3, 1, 8, 8)
    assert "3 units of 3, a to b" in repr(found)
    (one,) = found.pictures("deconvolved")
    np.testing.assert_array_equal(one.images, drawn[1].images)
    with pytest.raises(UsageError, match="names"):
        found.pictures("deconv")


def test_snapshots_of_a_training_are_read_from_its_folder(tmp_path):
    one, x = net(0), pictures()
    training = Training(tmp_path, {"seed": 0}, epochs={"all": 2})
    sgd = torch.optim.SGD(one.parameters(), 0.1)
    method = Supervised(one, sgd, lambda out, y: (out.mean((1, 2, 3)) - y).square().mean())
    training.run("all", method, lambda: (x, torch.ones(5)), snapshots={1: "early"})
    files = {
        epoch: tmp_path / "pieces" / name / "arrays.safetensors"
        for epoch, name in {1: "early", 2: "all"}.items()
    }
    found = dynamics.feature_evolution(net(3), x, files, "3", units=[0])
    assert found.times == ("1", "2")
    assert found.activation[0] != found.activation[1]
    training.keep_pictures(found.pictures)
    training.finish()
    shown = training_report(nakami.load(tmp_path))
    page = report.write(shown, tmp_path / "page.html").read_text("utf-8")
    assert "Rows of the Jacobian over training" in page


def test_wrong_use():
    one, x = net(0), pictures()
    for snapshots, got in (({}, "none"), ([one.state_dict()], "list")):
        with pytest.raises(UsageError, match=f"snapshots must hold weights by the name .* {got};"):
            dynamics.feature_evolution(one, x, snapshots, "3")
    with pytest.raises(UsageError, match="units must be numbers from 0 to 2, got 5"):
        dynamics.feature_evolution(one, x, {0: one.state_dict()}, "3", units=5)
    with pytest.raises(UsageError, match="inputs must be a tensor, got dict"):
        dynamics.feature_evolution(one, {"x": x}, {0: one.state_dict()}, "3")
    with pytest.raises(UsageError, match="units must be numbers from 0 to 2"):
        dynamics.feature_evolution(one, x, {0: one.state_dict()}, "3", units=[3])
    other = nn.Conv2d(1, 4, 3).state_dict()
    with pytest.raises(
        UsageError, match=r"weights in snapshots\['b'\] must have the model's names"
    ):
        dynamics.feature_evolution(one, x, {"a": one.state_dict(), "b": other}, "3")
    wide = {k: v.repeat(2, *[1] * (v.ndim - 1)) for k, v in one.state_dict().items()}
    with pytest.raises(UsageError, match=r"weights in snapshots\[0\] must have the model's shapes"):
        dynamics.feature_evolution(one, x, {0: wide}, "3")
    with pytest.raises(UsageError, match="stage '9' is unknown"):
        dynamics.feature_evolution(one, x, {0: one.state_dict()}, "9")
