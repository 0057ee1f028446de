"""A training on disk, stopped anywhere and started again, against one that was not stopped."""

import json
import time
from itertools import count

import numpy as np
import pytest
import torch
from torch import nn

from checks import Killed
from nakami import load, results
from nakami.results import Picture, RunError, UsageError
from nakami.training import ContrastiveDivergence, Method, Supervised, Training, _training, fit
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


def test_an_optimizer_that_asks_for_the_loss_itself_goes_on_too(tmp_path):
    def lowered(folder, progress=None):
        training = Training(folder, {"seed": 0}, {"all": 4}, progress=progress)
        net = nn.Linear(6, 3)
        with torch.no_grad():
            for p in net.parameters():
                p.normal_(generator=training.generator("first"))
        newton = torch.optim.LBFGS(net.parameters(), max_iter=4, line_search_fn="strong_wolfe")
        losses = training.run("all", Supervised(net, newton), lambda: (X, Y), batch=40)
        return net.weight.detach(), losses

    wanted, losses = lowered(tmp_path / "a")
    with pytest.raises(Killed):
        lowered(tmp_path / "b", killed_after(2))
    found, again = lowered(tmp_path / "b")
    assert torch.equal(found, wanted)
    assert again == losses
    assert losses[3] < losses[0]


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
    assert changes.settings == (("seed", "0", "1"),)
    row = next(row for row in changes.numbers if row[0] == "phases.classifier.last_loss")
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


def simple(folder, epochs=3, batch=10, settings=None, names=("all",), **options):
    training = Training(folder, settings or {"seed": 0}, dict.fromkeys(names, epochs))
    model = nn.Linear(6, 3)
    method = Supervised(model, torch.optim.Adam(model.parameters()))
    return training, method, {"data": lambda: (X, Y), "batch": batch, **options}


def test_a_method_serves_one_phase(tmp_path):
    training, method, given = simple(tmp_path, names=("one", "two"))
    training.run("one", method, **given)
    match = r"method must be a new one for each phase, .* got that of another phase; make both anew"
    for used in (method, Supervised(method.module, method.optimizer)):
        with pytest.raises(UsageError, match=match):
            training.run("two", used, **given)
    rbm = RBM(6, 2)
    training = Training(tmp_path / "b", {"seed": 0}, {"one": 1, "two": 1})
    machine = ContrastiveDivergence(rbm)
    training.run("one", machine, lambda: (X,))
    with pytest.raises(UsageError, match=match):
        training.run("two", machine, lambda: (X,))


class Averaging(Method):
    """Gradient descent that carries a number of its own; optimizers are kept without its help."""

    def __init__(self, model):
        self.module, self.average = model, torch.zeros(())
        self.adam = torch.optim.Adam(model.parameters())

    def optimizers(self):
        return [self.adam]

    def step(self, batch, descend):
        x, y = batch
        loss = nn.functional.cross_entropy(self.module(x) * (1 + self.average), y)
        descend(loss, self.adam)
        self.average = 0.9 * self.average + 0.1 * loss.detach()
        return loss.detach()

    def state_dict(self):
        return {"average": self.average}

    def load_state_dict(self, state):
        self.average = state["average"]


def test_a_method_of_ones_own_goes_on_with_its_state_and_its_optimizers(tmp_path):
    def train(folder, progress=None):
        torch.manual_seed(0)
        method = Averaging(nn.Linear(6, 3))
        Training(folder, {"seed": 0}, {"all": 4}, progress=progress).run(
            "all", method, lambda: (X, Y), batch=10
        )
        return method.module.weight

    with torch.random.fork_rng():
        wanted = train(tmp_path / "a")
        with pytest.raises(Killed):
            train(tmp_path / "b", killed_after(3))
        assert torch.equal(train(tmp_path / "b"), wanted)


class LateStart(Supervised):
    """A second goes by before the first epoch."""

    def start(self, data, generator):
        time.sleep(1)
        super().start(data, generator)


def test_what_comes_before_the_first_epoch_is_not_foreseen_for_the_others(tmp_path):
    told, net = [], nn.Linear(6, 3)
    training = Training(tmp_path, {"seed": 0}, {"all": 9}, progress=lambda *a: told.append(a))
    method = LateStart(net, torch.optim.SGD(net.parameters(), 0.1))
    training.run("all", method, lambda: (X, Y), batch=10)
    assert [(done, total) for done, total, *_ in told] == [(i, 9) for i in range(1, 10)]
    assert told[0][2] < 4  # 8 s with the second


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"epochs": 5}, r"epochs must be as in the phase 'all' that the folder holds, 3, got 5"),
        ({"batch": 7}, r"batch must be as in the phase 'all' that the folder holds, 10, got 7"),
    ],
)
def test_what_a_phase_was_trained_with_is_compared(change, match, tmp_path):
    training, method, given = simple(tmp_path)
    training.run("all", method, **given)
    training, method, given = simple(tmp_path, **change)
    with pytest.raises(UsageError, match=match):
        training.run("all", method, **given)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"epochs": -1}, r"epochs must be a whole number from 0 on, got -1; write epochs=.*'all'"),
        ({"names": ("",)}, r"epochs must have names that are texts, not empty and without @"),
        ({"names": ("a@3",)}, r"epochs must have names .* got 'a@3'"),
        ({"settings": {"rate": 1}}, r"settings must hold .* a seed among them, got no seed"),
        ({"settings": {"seed": "x"}}, r"seed must be a whole number from 0"),
        ({"settings": {"seed": 0.5}}, r"seed must be a whole number from 0"),
        ({"settings": {"seed": 0, "x": torch.zeros(2)}}, r"settings must hold plain JSON values"),
        ({"settings": {"seed": 0, "x": float("nan")}}, r"settings must hold plain JSON values"),
    ],
)
def test_wrong_use_is_refused_before_a_folder_is_made(change, match, tmp_path):
    with pytest.raises(UsageError, match=match):
        simple(tmp_path / "new", **change)
    with pytest.raises(UsageError, match=r"epochs must be a dict, got 3"):
        Training(tmp_path / "new", {"seed": 0}, 3)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"batch": 0}, r"batch must be a whole number from 1 on, got 0"),
        ({"snapshots": {9: "late"}}, r"snapshots must name epochs of the phase, 1 to 3, got 9"),
        ({"snapshots": {"early": 1}}, r"snapshots must name epochs .* got early"),
        ({"snapshots": {1: "all"}}, r"snapshots must have names that no phase has, got 'all'"),
        ({"snapshots": ["all"]}, r"snapshots must be a dict, got \['all'\]"),
    ],
)
def test_wrong_use_of_a_phase_is_refused_before_training(change, match, tmp_path):
    training, method, given = simple(tmp_path)
    with pytest.raises(UsageError, match=match):
        training.run("all", method, **{**given, **change})
    with pytest.raises(UsageError, match=r"phase 'al' is unknown; nearest: 'all'"):
        training.run("al", method, **given)
    with pytest.raises(UsageError, match=r"finish must be called when every phase is trained"):
        training.finish()
    half = nn.Linear(6, 3).bfloat16()
    method = Supervised(half, torch.optim.SGD(half.parameters()))
    with pytest.raises(UsageError, match=r"got weight of torch\.bfloat16; pass module\.float"):
        training.run("all", method, **given)
    assert not training.has("all")


def test_numbers_of_any_library_are_settings(tmp_path):
    simple(tmp_path, settings={"seed": np.int64(4), "rate": torch.tensor(0.5)})
    training, *_ = simple(tmp_path, settings={"seed": 4, "rate": 0.5})
    assert training.seed == 4


def test_reading_what_is_not_there_is_refused(tmp_path):
    training, method, _ = simple(tmp_path)
    with pytest.raises(UsageError, match=r"name must be a phase or a snapshot .*, got 'early'"):
        training.read("early", method.module)


def test_a_failing_disk_leaves_no_half_written_phase(tmp_path, monkeypatch):
    training, method, given = simple(tmp_path)

    def fail(path, content):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("pathlib.Path.write_bytes", fail)
        with pytest.raises(RunError, match=r"no space left while writing .*; free some, or"):
            training.run("all", method, **given)
    assert not training.has("all")
    again, method, given = simple(tmp_path)
    assert len(again.run("all", method, **given)) == 3


def test_a_stopped_training_leaves_the_module_ready_to_use(tmp_path):
    def stop(done, loss):
        raise Killed

    model = nn.Sequential(nn.Linear(6, 3), nn.Dropout())
    method = Supervised(model, torch.optim.SGD(model.parameters()))
    with pytest.raises(Killed):
        fit(method, (X, Y), epochs=2, after_epoch=stop)
    assert not model.training


def test_what_took_long_is_made_once(tmp_path):
    made = []

    def figure():
        made.append(1)
        return {"value": 2.5, "spread": None}

    for _ in range(2):
        training = Training(tmp_path, {"seed": 0}, {})
        assert training.kept("figure", figure) == {"value": 2.5, "spread": None}
        training.keep_pictures(lambda: made.append(2) or [Picture("a", "b", torch.ones(1, 2, 2))])
    assert made == [1, 2]
    training.keep_pictures(lambda: made.append(3) or [], of="other examples")
    assert made == [1, 2, 3]
    assert training.kept("figure", lambda: 4, of="other examples") == 4
    assert training.kept("figure", figure) == {"value": 2.5, "spread": None}
    assert training.kept("figure", lambda: 5, of="other examples") == 4


def test_what_else_a_result_holds_is_written_where_it_changes(tmp_path):
    def written(value):
        training = Training(tmp_path, {"seed": 0}, {})
        record = training.finish({"found": (value, torch.tensor(2))})
        return record.result["found"], (tmp_path / "result.json").stat().st_mtime_ns

    first, again, other = written(1), written(1), written(3)
    assert first == again
    assert other[0] == [3, 2]
