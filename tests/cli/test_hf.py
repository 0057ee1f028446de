"""``--model hf:FOLDER`` on tiny random networks, beside dense Jacobians by autograd."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

import hf_folders as folders
import nakami as library
from nakami.cli import hf
from nakami.cli._groups import LabelledOptions

TEXTS = "once upon a time there was\n\n  a cat  \nthere was a time\n"
IDS = [[4, 5, 6, 7, 8, 9], [6, 10], [8, 9, 6, 7]]
INSIDE = {"llama": 1e-5, "t5": 1e-5}  # their normalisation computes in float32


@pytest.fixture
def texts(here):
    (here / "texts.txt").write_text(TEXTS)
    return here


def dense(model, ids, **more):
    """``d logits / d embedding`` of one text, ``(tokens * kinds, tokens * width)``."""
    table = model.get_input_embeddings()
    embedded = table(torch.tensor([ids])).detach()

    def logits(v):
        return model(inputs_embeds=v, **more).logits.flatten()

    found = torch.autograd.functional.jacobian(logits, embedded)
    return found.reshape(len(found), -1)


@pytest.mark.parametrize(
    "name", ["gpt2", "bert", *(pytest.param(n, marks=pytest.mark.slow) for n in ("llama", "t5"))]
)
def test_texts_are_read_each_at_its_own_length(nakami, texts, name):
    model = folders.save(getattr(folders, name), texts / name).double()
    done = nakami(
        "xray", "--model", f"hf:{name}", "--data", "texts.txt", "--dtype", "float64",
        "--stages", "output", "--no-page",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert "note" not in done.err
    run = library.load(f"nakami-out/{name}/run")
    more = {"decoder_input_ids": torch.zeros(1, 1, dtype=torch.int64)} if name == "t5" else {}
    for spectrum, ids in zip(run.at("output"), IDS, strict=True):
        wanted = torch.linalg.svdvals(dense(model, ids, **more)).numpy()
        near = INSIDE.get(name, 1e-9) * wanted[0]
        np.testing.assert_allclose(spectrum.values, wanted, rtol=0, atol=near)
        with pytest.raises(AssertionError, match="Not equal to tolerance"):
            np.testing.assert_allclose(spectrum.values, 1.001 * wanted, rtol=0, atol=near)


@pytest.mark.parametrize("left", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_what_fills_texts_up_changes_nothing(nakami, texts, left):
    folders.save(folders.gpt2, texts / "gpt2")
    ids, mask = np.full((3, 9), 7), np.zeros((3, 9), int)
    for i, row in enumerate(IDS):
        where = slice(9 - len(row), 9) if left else slice(len(row))
        ids[i, where], mask[i, where] = row, 1
    np.savez("padded.npz", input_ids=ids, attention_mask=mask)
    runs = []
    for data in ("texts.txt", "padded.npz"):
        run = ("xray", "--model", "hf:gpt2", "--data", data, "--dtype", "float64", "--no-page")
        done = nakami(*run, "--stages", "transformer.h.1", "--out", data[:4])
        assert done.code == 0, done.err
        runs.append(library.load(f"{data[:4]}/gpt2/run"))
    assert [s.shape for s in runs[1].spectra] == [s.shape for s in runs[0].spectra]
    for one, other in zip(runs[0].spectra, runs[1].spectra, strict=True):
        np.testing.assert_allclose(other.values, one.values, rtol=1e-9, atol=1e-9 * one.values[0])


def test_positions_and_patterns(nakami, texts):
    model = folders.save(folders.gpt2, texts / "gpt2").double()
    run = ("xray", "--model", "hf:gpt2", "--data", "texts.txt", "--dtype", "float64", "--no-page")
    done = nakami(*run, "--inputs", 2, "--stages", "*.h.1.mlp,outpu?", "--positions", "last")
    assert done.code == 0, done.err
    said = " ".join(done.out.split())
    assert "Stages with positions are read at the last position." in said
    assert "Inputs differ in length: shape is that at the first" in said
    found = library.load("nakami-out/gpt2/run")
    assert found.names == ("transformer.h.1.mlp", "output")
    for spectrum, ids in zip(found.at("output"), IDS, strict=False):
        wanted = dense(model, ids)[-folders.KINDS :]
        assert spectrum.shape == wanted.shape
        np.testing.assert_allclose(
            spectrum.values, torch.linalg.svdvals(wanted), rtol=0, atol=1e-9 * spectrum.values[0]
        )
    done = nakami(*run, "--positions", 2)
    assert done.code == 2
    assert "--positions must be from -2 to 1, the positions of" in done.err
    done = nakami(*run, "--positions", "first")
    assert "--positions must be 'all', 'last', 'mean' or the number of a position" in done.err
    done = nakami("xray", "--positions", "last")
    assert "--positions must come with --model" in done.err


def test_a_mask_with_a_hole_is_left_as_it_is(texts):
    """Only what fills a text up at its ends is no part of it."""
    model = folders.save(folders.bert, texts / "bert").double()
    ids = torch.tensor([[4, 5, 6, 7]])
    for mask, length in (([1, 0, 1, 1], 4), ([0, 1, 1, 0], 2)):
        x = {"input_ids": ids, "attention_mask": torch.tensor([mask])}
        run = library.xray(model, x, stages=["output"])
        assert run.spectra[0].shape == (length * folders.KINDS, length * 8)


def test_stages_name_the_residual_stream_attention_and_the_mlp(nakami, texts):
    folders.save(folders.llama, texts / "llama")
    done = nakami("stages", "--model", "hf:llama", "--data", "texts.txt", "--json")
    assert done.code == 0, done.err
    rows = {row["name"]: row for row in json.loads(done.out)["stages"]}
    for i in range(2):
        layer = f"model.layers.{i}"
        assert rows[layer]["auto"]
        for part in ("self_attn", "mlp"):
            assert rows[f"{layer}.{part}"]["shape"] == [6, 8]
            assert not rows[f"{layer}.{part}"]["auto"]


@pytest.mark.parametrize("inside", [False, True])
def test_targets_of_texts_are_the_tokens_that_follow(texts, inside):
    """The mean loss is that which the model makes of the labels that it shifts itself."""
    model = folders.save(folders.gpt2, texts / "gpt2").double()
    options = LabelledOptions(data=Path("texts.txt"))
    found = hf.labelled("hf:gpt2", options, n=3, seed=0, inside=inside)
    ids, mask = torch.zeros(3, 6, dtype=torch.int64), torch.zeros(3, 6, dtype=torch.int64)
    for i, row in enumerate(IDS):
        ids[i, : len(row)], mask[i, : len(row)] = torch.tensor(row), 1
    with folders.quiet():
        loss = model(ids, attention_mask=mask, labels=ids.masked_fill(mask == 0, -100)).loss
        out = model(**found.inputs)
    own = out.loss if inside else functional.cross_entropy(out.logits.mT, found.targets)
    assert own.item() == pytest.approx(loss.item(), rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["own", "cross_entropy"])
def test_the_learning_rate_of_texts(nakami, texts, loss):
    folders.save(folders.gpt2, texts / "gpt2")
    run = ("lr", "--model", "hf:gpt2", "--data", "texts.txt", "--loss", loss, "--no-page")
    done = nakami(*run)
    assert done.code == 0, done.err
    assert "3 of 3 texts of texts.txt, 2 to 6 tokens" in " ".join(done.out.split())


def test_a_classifier_wants_labels(nakami, texts):
    folders.save(folders.classifier, texts / "classifier")
    done = nakami("lr", "--model", "hf:classifier", "--data", "texts.txt")
    assert done.code == 2
    said = " ".join(done.err.split())
    assert "hold labels for BertForSequenceClassification, got texts alone" in said
    assert "np.savez('tokens.npz', input_ids=ids, labels=labels)" in said
