"""A network of the caller's own leaves with what made its rows numbers."""

import json

import numpy as np
import pytest

from nakami.cli import main

pytest.importorskip("pyarrow")
TRAINED = "weights-data-t.toml-set-epochs-30"
runtime = pytest.importorskip("onnxruntime")


def test_from_a_table_to_a_file_that_takes_raw_numbers(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    rows = [f"{i % 17 / 3},{i % 5},{'in' if i % 17 > 8 else 'out'}" for i in range(200)]
    (tmp_path / "t.csv").write_text("a,b,class\n" + "\n".join(rows))
    (tmp_path / "leaving_net.py").write_text(
        "from torch import nn\n\n\ndef make():\n"
        "    return nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 2))\n"
    )
    commands = (
        ("data", "inspect", "t.csv"),
        ("train", "leaving_net.py:make", "--data", "t.toml", "--set", "epochs=30", "--no-page"),
        (
            "export",
            f"nakami-out/make/{TRAINED}",
            "--no-int8",
            "--out",
            "left",
        ),
    )
    for command in commands:
        with pytest.raises(SystemExit) as stop:
            main([*command])
        assert stop.value.code == 0, capsys.readouterr().err
    about = json.loads((tmp_path / "left" / "export.json").read_text())
    assert about["agreement"]["relative"] < 1e-5
    session = runtime.InferenceSession(tmp_path / "left" / "model.onnx")
    (given,) = session.get_inputs()
    raw = np.array([[0.0, 1.0], [16 / 3, 2.0]], dtype=np.float64)
    outputs = session.run(None, {given.name: raw})[0]
    assert outputs.argmax(1).tolist() == [1, 0]  # out, in: as the numbers of the table say
