"""The averaged Jacobian against dense float64 Jacobians by plain autograd, and its errors."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.autograd.functional import jacobian as dense

import nakami
from nakami.results import Jackknifed, Lens, LensEnding, RunError, UsageError

WORDS, WIDTH = 13, 4


class Block(nn.Module):
    def __init__(self, causal):
        super().__init__()
        self.attend = nn.MultiheadAttention(WIDTH, 2, batch_first=True)
        self.mix, self.norm, self.causal = nn.Linear(WIDTH, WIDTH), nn.LayerNorm(WIDTH), causal

    def forward(self, x, padding=None):
        n = x.shape[1]
        ahead = torch.ones(n, n, dtype=torch.bool).triu(1) if self.causal else None
        z = self.norm(x)
        x = x + self.attend(z, z, z, padding, need_weights=False, attn_mask=ahead)[0]
        return x + torch.tanh(self.mix(x))


class Transformer(nn.Module):
    def __init__(self, causal=True, blocks=3):
        super().__init__()
        self.embed = nn.Embedding(WORDS, WIDTH)
        self.blocks = nn.ModuleList(Block(causal) for _ in range(blocks))
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, WORDS)

    def forward(self, input_ids, attention_mask=None):
        padding = None if attention_mask is None else attention_mask == 0
        x = self.embed(input_ids)
        for block in self.blocks:
            x = block(x, padding)
        return self.head(self.norm(x))


def made(build, *more):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return build(*more).double().eval()


def tokens(n, length, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(WORDS, (n, length), generator=generator)


def by_autograd(model, ids, start, here, mask=None):
    """The mean over source positions of the sum over targets, from the whole Jacobian."""
    x = model.embed(ids[None]).detach()
    padding = None if mask is None else mask[None] == 0
    with torch.no_grad():
        for block in model.blocks[: start + 1]:
            x = block(x, padding)

    def rest(x):
        for block in model.blocks[start + 1 :]:
            x = block(x, padding)
        return x

    whole = dense(rest, x)[0, :, :, 0]  # (t', i, t, j)
    return whole[here][:, :, here].sum(0).mean(1).numpy()


def mean_and_error(matrices):
    stacked = np.stack(matrices)
    return stacked.mean(0), stacked.std(0, ddof=1) / len(matrices) ** 0.5


@pytest.mark.parametrize("positions", [slice(None), slice(2, -1)])
def test_causal_decoder_is_that_of_plain_autograd(positions):
    model, ids = made(Transformer), tokens(5, 6)
    here = torch.arange(6)[positions]
    found = nakami.lens(model, ids, "blocks.0", positions=positions)
    mean, errors = mean_and_error([by_autograd(model, one, 0, here) for one in ids])
    np.testing.assert_allclose(found.mean, mean, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(found.standard_errors, errors, rtol=1e-10, atol=1e-12)
    assert (found.stage, found.to, found.n_prompts) == ("blocks.0", "blocks.2", 5)
    assert found.n_positions == 5 * len(here)
    assert found.check < 1e-12
    other = nakami.lens(model, ids, "blocks.0", positions=slice(3, -1))
    with pytest.raises(AssertionError, match="Not equal to tolerance"):  # it can fail
        np.testing.assert_allclose(other.mean, mean, rtol=1e-3)


def test_several_stages_share_their_passes_and_agree_with_one():
    model, ids = made(Transformer), tokens(3, 5)
    both = nakami.lens(model, ids, ["blocks.0", "blocks.1"])
    assert list(both) == ["blocks.0", "blocks.1"]
    for name, found in both.items():
        np.testing.assert_allclose(found.mean, nakami.lens(model, ids, name).mean, rtol=1e-12)


def test_auto_reads_all_blocks_but_the_last():
    model, ids = made(Transformer), tokens(2, 4)
    found = nakami.lens(model, ids, "auto")
    assert list(found) == ["blocks.0", "blocks.1"]
    assert list(nakami.lens(model, ids, "auto", "blocks.1")) == ["blocks.0"]
    assert list(nakami.lens(model, ids, "blocks.?", "norm")) == [f"blocks.{i}" for i in range(3)]
    with pytest.raises(
        UsageError, match=r"stage must be named where .*; pass stage='0', or others of 0, 1"
    ):
        nakami.lens(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)), torch.randn(3, 2), "auto")


def test_encoder_leaves_out_padding():
    model, ids = made(Transformer, False), tokens(4, 6)
    mask = torch.arange(6) < torch.tensor([[6], [4], [5], [3]])
    batch = {"input_ids": ids, "attention_mask": mask.long()}
    found = nakami.lens(model, batch, "blocks.0")
    wanted = [
        by_autograd(model, one, 0, some.nonzero()[:, 0], some)
        for one, some in zip(ids, mask, strict=True)
    ]
    np.testing.assert_allclose(found.mean, np.mean(wanted, 0), rtol=1e-10, atol=1e-12)
    assert found.n_positions == 18
    named = nakami.lens(model, batch, "blocks.0", mask="attention_mask")
    given = nakami.lens(model, batch, "blocks.0", mask=mask)
    assert np.array_equal(named.mean, found.mean)
    assert np.array_equal(given.mean, found.mean)


def test_prompts_of_their_own_lengths_and_batches_of_them():
    model = made(Transformer)
    ids = [tokens(1, length, length)[0] for length in (3, 5, 4)]
    listed = nakami.lens(model, ids, "blocks.0")
    wanted = [by_autograd(model, one, 0, torch.arange(len(one))) for one in ids]
    np.testing.assert_allclose(listed.mean, np.mean(wanted, 0), rtol=1e-10, atol=1e-12)
    batches = nakami.lens(model, (one[None] for one in ids), "blocks.0")
    assert np.array_equal(batches.mean, listed.mean)
    assert batches.settings["data_sha256"] == listed.settings["data_sha256"]


def test_prompts_without_a_position_are_passed_over():
    model = made(Transformer)
    ids = [tokens(1, length, length)[0] for length in (3, 5, 4)]
    found = nakami.lens(model, ids, "blocks.0", positions=slice(3, None))
    assert (found.n_prompts, found.n_positions) == (2, 3)
    assert found.settings["passed_over"] == 1


def test_vectors_without_positions():
    model = made(nn.Sequential, nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 5), nn.Tanh())
    x = torch.randn(7, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    found = nakami.lens(model, x, "0")
    wanted = [dense(model[1:], model[0](one).detach()).numpy() for one in x]
    mean, errors = mean_and_error(wanted)
    np.testing.assert_allclose(found.mean, mean, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(found.standard_errors, errors, rtol=1e-10, atol=1e-12)
    assert found.n_positions == 7
    whole = nakami.lens(model, x, "input", "3")
    np.testing.assert_allclose(
        whole.mean, np.mean([dense(model, one).numpy() for one in x], 0), rtol=1e-10, atol=1e-12
    )
    assert math.isnan(whole.identity.value)  # 5 x 3


def test_channels_first_and_a_pooled_end():
    model = made(
        nn.Sequential, nn.Conv1d(2, 3, 3), nn.Tanh(), nn.Conv1d(3, 3, 1), nn.AdaptiveAvgPool1d(1)
    )
    x = torch.randn(4, 2, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    found = nakami.lens(model, x, "0", "2", axis=0, positions=slice(1, 4))
    some = slice(1, 4)
    wanted = [
        dense(model[1:3], model[:1](one[None]).detach())[0, :, some, 0, :, some].sum(1).mean(2)
        for one in x
    ]
    np.testing.assert_allclose(found.mean, torch.stack(wanted).mean(0).numpy(), rtol=1e-10)
    pooled = nakami.lens(model, x, "0", "3", axis=0)
    wanted = [dense(model[1:], model[:1](one[None]).detach())[0, :, 0, 0].mean(2) for one in x]
    np.testing.assert_allclose(pooled.mean, torch.stack(wanted).mean(0).numpy(), rtol=1e-10)


def test_recurrent_net():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.enter, self.gru = nn.Linear(2, 3), nn.GRU(3, 3, batch_first=True)

        def forward(self, x):
            return self.gru(self.enter(x))[0]

    model = made(Net)
    x = torch.randn(3, 5, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    found = nakami.lens(model, x, "enter", "gru")
    wanted = [
        dense(lambda h: model.gru(h)[0], model.enter(one[None]).detach())[0, :, :, 0].sum(0).mean(1)
        for one in x
    ]
    np.testing.assert_allclose(found.mean, torch.stack(wanted).mean(0).numpy(), rtol=1e-10)


def test_numbers_of_the_mean_by_their_formulas():
    found = nakami.lens(made(Transformer), tokens(6, 5), "blocks.0")
    s = np.linalg.svd(found.mean, compute_uv=False)
    alpha = np.trace(found.mean) / WIDTH
    rest = np.linalg.svd(found.mean - alpha * np.eye(WIDTH), compute_uv=False)
    np.testing.assert_allclose(found.values, s, rtol=1e-10)
    np.testing.assert_allclose((found.left * s) @ found.right.T, found.mean, atol=1e-12)
    assert found.norm.value == pytest.approx(np.linalg.norm(found.mean))
    assert found.identity.value == pytest.approx(alpha)
    assert found.identity_share.value == pytest.approx(WIDTH * alpha**2 / (s**2).sum())
    for values, power, entropy in (
        (s, found.participation, found.entropy_rank),
        (rest, found.participation_beyond, found.entropy_rank_beyond),
    ):
        shares = values / values.sum()
        assert power.value == pytest.approx((values**2).sum() ** 2 / (values**4).sum())
        assert entropy.value == pytest.approx(np.exp(-(shares * np.log(shares)).sum()))
    assert 0 < found.agreement.value <= 1
    assert 0 < found.noise < found.values[0]
    assert found.rows()[0]["values"] == found.values[0]


def test_reading_ends_at_the_wanted_error():
    model, ids = made(Transformer), tokens(20, 4)
    full = nakami.lens(model, ids, "blocks.0")
    wanted = 1.3 * full.error
    found = nakami.lens(model, ids, "blocks.0", error=wanted)
    assert found.outcome.kind is LensEnding.PRECISE
    assert 8 <= found.n_prompts < 20
    assert found.error <= wanted
    assert found.prompts_for(full.error) == pytest.approx(20, rel=0.5)
    missed = nakami.lens(model, ids, "blocks.0", n=9, error=0.1 * full.error)
    assert missed.outcome.kind is LensEnding.IMPRECISE
    assert not missed.converged
    assert missed.n_prompts == 9
    assert "above" in missed.reason


def test_numbers_are_shown_to_two_digits_of_their_errors():
    assert str(Jackknifed(0.28, 0.003851, 0.0)) == "0.2800 ± 0.0039"
    assert str(Jackknifed(45.123, 12.0, 0.0)) == "45 ± 12"
    assert str(Jackknifed(0.28, math.nan, math.nan)) == "0.28"


def test_one_prompt_has_no_error():
    found = nakami.lens(made(Transformer), tokens(1, 5), "blocks.0")
    assert found.outcome.kind is LensEnding.UNKNOWN
    assert math.isnan(found.error)
    assert math.isnan(found.identity.se)
    assert np.isnan(found.value_errors).all()


def test_the_model_and_the_random_state_are_left_alone():
    model = made(Transformer).train()
    state = torch.get_rng_state()
    nakami.lens(model, tokens(2, 4), "blocks.0")
    assert model.training
    assert torch.equal(state, torch.get_rng_state())
    assert all(p.grad is None for p in model.parameters())


def test_a_prompt_without_a_finite_jacobian_is_named():
    class Root(nn.Module):
        def __init__(self):
            super().__init__()
            self.enter, self.leave = nn.Linear(3, 3), nn.Linear(3, 3)

        def forward(self, x):
            return self.leave(self.enter(x).abs().sqrt())

    model = Root()
    with torch.no_grad():
        model.enter.weight.copy_(torch.eye(3))
        model.enter.bias.zero_()
    x = torch.rand(4, 3) + 0.1
    x[2, 1] = 0
    with pytest.raises(RunError, match="the Jacobian from 'enter' is NaN or infinite at prompt 2"):
        nakami.lens(model, x, "enter", "leave")


def test_words_that_a_direction_writes():
    model = made(Transformer)
    found = nakami.lens(model, tokens(6, 5), "blocks.0")
    names = [f"w{i}" for i in range(WORDS)]
    matrix = model.head.weight
    first = found.words(matrix, names, 3, n=2)[0]
    products = matrix.detach().numpy() @ found.left[:, 0]
    order = np.argsort(-products)
    assert [word for word, _ in first.ahead] == [names[i] for i in order[:3]]
    assert [word for word, _ in first.behind] == [names[i] for i in order[::-1][:3]]
    assert first.value == found.values[0]
    coarse = found.words(matrix.to(torch.bfloat16), names, 1, n=1)[0]
    assert coarse.ahead[0][1] == pytest.approx(first.ahead[0][1], rel=0.02)
    read = found.words(model.embed.weight, names, 1, n=1, side="right")[0]
    assert read.ahead[0][1] == pytest.approx(
        (model.embed.weight.detach().numpy() @ found.right[:, 0]).max()
    )


def test_a_lens_comes_back_from_its_file(tmp_path):
    found = nakami.lens(made(Transformer), tokens(6, 5), "blocks.0")
    path = found.save(tmp_path / "one.safetensors")
    again = Lens.load(path)
    for name, value in vars(found).items():
        if isinstance(value, np.ndarray):
            assert np.array_equal(getattr(again, name), value)
        else:
            assert getattr(again, name) == value, name
    one = nakami.lens(made(Transformer), tokens(1, 5), "blocks.0")
    assert math.isnan(Lens.load(one.save(tmp_path / "two")).identity.se)


def test_files_that_hold_no_lens(tmp_path):
    from safetensors.numpy import save_file

    with pytest.raises(UsageError, match="path must be a file that a lens was saved to"):
        Lens.load(tmp_path / "missing")
    (tmp_path / "text").write_text("no")
    with pytest.raises(UsageError, match="path must be a file that a lens was saved to"):
        Lens.load(tmp_path / "text")
    save_file({"a": np.zeros(2)}, tmp_path / "other")
    with pytest.raises(UsageError, match=r"hold a lens of layout nakami.lens/1, got none in"):
        Lens.load(tmp_path / "other")


REFUSALS = {
    "unknown stage": ({"stage": "blocks.7"}, "stage 'blocks.7' is unknown; nearest"),
    "no stage": ({"stage": []}, "stage must be the name of a stage, or several"),
    "twice": ({"stage": ["blocks.0", "blocks.0"]}, "stage must name each stage once"),
    "no cut": ({"stage": "blocks.1.attend"}, "stage must be a cut, got 'blocks.1.attend'"),
    "behind": ({"stage": "blocks.1", "to": "blocks.0"}, "stage must come before to, got"),
    "unknown end": ({"to": "blocks.9"}, "to 'blocks.9' is unknown; nearest"),
    "last": ({"stage": "norm"}, "stage must come before a stage of its width, got 'norm'"),
    "n": ({"n": 0}, "n must be a whole number from 1 on, got 0"),
    "error": ({"error": 2}, "error must lie between 0 and 1, got 2"),
    "positions": ({"positions": 3}, "positions must be a slice, got 3"),
    "nothing left": ({"positions": slice(9, None)}, "data must hold at least one prompt with"),
    "axis": ({"axis": 5}, "axis must be an axis of the state at 'blocks.0'"),
    "mask's name": ({"mask": "pad"}, "mask must be a name where data is a mapping, got 'pad'"),
    "mask's rows": ({"mask": torch.ones(1, 5)}, "mask must have a row for each of 2 prompts"),
    "mask's columns": ({"mask": torch.ones(2, 4)}, "mask must have a column for each position"),
    "mask's axes": ({"mask": torch.ones(2)}, r"mask must be \(N, positions\)"),
    "mask's type": ({"mask": 4}, "mask must be a tensor or a name in the data, got int"),
    "data": ({"data": 3}, "data must be a tensor of prompts along axis 0"),
    "no prompt": ({"data": iter(())}, "data must hold at least one prompt with"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_wrong_use(case):
    more, words = REFUSALS[case]
    arguments = {"data": tokens(2, 5), "stage": "blocks.0", **more}
    with pytest.raises(UsageError, match=words):
        nakami.lens(made(Transformer), **arguments)


def test_wrong_use_of_a_result():
    found = nakami.lens(made(Transformer), tokens(2, 4), "blocks.0")
    with pytest.raises(UsageError, match="matrix must have a row for each word and a column"):
        found.words(np.zeros((3, 3)), ["a", "b", "c"])
    with pytest.raises(UsageError, match="side must be one of left, right"):
        found.words(np.zeros((3, 4)), ["a", "b", "c"], side="up")
    with pytest.raises(UsageError, match="error must be above 0, got 0"):
        found.prompts_for(0)
