"""What ``--model hf:FOLDER`` refuses, each in one sentence, before anything is loaded."""

import json

import numpy as np
import pytest

import hf_folders as folders


@pytest.fixture
def folder(here):
    """A sound folder with a tokenizer, and two texts."""
    folders.save(folders.gpt2, here / "net")
    (here / "texts.txt").write_text("a cat\nonce upon a time\n")
    return here / "net"


def changed(folder, name="config.json", **entries):
    path = folder / name
    path.write_text(json.dumps({**json.loads(path.read_text()), **entries}))


def said(nakami, *options, command="stages", data="texts.txt"):
    done = nakami(command, "--model", "hf:net", "--data", data, *options)
    assert done.code != 0
    assert done.out == ""
    sentence = " ".join(done.err.split())
    assert sentence.count("nakami:") == 1
    assert "Traceback" not in sentence
    return sentence


def test_no_folder(nakami, folder):
    done = nakami("xray", "--model", "hf:nowhere", "--data", "texts.txt")
    assert done.code == 2
    assert "--model must name a folder with config.json" in done.err
    assert "'nowhere', which is not there" in done.err
    assert "nothing is fetched" in done.err
    (folder / "config.json").unlink()
    assert "'net' without one" in said(nakami)
    (folder / "config.json").write_text("{")
    assert "net/config.json cannot be read (JSONDecodeError" in said(nakami)
    (folder / "config.json").write_text("[]")
    assert "must hold names with values, got list" in said(nakami)


def test_code_of_others(nakami, folder):
    changed(folder, auto_map={"AutoModel": "modeling.Net"})
    (folder / "modeling.py").write_text("raise SystemExit(9)")
    assert "must need no code of its folder, got net/config.json with auto_map" in said(nakami)


def test_code_of_others_in_the_tokenizer(nakami, folder):
    changed(folder, "tokenizer_config.json", auto_map={"AutoTokenizer": ["t.T", None]})
    assert "no code of its folder for its tokenizer" in said(nakami)


def test_pickles(nakami, folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    sentence = said(nakami)
    assert "must hold weights as .safetensors, got pytorch_model.bin alone" in sentence
    assert "m.save_pretrained(FOLDER)" in sentence
    (folder / "pytorch_model.bin").unlink()
    assert "as .safetensors, got none" in said(nakami)


def test_quantised_weights(nakami, folder):
    changed(folder, quantization_config={"quant_method": "gptq"})
    assert "must hold plain weights, got quantised ones in net" in said(nakami)


def test_an_architecture_that_transformers_lacks(nakami, folder):
    changed(folder, architectures=["os"])
    assert "an architecture that transformers" in said(nakami)
    changed(folder, architectures=["GPT2LMHeadModel"], model_type="none_such")
    assert "name a folder that transformers can load" in said(nakami)


def test_weights_of_another_size(nakami, folder):
    changed(folder, n_embd=6)
    assert "name a folder that transformers can load" in said(nakami)


def test_weights_that_are_missing_are_told_of(nakami, folder):
    changed(folder, n_layer=3)
    done = nakami("stages", "--model", "hf:net", "--data", "texts.txt")
    assert done.code == 0
    assert "note: hf:net: transformer.h.2.attn.c_attn.bias, the first of 12 weights" in done.err


def test_weights_beside_a_folder(nakami, folder):
    sentence = said(nakami, "--weights", "net/model.safetensors")
    assert "--weights must come with another --model than hf:FOLDER" in sentence


@pytest.mark.parametrize("command", ["stages", "xray", "lr", "init"])
def test_no_data(nakami, folder, command):
    done = nakami(command, "--model", "hf:net")
    assert done.code == 2
    assert "--data must be given with --model hf:net, got none; pass --data PATH" in done.err
    assert ".txt with one text a line" in done.err


def test_no_tokenizer(nakami, folder):
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()
    sentence = said(nakami)
    assert "name a folder with a tokenizer, where --data is a text, got 'net' without" in sentence
    assert "np.save('ids.npy', ids)" in sentence
    np.save("ids.npy", np.array([[4, 5, 6]]))
    done = nakami("stages", "--model", "hf:net", "--data", "ids.npy")
    assert done.code == 0, done.err


def test_a_damaged_tokenizer(nakami, folder):
    (folder / "tokenizer.json").write_text("{}")
    assert "hold a tokenizer that can be loaded" in said(nakami)


def test_texts_that_are_none(nakami, folder):
    (folder.parent / "blank.txt").write_text("\n \n")
    assert "must hold one text a line, got blank lines alone" in said(nakami, data="blank.txt")
    (folder.parent / "latin.txt").write_bytes("café".encode("latin-1"))
    assert "must be text in UTF-8" in said(nakami, data="latin.txt")
    assert "--size must come with arrays or pictures" in said(nakami, "--size", 8)


def test_texts_that_are_too_long_are_cut(nakami, folder):
    (folder.parent / "long.txt").write_text("cat " * 40)
    done = nakami("stages", "--model", "hf:net", "--data", "long.txt")
    assert done.code == 0, done.err
    assert "1 text cut to the 16 tokens that it takes" in done.out


def test_texts_are_for_folders(nakami, folder):
    done = nakami("stages", "--model", "mlp", "--data", "texts.txt")
    assert done.code == 2
    assert "a text is for --model hf:FOLDER, which has a tokenizer" in " ".join(done.err.split())


def test_without_transformers_the_extra_is_named(nakami, folder, monkeypatch):
    monkeypatch.setattr("nakami.cli.hf._folder.find_spec", lambda name: None)
    assert "pip install 'nakami[hf]' adds it" in said(nakami)


def test_pictures_without_a_rule(nakami, folder):
    pytest.importorskip("PIL.Image", reason="Pillow is not installed (extra images)").new(
        "L", (8, 8)
    ).save("a.png")
    sentence = said(nakami, data="a.png")
    assert "name a folder with preprocessor_config.json, where --data is pictures" in sentence
    assert "--size, --mode and --normalise" in sentence
