"""Units on a device that refuses what a card refuses; it is compiled, which takes long."""

import sys

import pytest

emulated = pytest.importorskip("benchmarks.gpu.emulated", reason="the benchmarks are not installed")
from benchmarks.gpu import worker  # noqa: E402
from benchmarks.gpu.__main__ import MODULES  # noqa: E402
from benchmarks.gpu.units import Setting  # noqa: E402

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(emulated.compiler() is None, reason="no C++ compiler"),
]
UNITS = (
    *("jacobian/conv/float32", "jacobian/gru/float32", "curvature/mlp/float32", "ladder"),
    *("recurrent/over-time", "optim/kfac/mlp", "transport/float32", "learning-rate/first"),
)


def test_units_pass_on_the_emulated_card(monkeypatch):
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", None, raising=False)
    hands = worker.Worker(MODULES, Setting(emulated.NAME, small=True))
    try:
        hands.start()
        records = {name: hands.ask(name, 120) for name in UNITS}
    finally:
        hands.close()
    assert {n: r["reason"] for n, r in records.items()} == dict.fromkeys(UNITS, "")
    # a GRU's fused step has no rule for forward mode, as on a card: the ladder is climbed
    assert records["jacobian/gru/float32"]["notes"]["route"] == "double reverse"
    assert records["jacobian/conv/float32"]["notes"]["route"] == "linearised"


def test_it_refuses_two_devices(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", None, raising=False)
    (tmp_path / "mixing_units.py").write_text(
        "import torch\nfrom benchmarks.gpu.units import Unit\n"
        "def mixed(setting, found):\n"
        "    torch.ones(3, device=setting.device) + torch.ones(3)\n"
        "def drawn(setting, found):\n"
        "    torch.randn(3, device=setting.device, generator=torch.Generator())\n"
        "UNITS = [Unit('mixed', mixed), Unit('drawn', drawn)]\n"
    )
    hands = worker.Worker(("mixing_units",), Setting(emulated.NAME))
    try:
        hands.start()
        said = [hands.ask(name, 30)["reason"] for name in ("mixed", "drawn")]
    finally:
        hands.close()
    assert "Expected all tensors to be on the same device" in said[0]
    assert "device type for generator but found 'cpu'" in said[1]
