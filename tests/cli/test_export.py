"""``nakami export``: what ``nakami train`` has made leaves as a file."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from nakami import data, zoo

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


def test_the_network_of_an_xray_leaves_with_what_the_xray_says(nakami, trained):
    assert nakami("xray", trained, "--inputs", 2, "--top", 3, "--no-page").code == 0
    run = next(path.parent for path in Path("nakami-out").glob("**/pretrained/run.json"))
    seen = nakami("export", run, "--no-int8", "--json")
    assert seen.code == 0, seen.err
    folder = Path(json.loads(seen.out)["folder"])
    assert folder == run / "export/pretrained-onnx"
    assert "means over 2 inputs" in (folder / "card.md").read_text()


def test_a_network_of_the_callers_with_weights_and_data(nakami, here):
    torch.manual_seed(1)
    net = zoo.build("mlp", torch.Generator().manual_seed(5))
    save_file(net.state_dict(), "mine.safetensors")
    typed = ("--model", "mlp", "--weights", "mine.safetensors")
    seen = nakami("export", *typed, "--no-int8")
    assert seen.code == 0, seen.err
    file = Path("nakami-out/mlp/export/mine-onnx/model.onnx")
    pixels = data.digits("test")[:5].inputs
    there = onnxruntime.InferenceSession(str(file)).run(None, {"input": pixels.numpy()})[0]
    with torch.no_grad():
        torch.testing.assert_close(torch.from_numpy(there), net(pixels), rtol=1e-4, atol=1e-5)
    assert nakami("xray", *typed, "--inputs", 2, "--top", 2, "--no-page").code == 0
    assert nakami("export", "nakami-out/mlp/mine", "--no-int8").code == 0
    assert "## Inside" in Path("nakami-out/mlp/mine/export/mine-onnx/card.md").read_text()
    net[-1].bias.data += 1
    save_file(net.state_dict(), "mine.safetensors")  # no longer the weights of the x-ray
    assert "of the weights that are there now" in nakami("export", "nakami-out/mlp/mine").err


def test_what_goes_together(nakami, trained):
    assert "needs RUN or --model, got neither" in nakami("export").err
    assert "got both" in nakami("export", trained, "--model", "mlp").err
    assert "--network must come with" in nakami("export", "--model", "mlp", "--network", "a").err
    assert "--weights must come with" in nakami("export", trained, "--weights", trained).err
    assert "--data must come with" in nakami("export", trained, "--data", trained).err


def test_what_is_refused(nakami, trained):
    assert "'nosuch'" in nakami("export", trained, "--network", "nosuch").err
    assert "--to" in nakami("export", trained, "--to", "tape").err
    assert nakami("export", "small_net.py").code == 2
    assert "--limit" in nakami("export", trained, "--limit", "0").err


def test_nothing_of_an_earlier_export_stays(nakami, trained):
    where = ("--out", trained / "out")
    assert nakami("export", trained, *where).code == 0
    stale = [trained / "out" / name for name in ("model.int8.onnx", "preparation.json")]
    stale[1].touch()  # as of a network of other rows
    assert stale[0].exists()
    assert nakami("export", trained, "--network", "pretrained", "--no-int8", *where).code == 0
    assert not any(file.exists() for file in stale)


def test_options_of_a_training_are_refused_beside_an_xray(nakami, trained):
    said = json.loads(nakami("xray", trained, "--inputs", 1, "--top", 1, "--no-page", "--json").out)
    assert said
    run = next(Path("nakami-out/dbn-digits").glob("*/finetuned"))
    seen = nakami("export", run, "--network", "pretrained")
    assert seen.code == 2
    assert "--network must come with the folder of a training" in seen.err
