"""Several processes share a training and end where one does."""

import numpy as np
import pytest
import torch

import shared_training
from ranks import measured_by


@pytest.fixture
def measured(tmp_path, monkeypatch):
    monkeypatch.setenv("SHARED_TRAINING", str(tmp_path))

    def run(function, size):
        folder = tmp_path / f"{function}-{size}"
        folder.mkdir()
        return measured_by(f"shared_training:{function}", size, folder)

    return run


@pytest.mark.parametrize(("function", "size", "batch"), [
    ("plain", 2, 8), ("fewer_rows_than_processes", 3, 2),
])  # fmt: skip
def test_weights_and_losses_are_those_of_one_process(measured, tmp_path, function, size, batch):
    alone, losses = shared_training.trained(tmp_path / "alone", batch=batch)
    for weights, shared in measured(function, size):
        assert shared == pytest.approx(losses, rel=1e-5)
        for one, other in zip(alone, weights, strict=True):
            torch.testing.assert_close(other, one, rtol=1e-4, atol=1e-5)


def test_weights_held_in_parts_are_trained_as_by_one_process(measured, tmp_path):
    first, second = measured("parts", 2)
    for name, make in shared_training.MAKERS.items():
        for batch in (8, 2):  # of 53 rows: the last mini-batch has fewer than two
            alone = shared_training.in_parts(tmp_path / f"{name}-{batch}", batch=batch, make=make)
            weights, losses, numbers = alone
            for own, shared, _ in (first[name, batch], second[name, batch]):
                assert shared == pytest.approx(losses, rel=1e-5)
                for one, other in zip(weights, own, strict=True):
                    torch.testing.assert_close(other, one, rtol=1e-4, atol=1e-5)
            held = [found[name, batch][2] for found in (first, second)]
            assert max(held) < 0.6 * numbers  # none holds all, nor keeps all of the optimizer's
            assert sum(held) >= numbers
    for found in (first, second):  # a stop: the same bits again, with dropout
        (whole, losses, _), (gone_on, again, _) = found["stopped"]
        assert losses == again
        assert all(map(torch.equal, whole, gone_on))
        assert found["diverged"] == shared_training.parts_diverged()
        assert "optimizer must step weight by weight where processes hold parts" in found["lbfgs"]
    assert "rate must keep loss and parameters finite" in first["diverged"]
    # what parts have left is whole: one process goes on with it, optimizer included
    assert [file.name for file in (tmp_path / "left-stopped" / "pieces").glob("*@2*")]
    _, gone_on, _ = shared_training.in_parts(tmp_path / "left-stopped")
    assert gone_on == pytest.approx(first["adamw", 8][1], rel=1e-5)
    assert gone_on[:2] == first["adamw", 8][1][:2]


def test_data_larger_than_memory_are_prepared_once_for_all(measured, tmp_path):
    x, y = shared_training.data()
    np.savez(tmp_path / "rows.npz", x=x.numpy(), y=y.numpy())
    alone, losses = shared_training.mapped(budget=1 << 30)
    assert not (tmp_path / "kept").exists()
    for weights, shared in measured("mapped", 2):
        assert shared == pytest.approx(losses, rel=1e-5)
        for one, other in zip(alone, weights, strict=True):
            torch.testing.assert_close(other, one, rtol=1e-4, atol=1e-5)
    assert len([*(tmp_path / "kept").glob("*/prepared.json")]) == 1
    again, same = shared_training.mapped()
    assert same == losses
    assert all(map(torch.equal, again, alone))


def test_one_that_was_stopped_goes_on_to_the_same_bits_with_dropout(measured):
    first, second = measured("stopped", 2)
    for (whole, losses), (gone_on, again) in (first, second):
        assert losses == again
        assert all(map(torch.equal, whole, gone_on))
    assert all(map(torch.equal, first[0][0], second[0][0]))


def test_layers_that_need_the_whole_batch_are_refused(measured):
    for said in measured("batch_norm", 2):
        assert "model must normalise no batch where several processes share it, got 1; use" in said


def test_a_rate_too_large_is_told_as_in_one_process(measured):
    alone = shared_training.diverged()
    assert "rate must keep loss and parameters finite" in alone
    assert measured("diverged", 2) == [alone, alone]


def test_each_attempt_of_torchrun_has_keys_of_its_own(monkeypatch):
    """The store of torchrun's agent lives on behind a restart."""
    import torch.distributed as dist

    from nakami.training import _together

    store, seen = dist.HashStore(), []
    monkeypatch.setattr(dist, "rendezvous", lambda url: iter([(store, 0, 1)]))
    monkeypatch.setattr(dist, "init_process_group", lambda *_, store, **__: seen.append(store))
    for attempt in ("0", "1"):
        monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", attempt)
        _together._join("gloo")
    seen[0].set("address", "of one that is gone")
    assert seen[0].check(["address"])
    assert not seen[1].check(["address"])
