"""Runs of averaged Jacobians: the numbers of ``nakami.lens``, resumed bit for bit, and refused."""

import shutil

import numpy as np
import pytest
import torch

import nakami
from checks import neighbour
from nakami.dynamics import LensOptions, lens_run
from nakami.results import LensRun, UsageError, compare

nets = neighbour("dynamics", "test_lens")
OPTIONS = LensOptions(positions=slice(1, None))
WORDS = [f"w{i}" for i in range(nets.WORDS)]


def model():
    return nets.made(nets.Transformer)


def run(out, ids=None, net=None, **more):
    net = model() if net is None else net
    ids = nets.tokens(10, 5) if ids is None else ids
    words = (net.head.weight, WORDS)
    return lens_run(net, ids, out, **{"options": OPTIONS, "words": words, **more})


def test_numbers_are_those_of_the_lens(tmp_path):
    net, ids = model(), nets.tokens(10, 5)
    found = run(tmp_path, ids, net)
    wanted = nakami.lens(net, ids, "auto", positions=slice(1, None))
    assert list(found) == list(wanted) == ["blocks.0", "blocks.1"]
    for name, one in wanted.items():
        mine = found[name]
        np.testing.assert_allclose(mine.mean, one.mean, rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(mine.variance, one.variance, rtol=1e-9, atol=1e-18)
        np.testing.assert_allclose(mine.value_errors, one.value_errors, rtol=1e-6)
        for number in ("identity_share", "participation_beyond", "agreement"):
            a, b = getattr(mine, number), getattr(one, number)
            np.testing.assert_allclose([a.value, a.se], [b.value, b.se], rtol=1e-7)
        assert (mine.check, mine.n_positions) == (one.check, one.n_positions)
        assert mine.settings["data_sha256"] == one.settings["data_sha256"]
        assert found.errors[name].shape == (10, 2)
        assert found.errors[name][-1].tolist() == pytest.approx([10, mine.error])
        assert found.words[name] == mine.words(net.head.weight, WORDS, 6, n=4)
    loaded = nakami.load(tmp_path)
    assert isinstance(loaded, LensRun)
    assert loaded.words == found.words
    assert loaded.converged
    assert [row["stage"] for row in loaded.rows()] == list(found)


def test_groups_hold_several_prompts_where_memory_is_small(tmp_path):
    net, ids = model(), nets.tokens(19, 5)
    whole = nakami.lens(net, ids, "blocks.0")
    found = lens_run(net, ids, tmp_path, "blocks.0", options=LensOptions(memory_budget=2**10))
    assert found.settings["groups"] == 7  # 8 at most, of 3 prompts
    one = found["blocks.0"]
    np.testing.assert_allclose(one.mean, whole.mean, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(one.variance, whole.variance, rtol=1e-9)
    assert one.agreement.value == pytest.approx(whole.agreement.value, rel=1e-12)
    assert found.errors["blocks.0"][:, 0].tolist() == [3, 6, 9, 12, 15, 18, 19]


class Stop(Exception):
    pass


@pytest.mark.parametrize("error", [None, 0.5])
def test_a_stopped_run_goes_on_to_the_same_bits(tmp_path, monkeypatch, error):
    options = LensOptions(positions=slice(1, None), error=error)
    whole = run(tmp_path / "whole", options=options)
    made = {"groups": 0}

    def counted(done, total, left, what):
        made["groups"] += 1
        if made["groups"] % 4 == 0:
            raise Stop

    for _ in range(3):
        try:
            part = run(tmp_path / "part", options=options, progress=counted)
        except Stop:
            assert not nakami.load(tmp_path / "part").lenses
            continue
        break
    for name in whole:
        for field, array in whole[name].arrays().items():
            assert array.tobytes() == part[name].arrays()[field].tobytes(), field
        assert part[name].record() == whole[name].record()
        assert part.errors[name].tobytes() == whole.errors[name].tobytes()
    assert part.words == whole.words
    before = made["groups"]
    again = run(tmp_path / "part", options=options, progress=counted)
    assert made["groups"] == before  # nothing is measured twice
    assert again["blocks.1"].record() == whole["blocks.1"].record()
    if error:
        assert whole["blocks.0"].n_prompts == 8  # the least
        read = nakami.lens(model(), nets.tokens(10, 5)[:8], "blocks.0")
        assert whole["blocks.0"].settings["data_sha256"] == read.settings["data_sha256"]


def test_a_lost_piece_is_made_again(tmp_path):
    whole = run(tmp_path)
    shutil.rmtree(tmp_path / "pieces" / "0003-blocks.1")
    shutil.rmtree(tmp_path / "pieces" / "lens-blocks.1")
    assert repr(nakami.load(tmp_path)) == "LensRun('network': 9 of 10 groups done)"
    assert run(tmp_path)["blocks.1"].record() == whole["blocks.1"].record()


def test_prompts_without_positions_are_passed_over(tmp_path):
    net, ids = nets.made(nets.Transformer, False), nets.tokens(4, 6)
    mask = torch.arange(6) < torch.tensor([[0], [4], [5], [3]])
    mask[0, 0] = True
    batch = {"input_ids": ids, "attention_mask": mask.long()}
    found = lens_run(
        net, batch, tmp_path, "blocks.0", options=LensOptions(positions=slice(1, None))
    )
    wanted = nakami.lens(net, batch, "blocks.0", positions=slice(1, None))
    assert found["blocks.0"].n_prompts == 3
    assert found["blocks.0"].settings["passed_over"] == 1
    assert found["blocks.0"].check == wanted.check
    of_data = found["blocks.0"].settings["data_sha256"]
    assert of_data == wanted.settings["data_sha256"] == found.settings["inputs_sha256"]
    mask[1, 1] = False  # the same tokens, of which others count
    other = nakami.lens(net, ids, "blocks.0", positions=slice(1, None), mask=mask)
    plain = nakami.lens(net, ids, "blocks.0", positions=slice(1, None))
    assert len({of_data, *(one.settings["data_sha256"] for one in (other, plain))}) == 3
    np.testing.assert_allclose(found["blocks.0"].mean, wanted.mean, rtol=1e-12, atol=1e-15)


def test_two_runs_are_compared_number_by_number(tmp_path):
    run(tmp_path / "a")
    other = model()
    with torch.no_grad():
        other.blocks[1].mix.weight.mul_(2)
    run(tmp_path / "b", net=other)
    found = compare(tmp_path / "a", tmp_path / "b")
    names = [name for name, _, _ in found.numbers]
    assert "stages.blocks.0.largest" in names
    assert "stages.blocks.1.identity_share" in names
    assert any(a != b for _, a, b in found.numbers)


def test_other_settings_are_refused(tmp_path):
    run(tmp_path)
    with pytest.raises(UsageError, match="inputs must be as in the run"):
        run(tmp_path, ids=nets.tokens(10, 5, 7))
    with pytest.raises(UsageError, match="positions must be as in the run"):
        run(tmp_path, options=LensOptions())
    with pytest.raises(UsageError, match="words must be a matrix with a row of 4 for each word"):
        run(tmp_path, words=(torch.zeros(3, 4), WORDS))
    with pytest.raises(UsageError, match="data must hold at least one prompt, got none"):
        run(tmp_path, ids=iter([]))
    with pytest.raises(UsageError, match="n must be"):
        LensOptions(n=0)
