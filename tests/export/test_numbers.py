"""A number that is foreseen comes out in the unit of its column."""

import json
import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from nakami import data
from nakami.export import Source, export
from nakami.export._answer import InUnit
from nakami.export._formats import FORMATS
from nakami.export._left import labels_of
from nakami.export._raw import raw_of
from nakami.results import RunError, UsageError

onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")
pytest.importorskip("pyarrow")

SCHEMA = """
path = "rows.csv"
[split]
test = 0.3
[columns.heat]
type = "number"
vector = "standardise"
[columns.wind]
type = "number"
vector = "unit"
[columns.time]
type = "number"
use = "target"
vector = "{vector}"
"""
CLASSES = """
path = "rows.csv"
[columns.heat]
type = "number"
[columns.wind]
type = "number"
[columns.wet]
type = "category"
use = "target"
"""
VECTORS = ["standardise", "unit", "as stored"]


@pytest.fixture
def rows(tmp_path):
    """Heat, wind, and seconds of an epoch, which float32 would round to steps of 128."""
    gen = np.random.default_rng(0)
    found = np.stack([gen.normal(20, 5, 90), gen.normal(3, 1, 90), 1.7e9 + gen.normal(0, 9, 90)], 1)
    found = found.round(3)
    lines = ["heat,wind,time", *(",".join(f"{x:.3f}" for x in row) for row in found)]
    (tmp_path / "rows.csv").write_text("\n".join(lines))
    return found


def source(folder, vector, outputs=1, name="own"):
    (folder / "rows.toml").write_text(SCHEMA.format(vector=vector))
    prepared = data.schema.prepare(data.schema.read_schema(folder / "rows.toml"))
    examples = prepared.examples("test", numbers=True)
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(2, 5), nn.Tanh(), nn.Linear(5, outputs)).eval()
    return Source(name, net, examples, preparation=prepared.preparation)


def by_hand(given, rows, vector):
    """Raw test rows, and what must come out, by numpy from the table and the weights alone."""
    places = [int(name.split()[1]) - 1 for name in given.examples.names]
    train = np.delete(rows, places, 0)
    heat, wind, time = train.T
    raw = rows[places, :2]
    x = np.stack([
        (raw[:, 0] - heat.mean()) / heat.std(),
        ((raw[:, 1] - wind.min()) / (wind.max() - wind.min())).clip(0, 1),
    ], 1)  # fmt: skip
    first, _, last = given.model
    w, b, v, c = (p.detach().double().numpy() for p in (*first.parameters(), *last.parameters()))
    z = np.tanh(x @ w.T + b) @ v.T + c
    scale, shift = {
        "standardise": (time.std(), time.mean()),
        "unit": (time.max() - time.min(), time.min()),
        "as stored": (1, 0),
    }[vector]
    return raw, z * scale + shift


def answered(file, raw):
    session = onnxruntime.InferenceSession(str(file))
    return session, session.run(None, {"numbers": raw})[0]


@pytest.mark.parametrize("vector", VECTORS)
def test_an_onnx_file_gives_the_number_of_the_column(rows, tmp_path, vector):
    given = source(tmp_path, vector)
    found = export(given, tmp_path / "out", int8=False)
    raw, truth = by_hand(given, rows, vector)
    assert found.agreement.relative < 1e-6
    session, answer = answered(found.file.path, raw)
    assert np.abs(answer - truth).max() < 2e-5  # seconds; the deviation is 9
    about = json.loads((tmp_path / "out" / "export.json").read_text())
    assert (found.column, about["output_column"], found.labels) == ("time", "time", ())
    assert not (tmp_path / "out" / "labels.json").exists()
    assert session.get_modelmeta().custom_metadata_map["nakami.output"].startswith("time, ")
    assert "(batch, 1): time, in the unit of this column" in (found.folder / "card.md").read_text()


def test_what_eight_bits_do_is_told_in_the_unit_of_the_column(rows, tmp_path):
    given = source(tmp_path, "standardise")
    found = export(given, tmp_path / "out")
    raw, truth = by_hand(given, rows, "standardise")
    _, small = answered(tmp_path / "out" / found.int8.file, raw)
    off = small - truth
    assert 1e-3 < found.number_change.rms < 0.5  # seconds
    assert found.number_change.rms == pytest.approx((off**2).mean() ** 0.5, rel=1e-2)
    assert found.number_change.largest == pytest.approx(np.abs(off).max(), rel=1e-2)
    card = (found.folder / "card.md").read_text()
    assert f"eight bits change time by {found.number_change.rms:.2g} (root mean square)" in card


@pytest.mark.parametrize(
    ("to", "package"), [("executorch", "executorch.runtime"), ("litert", "litert_torch")]
)
def test_other_forms_give_the_number_of_the_column(rows, tmp_path, to, package):
    pytest.importorskip(package, reason=f"the extra {to}")
    rows[:, 2] -= 1.7e9 - 1000  # which float32 can tell apart, as LiteRT has no float64
    lines = ["heat,wind,time", *(",".join(f"{x:.3f}" for x in row) for row in rows)]
    (tmp_path / "rows.csv").write_text("\n".join(lines))
    given = source(tmp_path, "standardise")
    found = export(given, tmp_path / "out", to)
    _, truth = by_hand(given, rows, "standardise")
    form = FORMATS[to]
    taken = raw_of(given, form.prepares).inputs
    answers = [
        form.runs(found.file)({n: x[i : i + 1] for n, x in taken.items()})[0] for i in (0, 5)
    ]
    assert np.abs(np.concatenate(answers) - truth[[0, 5]]).max() < 2e-4
    assert found.number_change is None or 0 < found.number_change.rms < 1


def test_the_script_of_a_page_gives_the_number_of_the_column(rows, tmp_path, runtime):
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    given = source(tmp_path, "standardise")
    folder = export(given, tmp_path / "page", "web", int8=False, runtime=runtime).folder
    done = subprocess.run((node, "node.mjs"), cwd=folder, capture_output=True, check=True)
    body = json.loads(done.stdout)
    _, truth = by_hand(given, rows, "standardise")
    assert body["column"] == "time"
    assert np.abs(np.array(body["answers"]) - truth[:12]).max() < 2e-5
    assert body["relative"] == pytest.approx(body["difference"] / body_scale(rows, given), rel=1e-6)
    about = json.loads((folder / "page.json").read_text())
    about["examples"][0]["output"][0] += 0.01  # seconds: nothing beside the mean of 1.7e9
    (folder / "page.json").write_text(json.dumps(about))
    done = subprocess.run((node, "node.mjs"), cwd=folder, capture_output=True, check=False)
    assert done.returncode == 1


def body_scale(rows, given):
    """Deviation of the training rows; the largest output of the network is below 1."""
    places = [int(name.split()[1]) - 1 for name in given.examples.names]
    return np.delete(rows[:, 2], places).std()


def test_a_file_with_another_shift_is_refused_beside_a_large_mean(rows, tmp_path, monkeypatch):
    given, right = source(tmp_path, "standardise"), InUnit.forward
    monkeypatch.setattr(InUnit, "forward", lambda self, x: right(self, x) + 0.01)
    with pytest.raises(RunError, match=r"differs from torch by 0\.01 "):
        export(given, tmp_path / "out", int8=False)


def test_outputs_and_the_target_must_fit(rows, tmp_path):
    with pytest.raises(UsageError, match="one output for the number time, got 2 outputs"):
        export(source(tmp_path, "unit", 2, "nets.py:two/trained"), tmp_path / "out")
    features = export(source(tmp_path, "unit", 2), tmp_path / "out", int8=False)
    assert (features.column, features.file.outputs) == ("", {"output": ("batch", 2)})


def test_outputs_and_classes_must_fit(tmp_path):
    lines = [f"{i},{i % 7},{'yes' if i % 2 else 'no'}" for i in range(60)]
    (tmp_path / "rows.csv").write_text("\n".join(["heat,wind,wet", *lines]))
    (tmp_path / "wet.toml").write_text(CLASSES)
    prepared = data.schema.prepare(data.schema.read_schema(tmp_path / "wet.toml"))
    given = Source(
        "nets.py:bad_out/trained", nn.Linear(2, 3).eval(), prepared.examples("test"),
        preparation=prepared.preparation,
    )  # fmt: skip
    with pytest.raises(UsageError, match="one output for each of 2 classes, got 3 outputs"):
        export(given, tmp_path / "out")
    assert labels_of(replace(given, model=nn.Linear(2, 2))) == ("no", "yes")
    assert labels_of(given) == ()
