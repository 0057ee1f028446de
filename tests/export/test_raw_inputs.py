"""Preparation in the file: rows as they stand in the user's files go in."""

import json
import wave

import numpy as np
import pytest
import torch
from torch import nn

from nakami import data
from nakami.data import Examples
from nakami.export import Source, export
from nakami.export._raw import raw_of

onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

SCHEMA = """
path = "rows.csv"
[split]
test = 0.3
[columns.time]
type = "number"
vector = "standardise"
[columns.place]
type = "category"
vector = "one-hot"
[columns.heat]
type = "number"
vector = "unit"
[columns.raw]
type = "number"
vector = "as stored"
[columns.state]
type = "category"
use = "target"
vector = "classes"
"""


@pytest.fixture
def table(tmp_path):
    """Times as seconds of an epoch, which float32 would round to steps of 128."""
    gen = np.random.default_rng(0)
    lines = ["time,place,heat,raw,state"]
    for i in range(120):
        place = ["north", "south", "east"][i % 3]
        time, heat = 1.7e9 + gen.normal() * 30, gen.uniform(5, 30)
        lines.append(f"{time:.6f},{place},{heat:.3f},{gen.normal():.4f},{['on', 'off'][i % 2]}")
    (tmp_path / "rows.csv").write_text("\n".join(lines))
    (tmp_path / "rows.toml").write_text(SCHEMA)
    return tmp_path


def source(folder, file, net=None):
    prepared = data.schema.prepare(data.schema.read_schema(folder / file))
    examples = prepared.examples("test")
    torch.manual_seed(0)
    width = examples.inputs[0].numel()
    net = net or nn.Sequential(nn.Flatten(), nn.Linear(width, 5), nn.Tanh(), nn.Linear(5, 2))
    return Source("own", net.eval(), examples, preparation=prepared.preparation)


def test_rows_of_a_table_go_in_as_they_stand(table):
    pytest.importorskip("pyarrow")
    given = source(table, "rows.toml")
    found = export(given, table / "out")
    assert found.agreement.relative < 1e-6
    assert found.columns == {"numbers": ["time", "heat", "raw"], "categories": ["place"]}
    assert found.labels == ("off", "on")
    session = onnxruntime.InferenceSession(str(found.file.path))
    _, name = given.examples.names[0].split()
    row = (table / "rows.csv").read_text().splitlines()[int(name)].split(",")
    kept = (table / "out/preparation.json").read_text()
    assert str(table) not in kept  # where the data lie is told to nobody
    place = json.loads(kept)["learned"]["place"]
    one = session.run(None, {
        "numbers": np.array([[float(row[0]), float(row[2]), float(row[3])]]),
        "categories": np.array([[place["classes"].index(row[1])]]),
    })[0]  # fmt: skip
    with torch.no_grad():
        truth = given.model(given.examples.inputs[:1])
    torch.testing.assert_close(torch.from_numpy(one), truth, rtol=1e-5, atol=1e-6)
    card = (table / "out/card.md").read_text()
    assert "columns time, heat, raw" in card
    assert "| place | input | category | one-hot |" in card


def test_a_class_that_training_never_saw_is_none_of_them(table):
    pytest.importorskip("pyarrow")
    given = source(table, "rows.toml")
    found = export(given, table / "out", int8=False)
    session = onnxruntime.InferenceSession(str(found.file.path))
    numbers = np.array([[1.7e9, 10.0, 0.0]])
    out = session.run(None, {"numbers": numbers, "categories": np.array([[-1]])})[0]
    vectors = given.preparation.vectors
    parts = [vectors["time"].apply([1.7e9]), torch.zeros(1, 3), vectors["heat"].apply([10.0])]
    with torch.no_grad():
        truth = given.model(torch.cat([*parts, torch.zeros(1, 1)], 1))
    torch.testing.assert_close(torch.from_numpy(out), truth, rtol=1e-5, atol=1e-6)


def test_samples_of_sounds_go_in(tmp_path):
    pytest.importorskip("soundfile")
    gen = np.random.default_rng(0)
    for kind, hertz in (("low", 200), ("high", 900)):
        (tmp_path / "sounds" / kind).mkdir(parents=True)
        for i in range(12):
            t = np.arange(1600) / 4000
            tone = np.sin(2 * np.pi * hertz * t) * gen.uniform(0.2, 0.9) + gen.normal(0, 0.02, 1600)
            with wave.open(str(tmp_path / f"sounds/{kind}/{i}.wav"), "wb") as file:
                file.setparams((1, 2, 4000, 0, "NONE", ""))
                file.writeframes((tone.clip(-1, 1) * 32767).astype("<i2").tobytes())
    schema = data.schema.inspect(tmp_path / "sounds").to_toml(tmp_path).splitlines()
    kept = [line for line in schema if not line.startswith(("rate", "bands", "seconds"))]
    sizes = 'vector = "log-mel"\nrate = 4000\nbands = 8\nseconds = 0.5'
    (tmp_path / "sounds.toml").write_text("\n".join(kept).replace('vector = "log-mel"', sizes))
    given = source(tmp_path, "sounds.toml")
    found = export(given, tmp_path / "out")
    assert [*found.columns] == ["samples"]
    assert found.file.inputs["samples"] == ("batch", 2000)
    assert found.agreement.relative < 1e-5
    assert found.int8.kept == {"MatMul": 1}  # of powers by bands: eight bits would spoil them
    assert found.int8.quantised == {"MatMulInteger": 2}
    samples = {"samples": raw_of(given).inputs["samples"].numpy()}
    files = (found.file.path, found.folder / found.int8.file)
    whole, small = (onnxruntime.InferenceSession(str(f)).run(None, samples)[0] for f in files)
    assert np.abs(small - whole).max() < 0.05 * np.abs(whole).max()


def test_pixels_go_in_where_pictures_are_normalised(tmp_path):
    torch.manual_seed(0)
    picture = {"mean": [0.4, 0.5, 0.6], "std": [0.2, 0.3, 0.25]}
    pixels = torch.rand(4, 3, 6, 6)
    mean, std = (torch.tensor(picture[k])[:, None, None] for k in ("mean", "std"))
    names = tuple("abcd")
    examples = Examples((pixels - mean) / std, None, names, "standardised", "made", picture)
    net = nn.Sequential(nn.Conv2d(3, 2, 3), nn.Flatten(), nn.Linear(32, 2)).eval()
    found = export(Source("own", net, examples), tmp_path, int8=False)
    assert found.agreement.relative < 1e-5
    session = onnxruntime.InferenceSession(str(found.file.path))
    out = session.run(None, {"input": pixels.numpy()})[0]
    with torch.no_grad():
        truth = net(examples.inputs)
    torch.testing.assert_close(torch.from_numpy(out), truth, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("missing", "vector"), [("mean", "unit"), ("mean+flag", "standardise")])
def test_a_missing_number_goes_in_as_nan(table, missing, vector):
    pytest.importorskip("pyarrow")
    lines = (table / "rows.csv").read_text().splitlines()
    cells = [line.split(",") for line in lines]
    for row in cells[1::4]:
        row[2] = ""
    (table / "rows.csv").write_text("\n".join(map(",".join, cells)))
    text = SCHEMA.replace('vector = "unit"', f'vector = "{vector}"\nmissing = "{missing}"')
    (table / "rows.toml").write_text(text)
    given = source(table, "rows.toml")
    found = export(given, table / "out")
    assert found.agreement.relative < 1e-6
    session = onnxruntime.InferenceSession(str(found.file.path))
    place = json.loads((table / "out/preparation.json").read_text())["learned"]["place"]["classes"]
    gaps = 0
    for name, x in zip(given.examples.names, given.examples.inputs, strict=True):
        row = cells[int(name.split()[1])]
        gaps += not row[2]
        numbers = [float(row[0]), float(row[2] or "nan"), float(row[3])]
        (answer,) = session.run(None, {
            "numbers": np.array([numbers]), "categories": np.array([[place.index(row[1])]]),
        })  # fmt: skip
        with torch.no_grad():
            expected = given.model(x[None]).numpy()
        assert np.abs(answer - expected).max() < 1e-5
    assert gaps
