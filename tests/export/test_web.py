"""The page of an exported network answers in Chromium, and its script in Node."""

import json
import shutil
import subprocess

import pytest
import torch
from torch import nn

from exported_families import source
from nakami import data
from nakami.export import Source, export
from nakami.results import RunError, UsageError

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")


@pytest.fixture(scope="module")
def digits(runtime, tmp_path_factory):
    """A page where strokes on the left and on the right are told apart."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = nn.Sequential(nn.Flatten(), nn.Linear(784, 10)).eval()
    examples = data.digits("test")[:20]
    folder = tmp_path_factory.mktemp("web") / "page"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nakami.export._latency.SECONDS", 0.01)
        export(Source("own/linear", net, examples), folder, "web", int8=False, runtime=runtime)
    return folder


TABLE = """
path = "rows.csv"
[columns.heat]
type = "number"
[columns.place]
type = "category"
[columns.state]
type = "category"
use = "target"
"""


@pytest.fixture(scope="module")
def table(runtime, tmp_path_factory):
    """A page with a field for each column."""
    pytest.importorskip("pyarrow")
    folder = tmp_path_factory.mktemp("table")
    rows = [
        f"{10 + i % 7},{['north', 'south'][i % 2]},{['off', 'on'][i % 7 > 3]}" for i in range(99)
    ]
    rows = [f"{row.split(',')[0]}.{i},{','.join(row.split(',')[1:])}" for i, row in enumerate(rows)]
    (folder / "rows.csv").write_text("\n".join(["heat,place,state", *rows]))
    (folder / "rows.toml").write_text(TABLE)
    prepared = data.schema.prepare(data.schema.read_schema(folder / "rows.toml"))
    net = nn.Linear(3, 2)
    with torch.no_grad():
        net.weight.copy_(torch.tensor([[-2.0, 0, 0], [2, 0, 0]]))  # on where it is hot
    given = Source("own", net.eval(), prepared.examples("test"), preparation=prepared.preparation)
    export(given, folder / "page", "web", int8=False, runtime=runtime)
    return folder / "page"


def test_node_has_the_numbers_of_torch(digits):
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    done = subprocess.run(
        (node, "node.mjs"), cwd=digits, capture_output=True, text=True, check=True
    )
    body = json.loads(done.stdout)
    about = json.loads((digits / "page.json").read_text())
    assert 0 <= body["relative"] < 1e-6
    best = [max(range(10), key=each["output"].__getitem__) for each in about["examples"]]
    assert body["answers"] == [str(i) for i in best]
    about["examples"][0]["output"][0] += 1  # the check can fail
    (digits / "page.json").write_text(json.dumps(about))
    done = subprocess.run((node, "node.mjs"), cwd=digits, capture_output=True, check=False)
    about["examples"][0]["output"][0] -= 1
    (digits / "page.json").write_text(json.dumps(about))
    assert done.returncode == 1


@pytest.mark.parametrize("served", ["digits"], indirect=True)
def test_a_drawn_digit_is_answered_in_the_browser(served, browser):
    page = browser.new_page()
    errors, asked = [], []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(served)
    page.wait_for_selector("body[data-state=ready]", timeout=30_000)
    box = page.locator("#drawing").bounding_box()
    page.mouse.move(box["x"] + 140, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + 140, box["y"] + 240, steps=8)
    page.mouse.up()
    page.wait_for_selector("#answers tr.best")
    shares = [
        float(t.split()[0]) for t in page.locator("#answers td:nth-child(2)").all_inner_texts()
    ]
    assert len(shares) == 10
    assert sum(shares) == pytest.approx(100, abs=1)
    assert shares == sorted(shares, reverse=True)
    page.locator("#examples button").first.click()
    about = json.loads(page.evaluate("fetch('page.json').then((r) => r.text())"))
    best = max(range(10), key=about["examples"][0]["output"].__getitem__)
    page.wait_for_function(
        "(x) => document.querySelector('tr.best td').innerText === x", arg=str(best)
    )
    assert errors == []
    assert all(url.startswith((served, "blob:", "data:")) for url in asked)


@pytest.mark.parametrize("served", ["table"], indirect=True)
def test_a_row_that_is_filled_in_is_answered(served, browser):
    page = browser.new_page()
    page.goto(served)
    page.wait_for_selector("body[data-state=ready]", timeout=30_000)
    assert page.locator("#row label").all_inner_texts()[0] == "heat"
    for heat, state in (("40", "on"), ("-5", "off")):
        page.locator("#row input").fill(heat)
        page.wait_for_function(
            "(x) => document.querySelector('tr.best td').innerText === x", arg=state
        )


def test_inputs_without_a_field_are_refused_before_anything_is_written(tmp_path):
    with pytest.raises(UsageError, match="to must be onnx unless pictures"):
        export(source("gru"), tmp_path / "out", "web")
    assert [*(tmp_path / "out").glob("*")] == []


def test_a_runtime_that_is_none(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="runtime must hold ort"):
        export(source("mlp"), tmp_path / "out", "web", int8=False, runtime=tmp_path / "empty")
    (tmp_path / "odd.tgz").write_text("no archive")
    with pytest.raises(UsageError, match="runtime must hold onnxruntime-web"):
        export(source("mlp"), tmp_path / "out", "web", int8=False, runtime=tmp_path / "odd.tgz")
    with pytest.raises(UsageError, match="runtime must come with"):
        export(source("mlp"), tmp_path / "out", runtime=tmp_path)


def test_what_npm_says_is_passed_on(tmp_path, monkeypatch):
    (tmp_path / "npm").write_text("#!/bin/sh\necho no such registry >&2\nexit 1\n")
    (tmp_path / "npm").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RunError, match=r"npm could not fetch .*no such registry"):
        export(source("mlp"), tmp_path / "out", "web", int8=False)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UsageError, match="npm is missing"):
        export(source("mlp"), tmp_path / "out", "web", int8=False)
