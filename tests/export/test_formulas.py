"""Functions that torch's exporter writes wrongly: shown wrong by itself, right or refused here."""

import math
import warnings
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from exported_families import source
from nakami.data import Examples
from nakami.export import Source, export
from nakami.results import RunError

pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

ROWS = torch.tensor([[-100.0, -50, -17, -3, -1e-3, 0], [1e-3, 2, 17, 60, 95, 100]])


class Function(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def attended(x):
    """The second row may look at nothing."""
    allowed = torch.tensor([[True, True], [False, False]])
    states = x.reshape(-1, 1, 2, 3)
    return F.scaled_dot_product_attention(states, states, states, allowed).flatten(1)


FORMULAS = {
    "logsigmoid": F.logsigmoid,
    "cross-entropy of logits": lambda x: F.binary_cross_entropy_with_logits(
        x, torch.ones_like(x), reduction="none"
    ),
    "logaddexp": lambda x: torch.logaddexp(x, torch.zeros_like(x)),
    "log1p": lambda x: torch.log1p(x.abs() * 1e-9),
    "expm1": lambda x: torch.expm1(x * 1e-9),
    "attention to nothing": attended,
}
REFUSED = {
    "divisor_override": lambda x: F.avg_pool2d(x[:, None, None], (1, 2), divisor_override=3),
    "label_smoothing": lambda x: F.cross_entropy(
        x, torch.zeros(len(x), dtype=torch.long), label_smoothing=0.1, reduction="none"
    ),
    "scatter_reduce": lambda x: torch.zeros(len(x), 1).scatter_reduce(
        1, torch.zeros_like(x, dtype=torch.long), x, "mean", include_self=False
    ),
    "logcumsumexp": lambda x: torch.logcumsumexp(x, 1),
    "log_ndtr": torch.special.log_ndtr,
}


def by_torch_alone(function, path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            Function(function).eval(), (ROWS,), dynamo=True, input_names=["x"], verbose=False
        )
    program.save(str(path))
    found = onnxruntime.InferenceSession(str(path)).run(None, {"x": ROWS.numpy()})[0]
    return torch.from_numpy(found)


def rows_source(function):
    given = Examples(ROWS, None, ("first", "second"), "as stored", "made for a test")
    return Source("function", Function(function).eval(), given)


def close(found, truth):
    return torch.allclose(found, truth, rtol=1e-5, atol=1e-15, equal_nan=True)


@pytest.mark.parametrize("name", FORMULAS)
def test_a_formula_is_right_where_torch_alone_writes_a_wrong_one(name, tmp_path):
    function, truth = FORMULAS[name], FORMULAS[name](ROWS)
    assert not close(by_torch_alone(function, tmp_path / "alone.onnx"), truth)
    found = export(rows_source(function), tmp_path, int8=False)
    session = onnxruntime.InferenceSession(str(found.file.path))
    assert close(torch.from_numpy(session.run(None, {"input": ROWS.numpy()})[0]), truth)


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_be_wrong_without_a_word_is_refused(name, tmp_path):
    function = REFUSED[name]
    assert not close(by_torch_alone(function, tmp_path / "alone.onnx"), function(ROWS))
    with pytest.raises(RunError, match=name):
        export(rows_source(function), tmp_path / "ours")


@pytest.mark.parametrize("kind", ["causal", "additive"])
def test_attention_with_other_masks(kind, tmp_path):
    def function(x):
        states = x.reshape(-1, 1, 3, 2)
        mask = torch.tensor([[0.0, -math.inf, 1], [-math.inf] * 3, [1, 2, 3]])
        options = {"is_causal": True} if kind == "causal" else {"attn_mask": mask}
        return F.scaled_dot_product_attention(states, states, states, **options).flatten(1)

    found = export(rows_source(function), tmp_path, int8=False)
    assert found.agreement.relative < 1e-6


class Positions(nn.Module):
    """States of an encoder at all positions, padded ones too."""

    def __init__(self, encoder):
        super().__init__()
        self.encoder = encoder

    def forward(self, tokens, mask):
        states = self.encoder.embed(tokens)
        return self.encoder.layers(states, src_key_padding_mask=mask == 0)


def test_padded_positions_of_an_encoder_are_no_reason_to_refuse(tmp_path):
    given = source("encoder")
    net = Positions(given.model).eval()
    assert export(replace(given, model=net), tmp_path, int8=False).agreement.relative < 1e-5
