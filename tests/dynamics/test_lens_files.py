"""Files of published Jacobian lenses: their layout, and what is refused."""

import math

import numpy as np
import pytest
import torch
from torch import nn

import nakami
from nakami.dynamics import load_jacobian_lens, save_jacobian_lens
from nakami.results import UsageError

NAMES = ["layers.0", "layers.1"]


@pytest.fixture(scope="module")
def lenses():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = nn.Module()
        net.layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(3))
        net.side = nn.Linear(4, 3)
        net.forward = lambda x: net.side(
            net.layers[2](net.layers[1](net.layers[0](x).tanh()).tanh())
        )
        x = torch.randn(5, 4)
    found = nakami.lens(net, x, NAMES, "layers.2")
    return {**found, "narrow": nakami.lens(net, x, "layers.0", "side")}


def test_layout_is_the_published_one(lenses, tmp_path):
    path = save_jacobian_lens(tmp_path / "lens.pt", {name: lenses[name] for name in NAMES})
    payload = torch.load(path, weights_only=True)
    assert set(payload) == {"J", "n_prompts", "source_layers", "d_model", "metadata"}
    assert (payload["n_prompts"], payload["source_layers"], payload["d_model"]) == (5, [0, 1], 4)
    assert payload["J"][1].dtype == torch.float16
    np.testing.assert_allclose(payload["J"][1], lenses["layers.1"].mean, atol=1e-3)
    assert payload["metadata"]["target_layer"] == 2
    assert payload["metadata"]["relative_standard_error"]["0"] == lenses["layers.0"].error


def test_lenses_come_back_without_errors(lenses, tmp_path):
    path = save_jacobian_lens(
        tmp_path / "lens.pt", {name: lenses[name] for name in NAMES}, torch.float32
    )
    found = load_jacobian_lens(path)
    assert list(found) == [0, 1]
    one, other = found[1], lenses["layers.1"]
    np.testing.assert_allclose(one.mean, other.mean, rtol=1e-6)
    np.testing.assert_allclose(one.values, other.values, rtol=1e-5)
    assert one.identity_share.value == pytest.approx(other.identity_share.value, rel=1e-5)
    assert math.isnan(one.error)
    assert math.isnan(one.identity_share.se)
    assert math.isnan(one.agreement.value)
    assert one.reason == "5 prompts, without a standard error"
    assert list(load_jacobian_lens(path, [1])) == [1]
    assert one.save(tmp_path / "own").exists()


def test_checkpoint_of_a_fit_is_divided_by_its_prompts(tmp_path):
    matrix = torch.diag(torch.tensor([3.0, 1.0]))
    torch.save({"jacobian_sum": {7: 4 * matrix}, "n_done": 4, "next_idx": 4}, tmp_path / "c.pt")
    found = load_jacobian_lens(tmp_path / "c.pt")[7]
    np.testing.assert_array_equal(found.mean, matrix.numpy())
    assert found.n_prompts == 4


def test_wrong_use(lenses, tmp_path):
    both = {name: lenses[name] for name in NAMES}
    with pytest.raises(UsageError, match="lenses must be a Lens or a dict of some"):
        save_jacobian_lens(tmp_path / "a", [])
    with pytest.raises(UsageError, match="lenses must be of different layers, square, and alike"):
        save_jacobian_lens(tmp_path / "a", lenses["narrow"])
    with pytest.raises(UsageError, match="lenses must be of different layers, square, and alike"):
        save_jacobian_lens(tmp_path / "a", {**both, "again": lenses["layers.0"]})
    path = save_jacobian_lens(tmp_path / "lens.pt", both)
    with pytest.raises(UsageError, match=r"layers must be among \[0, 1\], got \[5\]"):
        load_jacobian_lens(path, [5])
    own = lenses["layers.0"].save(tmp_path / "own")
    with pytest.raises(UsageError, match="path must be a jacobian-lens file, got"):
        load_jacobian_lens(own)
    torch.save({"weights": torch.zeros(2)}, tmp_path / "w.pt")
    with pytest.raises(UsageError, match="path must hold matrices 'J'"):
        load_jacobian_lens(tmp_path / "w.pt")
    torch.save({"J": {0: torch.full((2, 2), torch.inf)}, "n_prompts": 1}, tmp_path / "i.pt")
    with pytest.raises(UsageError, match="path must hold finite matrices"):
        load_jacobian_lens(tmp_path / "i.pt")
