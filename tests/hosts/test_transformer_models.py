"""Small random models of transformers: Jacobians and curvature beside dense ones by autograd."""

import pytest
import torch
from torch.nn import functional
from torch.testing import assert_close

import nakami
from gauntlet import Reference
from gauntlet.reference import first_tensor
from nakami.results import UsageError

hosts = pytest.importorskip("transformers", reason="transformers is not installed (extra hf)")
pytestmark = pytest.mark.slow
KINDS, IDS = 11, torch.tensor([[3, 1, 4, 1, 5], [9, 2, 6, 5, 3], [5, 8, 9, 7, 9]])
SMALL = {"vocab_size": KINDS, "hidden_size": 4, "num_hidden_layers": 1, "num_attention_heads": 2}
LINES = {"intermediate_size": 6, "max_position_embeddings": 8}


def bert():
    config = hosts.BertConfig(**SMALL, **LINES, num_labels=3)
    return hosts.BertForSequenceClassification(config)


def gpt2():
    config = hosts.GPT2Config(
        vocab_size=KINDS,
        n_embd=4,
        n_layer=1,
        n_head=2,
        n_positions=8,
        bos_token_id=0,
        eos_token_id=0,
    )
    return hosts.GPT2LMHeadModel(config)


def llama():
    config = hosts.LlamaConfig(
        **SMALL, **LINES, num_key_value_heads=1, bos_token_id=0, eos_token_id=1
    )
    return hosts.LlamaForCausalLM(config)


def t5():
    config = hosts.T5Config(
        vocab_size=KINDS, d_model=4, d_kv=2, d_ff=6, num_layers=1, num_heads=2,
        decoder_start_token_id=0,
    )  # fmt: skip
    return hosts.T5ForConditionalGeneration(config)


def vit():
    config = hosts.ViTConfig(
        hidden_size=4, num_hidden_layers=1, num_attention_heads=2, intermediate_size=6,
        image_size=8, patch_size=4, num_channels=1, num_labels=3,
    )  # fmt: skip
    return hosts.ViTForImageClassification(config)


def made(make):
    torch.manual_seed(0)
    model = make().double().eval()
    with torch.no_grad():  # their weights begin near zero, and so do all derivatives
        for p in model.parameters():
            p.mul_(8 if p.ndim > 1 else 1)
    return model


def by_embedding(model, table, x):
    """The Jacobian of the first output by what a layer returns."""
    state = table(x["input_ids"]).detach()

    def outputs(value):
        hook = table.register_forward_hook(lambda *_: value)
        try:
            return (
                Reference(model, lambda m, x: first_tensor(m(**x)))
                .outputs(Reference(model).point, x)
                .reshape(-1)
            )
        finally:
            hook.remove()

    found = torch.autograd.functional.jacobian(outputs, state)
    return found.reshape(len(found), -1)


INSIDE = 1e-6  # normalisation and loss of some compute in float32, whatever the model does
MASK = torch.tensor([[1, 1, 1, 1, 0]])
TOKENS = {
    "bert": (bert, {"input_ids": IDS[:1], "attention_mask": MASK}),
    "gpt2": (gpt2, {"input_ids": IDS[:1]}),
    "llama": (llama, {"input_ids": IDS[:1]}),
}


@pytest.mark.parametrize("name", TOKENS)
def test_from_the_embedding(name):
    make, x = TOKENS[name]
    model = made(make)
    wanted = by_embedding(model, model.get_input_embeddings(), x)
    op = nakami.jacobian(model, x)
    near = INSIDE if name == "llama" else 1e-10
    assert_close(op.dense(), wanted, rtol=0, atol=near * float(wanted.abs().max()))
    found, values = nakami.svd(op, 3, tol=1e-9).values, torch.linalg.svdvals(wanted)
    assert_close(found, values[:3], rtol=0, atol=max(1e-7, near) * float(values[0]))


def test_pictures():
    model, x = made(vit), torch.randn(1, 1, 8, 8, dtype=torch.float64)
    wanted = torch.autograd.functional.jacobian(lambda v: model(v).logits[0], x).reshape(3, -1)
    assert_close(nakami.jacobian(model, x).dense(), wanted, rtol=1e-8, atol=1e-12)
    run = nakami.xray(model, x, stages=["output"])
    values = torch.as_tensor(run.spectra[0].values)
    assert_close(values, torch.linalg.svdvals(wanted), rtol=1e-6, atol=1e-10)


def shifted(out, labels):
    z = out.logits if hasattr(out, "logits") else out
    return functional.cross_entropy(z[:, :-1].flatten(0, 1), labels[:, 1:].flatten())


@pytest.mark.parametrize("make", [gpt2, llama])
def test_the_loss_that_they_make(make):
    """In float32, beside the same loss written out in float64."""
    model = made(make)
    reference = Reference(model, lambda m, x: m(**x).logits)
    parts = [IDS[:2], IDS[2:]]
    own = [reference.hessian({"input_ids": ids}, ids, shifted) for ids in parts]
    wanted = (2 * own[0] + own[1]) / 3
    data = [{"input_ids": ids, "labels": ids} for ids in parts]
    found = nakami.hessian(model.float(), data, None).dense().double()
    assert_close(found, wanted, rtol=0, atol=2e-5 * float(wanted.abs().max()))


def test_a_rate_from_the_loss_that_it_makes():
    """The limit by its value alone, in float64: ``model(**batch).loss`` differentiated twice."""
    model = made(gpt2)
    batch = {"input_ids": IDS, "labels": IDS}
    whole = Reference(model, lambda m, x: m(**x).loss).hessian(batch, None, lambda z, y: z)
    found = nakami.rate_limit(model, [batch], None, "momentum")
    assert found.limit == pytest.approx(3.8 / float(torch.linalg.eigvalsh(whole)[-1]), rel=1e-3)
    assert found.value == pytest.approx(model.eval()(**batch).loss.item(), rel=1e-10)
    assert nakami.learning_rate(model, [batch], None, "momentum").advised is not None
    with pytest.raises(UsageError, match=r"loss must return a tensor, got NoneType; .*loss=None"):
        nakami.learning_rate(model, [batch], lambda out, y: out.loss)


def test_an_encoder_and_a_decoder():
    model = made(t5)
    x = {"input_ids": IDS, "decoder_input_ids": IDS[:, :3]}
    y = torch.randint(0, KINDS, (3, 3), generator=torch.Generator().manual_seed(0))
    reference = Reference(model, lambda m, x: m(**x).logits.flatten(0, 1))
    wanted = reference.ggn(x, y.flatten(), functional.cross_entropy)
    op = nakami.ggn(model, (x, y), "cross_entropy")
    v = torch.randn(len(wanted), 2, generator=torch.Generator().manual_seed(1)).double()
    assert_close(op @ v, wanted @ v, rtol=0, atol=10 * INSIDE * float((wanted @ v).abs().max()))


@pytest.mark.parametrize("make", [gpt2, llama])
def test_language_with_a_loss_of_ones_own(make):
    model = made(make)
    reference = Reference(model, lambda m, x: m(**x).logits)
    x = {"input_ids": IDS}
    wanted = reference.ggn(x, IDS, shifted)
    op = nakami.ggn(model, (x, IDS), shifted)
    near = INSIDE if make is llama else 1e-9
    assert_close(op.dense(), wanted, rtol=0, atol=near * float(wanted.abs().max()))
    found = nakami.rate_limit(model, (x, IDS), shifted, "sgd").lambda_max
    assert found == pytest.approx(float(torch.linalg.eigvalsh(wanted)[-1]), rel=2e-3)


def test_fisher_of_classes():
    model, y = made(bert), torch.tensor([0, 2, 1])
    x = {"input_ids": IDS, "attention_mask": MASK.repeat(3, 1)}
    reference = Reference(model, lambda m, x: m(**x).logits)
    wanted = reference.ggn(x, y, functional.cross_entropy)
    data = [{**x, "labels": y}]
    op = nakami.fisher(model, data, "cross_entropy")
    assert_close(op.dense(), wanted, rtol=1e-8, atol=1e-10 * float(wanted.abs().max()))
    assert nakami.trace(op, 1e-9).value == pytest.approx(float(wanted.trace()), rel=1e-6)
