"""``nakami export``: what ``nakami train`` has made leaves as a file."""

import json
from pathlib import Path

import numpy as np
import pytest

from nakami import data

onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

TINY = ("--set", "hidden=8,6", "--set", "pretrain_epochs=1", "--set", "finetune_epochs=1")
FOLDER = Path("nakami-out/dbn-digits/weights-set-hidden-8+6,pretrain_epochs-1,finetune_epochs-1")


@pytest.fixture
def trained(nakami, here):
    assert nakami("train", "dbn-digits", *TINY, "--no-page").code == 0
    return FOLDER


def test_a_trained_classifier_answers_in_onnxruntime(nakami, trained):
    seen = nakami("export", trained)
    assert seen.code == 0, seen.err
    folder = trained / "export/finetuned-onnx"
    assert f"Model: {folder / 'model.onnx'}" in seen.out
    assert "right answers" in seen.out
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"))
    test = data.digits("test")
    answers = session.run(None, {"input": test.inputs.numpy()})[0].argmax(1)
    body = json.loads((folder / "export.json").read_text())
    assert np.mean(answers == test.labels.numpy()) == pytest.approx(body["accuracy"]["before"])
    assert body["agreement"]["examples"] == 1000


def test_another_network_another_place_and_json(nakami, trained):
    seen = nakami(
        "export", trained, "--network", "pretrained", "--out", "there", "--no-int8", "--json"
    )
    body = json.loads(seen.out)
    assert body["folder"] == "there"
    assert body["int8"] is None
    assert Path("there/model.onnx").is_file()


def test_the_card_tells_of_an_xray(nakami, trained):
    seen = nakami("xray", trained, "--inputs", 2, "--top", 3, "--no-page", "--json")
    assert seen.code == 0, seen.err
    run = next(path.parent for path in Path("nakami-out").glob("**/finetuned/run.json"))
    assert nakami("export", trained, "--xray", run, "--no-int8").code == 0
    card = (trained / "export/finetuned-onnx/card.md").read_text()
    assert "## Inside" in card
    assert "means over 2 inputs" in card
    assert "xray must hold an x-ray" in nakami("export", trained, "--xray", trained).err.replace(
        "--", ""
    )


def test_what_is_refused(nakami, trained):
    assert "'nosuch'" in nakami("export", trained, "--network", "nosuch").err
    assert "--to" in nakami("export", trained, "--to", "tape").err
    assert nakami("export", "small_net.py").code == 2
    assert "--limit" in nakami("export", trained, "--limit", "0").err
