"""The averaged Jacobian of models of Hugging Face transformers."""

import numpy as np
import pytest
import torch

import nakami

hosts = pytest.importorskip("transformers", reason="transformers is not installed (extra hf)")


def gpt2():
    config = hosts.GPT2Config(
        vocab_size=30, n_embd=8, n_layer=3, n_head=2, n_positions=16, bos_token_id=1, eos_token_id=2
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return hosts.GPT2LMHeadModel(config).double().eval()


def tokens(lengths):
    generator = torch.Generator().manual_seed(1)
    return [torch.randint(3, 30, (n,), generator=generator) for n in lengths]


def test_blocks_of_a_decoder_by_plain_autograd():
    model, ids = gpt2(), tokens([5, 5])
    found = nakami.lens(model, torch.stack(ids), "auto")
    assert list(found) == ["transformer.h.0", "transformer.h.1"]
    wanted = []
    for one in ids:
        states = model(one[None], output_hidden_states=True).hidden_states
        inside, end = states[2], model.transformer.h[2](states[2])
        end = end[0] if isinstance(end, tuple) else end
        rows = [
            torch.autograd.grad(end[0, :, i].sum(), inside, retain_graph=True)[0][0].mean(0)
            for i in range(8)
        ]
        wanted.append(torch.stack(rows).detach().numpy())
    np.testing.assert_allclose(found["transformer.h.1"].mean, np.mean(wanted, 0), rtol=1e-9)


@pytest.mark.parametrize("side", ["left", "right"])
def test_padded_prompts_are_read_as_they_are_alone(side):
    model, ids = gpt2(), tokens([6, 4, 5])
    batch = {"input_ids": torch.zeros(3, 6, dtype=torch.long)}
    batch["attention_mask"] = torch.zeros_like(batch["input_ids"])
    for i, one in enumerate(ids):
        here = slice(6 - len(one), 6) if side == "left" else slice(len(one))
        batch["input_ids"][i, here], batch["attention_mask"][i, here] = one, 1
    padded = nakami.lens(model, batch, "transformer.h.0", positions=slice(1, None))
    alone = nakami.lens(model, ids, "transformer.h.0", positions=slice(1, None))
    np.testing.assert_allclose(padded.mean, alone.mean, rtol=1e-9, atol=1e-12)
    assert padded.n_positions == alone.n_positions == 12
