"""Models of tokens on the command line: every command, language models and padded texts."""

import json

import numpy as np
import pytest
import torch

import nakami as library

NETWORKS = '''
import torch
from torch import nn


class Model(nn.Module):
    """A recurrent model of language: logits (B, T, 9)."""

    def __init__(self, classes=9):
        super().__init__()
        self.embed = nn.Embedding(9, 4)
        self.body = nn.Linear(4, 5)
        self.head = nn.Linear(5, classes)

    def forward(self, input_ids):
        return self.head(torch.tanh(self.body(self.embed(input_ids))).cumsum(1))


class Classifier(Model):
    """Three classes of a padded text."""

    def __init__(self):
        super().__init__(3)

    def forward(self, input_ids, attention_mask):
        kept = attention_mask[..., None].to(self.head.weight.dtype)
        return (super().forward(input_ids) * kept).sum(1) / kept.sum(1)


class Own(Model):
    """It makes its loss, of the labels that it shifts."""

    def forward(self, input_ids, labels):
        z = super().forward(input_ids)
        loss = nn.functional.cross_entropy(z[:, :-1].flatten(0, 1), labels[:, 1:].flatten())
        return {"loss": loss, "logits": z}
'''


@pytest.fixture
def texts(here):
    """``lm.npz``, ``padded.npz`` and ``ids.npy``."""
    (here / "odd_net.py").write_text(NETWORKS)
    rng = np.random.default_rng(0)
    ids, mask = rng.integers(0, 9, (12, 5)), np.ones((12, 4), int)
    mask[::2, 2:] = 0
    np.savez(here / "lm.npz", x=ids[:, :-1], y=ids[:, 1:])
    padded = {"input_ids": ids[:, 1:], "attention_mask": mask, "labels": np.arange(12) % 3}
    np.savez(here / "padded.npz", **padded)
    np.save(here / "ids.npy", ids[:, 1:])
    np.savez(here / "own.npz", input_ids=ids, labels=ids)
    np.savez(here / "bare.npz", input_ids=ids)
    return here


def test_stages_and_init_take_tokens(nakami, texts):
    for data, model in (("ids.npy", "Model"), ("padded.npz", "Classifier")):
        done = nakami("stages", "--model", f"odd_net.py:{model}", "--data", data)
        assert done.code == 0, done.err
        assert "embed" in done.out
        done = nakami(
            "init", "--model", f"odd_net.py:{model}", "--data", data, "--inputs", 4, "--probes", 2
        )
        assert done.code == 0, done.err
        assert f"Data: 4 examples of {data}." in done.out


def test_the_xray_of_tokens_is_that_of_plain_torch(nakami, texts):
    run = ("xray", "--model", "odd_net.py:Model", "--data", "ids.npy", "--inputs", 1, "--no-page")
    done = nakami(*run, "--stages", "head", "--dtype", "float64")
    assert done.code == 0, done.err
    found = library.load("nakami-out/Model/run")
    torch.manual_seed(0)
    import odd_net

    torch.manual_seed(0)
    model = odd_net.Model().double()
    e = model.embed(torch.as_tensor(np.load("ids.npy")[:1])).detach()

    def tail(v):
        return model.head(torch.tanh(model.body(v.view_as(e))).cumsum(1)).flatten()

    wanted = torch.linalg.svdvals(torch.autograd.functional.jacobian(tail, e.flatten()))
    np.testing.assert_allclose(found.values("head")[0], wanted[:16], rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize(("data", "model"), [("lm.npz", "Model"), ("padded.npz", "Classifier")])
def test_learning_rates_of_tokens_are_those_of_plain_torch(nakami, texts, data, model):
    run = ("lr", "--model", f"odd_net.py:{model}", "--data", data, "--no-page", "--json")
    done = nakami(*run, "--batch", 12, "--batches", 1, "--dtype", "float64")
    assert done.code == 0, done.err
    torch.manual_seed(0)
    import odd_net

    torch.manual_seed(0)
    net = getattr(odd_net, model)().double()
    arrays = {k: torch.as_tensor(v) for k, v in np.load(data).items()}
    y = arrays.pop("y" if data == "lm.npz" else "labels").flatten()
    names, weights = zip(*net.named_parameters(), strict=True)
    sizes = [p.numel() for p in weights]

    def logits(flat):
        parts = (p.view_as(w) for p, w in zip(flat.split(sizes), weights, strict=True))
        z = torch.func.functional_call(
            net, dict(zip(names, parts, strict=True)), (*arrays.values(),)
        )
        return z.reshape(len(y), -1)

    flat = torch.cat([p.detach().flatten() for p in weights])
    J, p = torch.func.jacrev(logits)(flat), logits(flat).softmax(-1)
    H = torch.diag_embed(p) - p[:, :, None] * p[:, None]
    largest = torch.linalg.eigvalsh(torch.einsum("ncp,ncd,ndq->pq", J, H, J) / len(y))[-1]
    assert json.loads(done.out)["limit"]["limit"] == pytest.approx(float(2 / largest), rel=2e-3)


def test_the_limit_of_a_loss_that_the_model_makes_is_that_of_plain_torch(nakami, texts):
    run = ("lr", "--model", "odd_net.py:Own", "--data", "own.npz", "--loss", "own", "--no-page")
    done = nakami(*run, "--batch", 12, "--batches", 1, "--dtype", "float64", "--json")
    assert done.code == 0, done.err
    torch.manual_seed(0)
    import odd_net

    torch.manual_seed(0)
    net = odd_net.Own().double()
    ids = torch.as_tensor(np.load("own.npz")["input_ids"])
    names, weights = zip(*net.named_parameters(), strict=True)
    sizes = [p.numel() for p in weights]

    def loss(flat):
        parts = (p.view_as(w) for p, w in zip(flat.split(sizes), weights, strict=True))
        given = dict(zip(names, parts, strict=True))
        return torch.func.functional_call(net, given, (ids, ids))["loss"]

    flat = torch.cat([p.detach().flatten() for p in weights])
    wanted = 2 / torch.linalg.eigvalsh(torch.autograd.functional.hessian(loss, flat))[-1]
    limit = json.loads(done.out)["limit"]
    assert limit["limit"] == pytest.approx(float(wanted), rel=2e-3)
    assert (limit["n_samples"], limit["loss"]) == (12, "the model's own loss")
    shown = nakami("show", "nakami-out/Own/lr-sgd,batch-12,batches-1,loss-own,dtype-float64")
    assert "limit is that of the loss's Hessian" in " ".join((shown.out + shown.err).split())


@pytest.mark.parametrize("data", ["ids.npy", "bare.npz"])
def test_tokens_without_labels_are_told_what_to_store(nakami, texts, data):
    done = nakami("lr", "--model", "odd_net.py:Model", "--data", data)
    assert done.code == 2
    assert "hold labels" in done.err
    said = " ".join(done.err.split())
    assert "np.savez('tokens.npz', input_ids=ids, labels=ids) (labels that repeat" in said


def test_the_models_own_loss_takes_arrays_by_their_names(nakami, texts):
    done = nakami("lr", "--model", "odd_net.py:Own", "--data", "ids.npy", "--loss", "own")
    assert done.code == 2
    assert "--data must be an .npz for a model that makes its loss" in " ".join(done.err.split())
    done = nakami("lr", "--loss", "own")
    assert (done.code, done.out) == (2, "")
    assert "--loss must come with --data where it is own" in done.err
