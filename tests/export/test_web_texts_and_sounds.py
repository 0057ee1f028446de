"""Pages for texts and sounds: the browser prepares them as Python does."""

import json
import math
import shutil
import subprocess
import wave
from importlib.resources import files

import numpy as np
import pytest
import torch
from torch import nn

from nakami import data
from nakami.data.schema._words import Bag, Characters, Words
from nakami.export import Source, export

SENTENCES = [
    "The cat sat on the MAT",
    "  tabs\tand\nlines\r\nand\u3000wide\xa0spaces \x1c\x85 \u2028 ",
    "Straße ÜBER İstanbul ΟΔΥΣΣΕΎΣ ΑΣ",
    "東京です 東京 は 大きい",
    "\ufeffmark naïve café na\u0308ive 👍🏽 👍",
    "<eos> <pad> the",
    "",
    "one two three four five six seven eight nine ten eleven twelve",
]
TEXTS = 'path = "texts.csv"\n[columns.said]\ntype = "text"\nvector = "{}"\n[columns.kind]\n'
TEXTS += 'type = "category"\nuse = "target"\n'


@pytest.fixture(scope="module")
def node():
    found = shutil.which("node")
    if found is None:
        pytest.skip("node is not installed")
    return found


@pytest.mark.parametrize("vector", [Words, Characters, Bag])
def test_texts_become_the_same_numbers_in_javascript(vector, node, tmp_path):
    made = vector("said", {"least": 1})
    made.learn(SENTENCES[:5])
    made.finish()
    length = getattr(made, "length", None)
    asked = {"vector": vector.name, "kinds": made.kinds, "length": length}
    (tmp_path / "asked.json").write_text(json.dumps({"about": asked, "texts": SENTENCES}))
    (tmp_path / "text.mjs").write_bytes((files("nakami.export") / "web/text.js").read_bytes())
    (tmp_path / "run.mjs").write_text(
        'import { readFileSync } from "node:fs";\nimport { encoded } from "./text.mjs";\n'
        'const { about, texts } = JSON.parse(readFileSync("asked.json"));\n'
        "console.log(JSON.stringify(texts.map((text) => encoded(text, about).data)));\n"
    )
    done = subprocess.run(
        (node, "run.mjs"), cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == made.apply(SENTENCES).tolist()


@pytest.fixture(scope="module")
def texts(runtime, tmp_path_factory):
    """Texts of which those with "warm" are good."""
    pytest.importorskip("pyarrow")
    folder = tmp_path_factory.mktemp("texts")
    said = [f"a {['warm', 'cold'][i % 2]} day number {i}" for i in range(80)]
    rows = [f"{text},{['good', 'bad'][i % 2]}" for i, text in enumerate(said)]
    (folder / "texts.csv").write_text("\n".join(["said,kind", *rows]))
    (folder / "texts.toml").write_text(TEXTS.format("bag"))
    prepared = data.schema.prepare(data.schema.read_schema(folder / "texts.toml"))
    words = prepared.preparation.vectors["said"].kinds
    net = nn.Linear(len(words), 2)
    with torch.no_grad():
        net.weight.zero_()
        net.bias.zero_()
        good = prepared.preparation.classes.index("good")
        net.weight[good, words.index("warm")] = 3
        net.weight[1 - good, words.index("cold")] = 3
    return _page(net, prepared, folder, runtime)


@pytest.fixture(scope="module")
def sounds(runtime, tmp_path_factory):
    """Tones that a network with random weights gives numbers for."""
    pytest.importorskip("soundfile")
    folder = tmp_path_factory.mktemp("sounds")
    for kind, hertz in (("low", 200), ("high", 900)):
        (folder / "sounds" / kind).mkdir(parents=True)
        for i in range(12):
            _tone(folder / f"sounds/{kind}/{i}.wav", hertz + i, 0.3)
    schema = data.schema.inspect(folder / "sounds").to_toml(folder).splitlines()
    kept = [line for line in schema if not line.startswith(("rate", "bands", "seconds"))]
    sizes = 'vector = "log-mel"\nrate = 8000\nbands = 8\nseconds = 0.5'
    text = "\n".join(kept).replace('vector = "log-mel"', sizes)
    (folder / "sounds.toml").write_text(text)
    prepared = data.schema.prepare(data.schema.read_schema(folder / "sounds.toml"))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        width = prepared.examples("test").inputs[0].numel()
        net = nn.Sequential(nn.Flatten(), nn.Linear(width, 2))
    return _page(net, prepared, folder, runtime)


def _page(net, prepared, folder, runtime):
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    examples = prepared.examples("test")
    given = Source("own", net.eval(), examples, preparation=prepared.preparation)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nakami.export._latency.SECONDS", 0.01)
        export(given, folder / "page", "web", int8=False, runtime=runtime)
    return folder / "page"


def _tone(path, hertz, seconds, channels=1):
    """Channels differ, so that their mean is neither; with noise, as no power has no logarithm."""
    gen = np.random.default_rng(round(hertz))
    t = np.arange(round(8000 * seconds)) / 8000
    tones = [0.4 * np.sin(2 * math.pi * hertz * (c + 1) * t) for c in range(channels)]
    tones = [tone + gen.normal(0, 0.02, len(t)) for tone in tones]
    with wave.open(str(path), "wb") as file:
        file.setparams((channels, 2, 8000, 0, "NONE", ""))
        file.writeframes((np.stack(tones, 1) * 32767).astype("<i2").tobytes())


@pytest.mark.parametrize("name", ["texts", "sounds"])
def test_node_has_the_numbers_of_torch(name, node, request):
    folder = request.getfixturevalue(name)
    done = subprocess.run(
        (node, "node.mjs"), cwd=folder, capture_output=True, text=True, check=True
    )
    assert 0 <= json.loads(done.stdout)["relative"] < 1e-5


@pytest.mark.parametrize("served", ["texts"], indirect=True)
def test_a_text_that_is_written_is_answered(served, browser):
    page = browser.new_page()
    page.goto(served)
    page.wait_for_selector("body[data-state=ready]", timeout=30_000)
    for said, kind in (("What a WARM evening", "good"), ("a cold one", "bad")):
        page.locator("#text").fill(said)
        page.wait_for_function(
            "(x) => document.querySelector('tr.best td')?.innerText === x", arg=kind
        )
    page.locator("#samples button").first.click()
    page.wait_for_function("document.getElementById('text').value.includes('day')")


@pytest.mark.parametrize("served", ["sounds"], indirect=True)
def test_a_sound_of_the_users_is_answered_as_by_torch(served, browser, sounds, tmp_path):
    page = browser.new_page()
    page.goto(served)
    page.wait_for_selector("body[data-state=ready]", timeout=30_000)
    _tone(tmp_path / "own.wav", 500, 0.7, channels=2)  # longer than the network takes
    page.locator("#audio").set_input_files(str(tmp_path / "own.wav"))
    page.wait_for_selector("#answers tr.best")
    shown = dict(
        row.inner_text().split("\t")[:2] for row in page.locator("#answers tbody tr").all()
    )
    onnxruntime = pytest.importorskip("onnxruntime")
    made = data.schema.read_preparation(sounds / "preparation.json")
    (vector,) = [made.vectors[column.name] for column in made.schema.used("input")]
    samples = vector.samples(tmp_path / "own.wav")[None]
    session = onnxruntime.InferenceSession(str(sounds / "model.onnx"))
    shares = torch.softmax(torch.from_numpy(session.run(None, {"samples": samples})[0][0]), 0)
    for name, share in zip(made.classes, shares.tolist(), strict=True):
        assert float(shown[name].split()[0]) == pytest.approx(100 * share, abs=0.06)
