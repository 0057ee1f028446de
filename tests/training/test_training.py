"""A training on disk, stopped anywhere and started again, against one that was not stopped."""

import json
from itertools import count

import pytest
import torch
from torch import nn

from nakami import load, results
from nakami.results import UsageError
from nakami.training import ContrastiveDivergence, Supervised, Training, _training
from nakami.zoo.rbm import RBM

EPOCHS = {"machine": 3, "classifier": 4}
X = torch.rand(40, 6, generator=torch.Generator().manual_seed(1))
Y = torch.arange(40) % 3


def train(folder, progress=None, snapshots=None, seed=0, optimizer=torch.optim.Adam):
    """A machine, then a classifier with dropout and batch normalisation on top of it."""
    training = Training(folder, {"seed": seed}, EPOCHS, progress=progress)
    rbm = RBM(6, 5, generator=training.generator("first"))
    training.run("machine", ContrastiveDivergence(rbm, switch=1), lambda: (X,), batch=8)
    with torch.random.fork_rng():
        torch.manual_seed(7)
        head = nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 3))
    with torch.no_grad():
        hidden = rbm(X)
    method = Supervised(head, optimizer(head.parameters(), lr=0.05))
    losses = training.run("classifier", method, lambda: (hidden, Y), batch=8, snapshots=snapshots)
    training.finish()
    return torch.cat([v.flatten().double() for v in head.state_dict().values()]), losses


class Killed(Exception):
    """Stands for whatever ends a process."""


def killed_after(n):
    steps = count(1)

    def progress(done, total, left, what):
        if next(steps) == n:
            raise Killed

    return progress


@pytest.fixture(autouse=True)
def _checkpoint_each_epoch(monkeypatch):
    monkeypatch.setattr(_training, "SECONDS", 0.0)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    return train(tmp_path_factory.mktemp("whole"))


@pytest.mark.parametrize("stop", range(1, 8))
def test_stopped_after_any_epoch_it_ends_in_the_same_bits(stop, tmp_path, unbroken):
    with pytest.raises(Killed):
        train(tmp_path, killed_after(stop))
    told = []
    weights, losses = train(tmp_path, lambda *a: told.append(a))
    assert torch.equal(weights, unbroken[0])
    assert losses == unbroken[1]
    again = stop in (3, 7)  # the last epoch of a phase has no checkpoint: the one before it has
    assert len(told) == 7 - stop + again
    assert {p.name for p in (tmp_path / "pieces").iterdir()} == set(EPOCHS)  # no checkpoint is left


def test_stopped_at_every_epoch_in_turn(tmp_path, unbroken):
    for _ in range(9):
        try:
            weights, _ = train(tmp_path, killed_after(1))
        except Killed:
            continue
        break
    # a phase whose last epoch is always killed before its weights are written would never end
    weights, losses = train(tmp_path)
    assert torch.equal(weights, unbroken[0])
    assert losses == unbroken[1]


def test_the_comparison_can_fail(tmp_path, unbroken):
    assert not torch.equal(train(tmp_path, seed=1)[0], unbroken[0])


@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.Adagrad, torch.optim.Rprop])
def test_the_optimizer_goes_on_from_where_it_was(optimizer, tmp_path):
    wanted, _ = train(tmp_path / "a", optimizer=optimizer)
    with pytest.raises(Killed):
        train(tmp_path / "b", killed_after(5), optimizer=optimizer)
    assert torch.equal(train(tmp_path / "b", optimizer=optimizer)[0], wanted)


def test_snapshots_are_the_weights_on_the_way(tmp_path, unbroken):
    weights, losses = train(tmp_path, snapshots={2: "early", 4: "late"})
    assert torch.equal(weights, unbroken[0])
    head = nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 3))
    training = Training(tmp_path, {"seed": 0}, EPOCHS)
    assert training.read("early", head) == losses[:2]
    early = torch.cat([v.flatten().double() for v in head.state_dict().values()])
    assert not torch.equal(early, weights)
    assert training.read("late", head) == losses
    late = torch.cat([v.flatten().double() for v in head.state_dict().values()])
    assert torch.equal(late, weights)


def test_global_random_state_and_threads_stay(tmp_path):
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    train(tmp_path)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads


def test_the_record_is_a_run_of_its_kind(tmp_path, unbroken):
    train(tmp_path / "a")
    train(tmp_path / "b", seed=1)
    record, other = load(tmp_path / "a"), load(tmp_path / "b")
    assert record.kind == "training"
    found = record.result["phases"]["classifier"]
    assert found["losses"] == unbroken[1]
    assert (found["epochs"], found["loss"]) == (4, "cross-entropy, nats")
    changes = results.compare(tmp_path / "a", tmp_path / "b")
    row = next(row for row in changes.rows if row[0] == "phases.classifier.last_loss")
    assert row[1:] == tuple(r.result["phases"]["classifier"]["losses"][-1] for r in (record, other))


def test_other_settings_and_damage_are_refused(tmp_path):
    train(tmp_path)
    rule = r"seed must be as in the run that .* holds, 0, got 3; pass another folder or delete"
    with pytest.raises(UsageError, match=rule):
        train(tmp_path, seed=3)
    (tmp_path / "pieces/machine/arrays.safetensors").write_bytes(b"short")
    with pytest.raises(UsageError, match=r"piece machine of .* is damaged .*delete that folder"):
        train(tmp_path)
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(UsageError, match=r"run\.json in .* cannot be read"):
        train(tmp_path)


def test_states_hold_no_code(tmp_path):
    with pytest.raises(Killed):
        train(tmp_path, killed_after(2))
    files = {p.suffix for p in tmp_path.rglob("*") if p.is_file()}
    assert files == {".json", ".safetensors"}
    (state,) = (tmp_path / "pieces").glob("machine@*/result.json")
    assert json.loads(json.loads(state.read_text())["state"])["dict"][0][0] == "module"


def test_a_folder_of_an_older_version_is_refused(tmp_path):
    (tmp_path / "training.json").write_text("{}")
    match = r"folder must hold a run of this layout.* older nakami wrote; delete .* and train again"
    with pytest.raises(UsageError, match=match):
        train(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["training.json"]
