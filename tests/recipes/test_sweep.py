"""A sweep: settings tried by a loss of rows that no trial learns from, ours first."""

import json

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from nakami import data, recipes
from nakami.recipes._space import axes, next_values
from nakami.results import UsageError, read_record

pytest.importorskip("optuna")
pytest.importorskip("pyarrow")

OVER = {"rate": (1e-3, 1.0), "batch": [32, 64]}


def make(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 2))


def settings(**changes):
    return recipes.with_values(recipes.recipe_of("nets:sweep").settings, {"epochs": 4, **changes})


@pytest.fixture
def schema(tmp_path):
    recipes.own("nets:sweep", make)
    rows = torch.randn(400, 2, generator=torch.Generator().manual_seed(1)).tolist()
    lines = [f"{a},{b},{'in' if a * b > 0 else 'out'}" for a, b in rows]
    (tmp_path / "t.csv").write_text("\n".join(["a,b,class", *lines]))
    return data.inspect(tmp_path / "t.csv").save(tmp_path / "t.toml")


def swept(schema, folder, trials=4, **options):
    given = {"data": schema, "over": OVER, "settings": settings(), **options}
    return recipes.sweep("nets:sweep", folder, trials=trials, **given)


def test_the_first_trial_has_our_settings_and_losses_are_of_rows_held_apart(schema, tmp_path):
    result = swept(schema, tmp_path / "run").result
    first, *others = result["trials"]
    assert first["values"] == {"rate": None, "batch": 64}  # 50 is next to 64 by ratio
    assert (
        "advised at the cost"
        in read_record(tmp_path / "run/trials/0000").result["networks"]["trained"]["training"]
    )
    assert all(1e-3 <= each["values"]["rate"] <= 1 for each in others)
    rows = data.prepare(data.read_schema(tmp_path / "run" / "data.toml")).labelled("test")
    whole = data.prepare(data.read_schema(schema))
    assert not {*rows.inputs[:, 0].tolist()} & {*whole.labelled("test").inputs[:, 0].tolist()}
    for each in result["trials"]:
        name, given = recipes.trained_as(tmp_path / "run" / each["folder"])
        model = recipes.prepare(name, tmp_path / "run" / each["folder"], **given).networks[0].model
        loss = F.cross_entropy(model(rows.inputs).double(), rows.targets)
        assert each["loss"] == pytest.approx(float(loss.detach()), rel=1e-6)
    best = min(result["trials"], key=lambda each: each["loss"])
    assert result["best"] == {**best, "trial": result["trials"].index(best) + 1}
    assert f"--set epochs=4 --set batch={best['values']['batch']}" in result["command"]


def test_a_sweep_that_was_stopped_goes_on_to_the_same_trials(schema, tmp_path):
    whole = swept(schema, tmp_path / "whole").result["trials"]

    def stop(done, total, left, what):
        if what.startswith("trial 3") and "epoch 2" in what:
            raise KeyboardInterrupt("in trial 3")

    with pytest.raises(KeyboardInterrupt, match="in trial 3"):
        swept(schema, tmp_path / "part", progress=stop)
    assert swept(schema, tmp_path / "part", trials=2).result["trials"] == whole[:2]
    made = (tmp_path / "part" / "pieces" / "0001" / "result.json").stat().st_mtime_ns
    assert swept(schema, tmp_path / "part").result["trials"] == whole
    assert (tmp_path / "part" / "pieces" / "0001" / "result.json").stat().st_mtime_ns == made


def test_rows_to_test_on_change_nothing(schema, tmp_path):
    before = swept(schema, tmp_path / "before", trials=2).result["trials"]
    table = tmp_path / "t.csv"
    names = data.prepare(data.read_schema(schema)).examples("test").names
    lines = table.read_text().splitlines()
    for name in names:
        row = int(name.split()[1])
        lines[row] = lines[row].replace("in", "?").replace("out", "in").replace("?", "out")
    table.write_text("\n".join(lines))
    after = swept(schema, tmp_path / "after", trials=2).result["trials"]
    assert [each["loss"] for each in after] == [each["loss"] for each in before]
    lines[1:] = [line.replace("in", "out") if i % 2 else line for i, line in enumerate(lines[1:])]
    table.write_text("\n".join(lines))
    other = swept(schema, tmp_path / "other", trials=2).result["trials"]
    assert [each["loss"] for each in other] != [each["loss"] for each in before]


def test_a_rate_at_which_nothing_converges_costs_its_trial_alone(schema, tmp_path):
    over = {"rate": [1e38, 0.01], "optimizer": ["sgd"]}
    result = swept(schema, tmp_path / "run", 6, over=over, settings=settings(rate=1e38)).result
    assert result["trials"][0]["loss"] is None
    assert result["tables"][0]["rows"][0][3] == "diverged"
    assert result["best"]["values"]["rate"] == 0.01
    with pytest.raises(UsageError, match="over must hold settings that converge, got none; try"):
        swept(schema, tmp_path / "none", 1, over=over, settings=settings(rate=1e38))


@pytest.mark.parametrize(("over", "said"), [
    ({}, "over must name a setting to try, got none"),
    ({"rte": (1e-3, 1.0)}, "setting 'rte' is unknown; nearest of"),
    ({"rate": (1.0, 0.1)}, r"over of rate must be two numbers, the smaller one first, got \(1.0"),
    ({"batch": (0, 8)}, "setting batch must be a whole number from 1 on, got 0"),
    ({"optimizer": ("sgd", "adamw")}, "over of optimizer must be two numbers, the smaller one"),
    ({"optimizer": ["sgd", "lion"]}, "setting optimizer must be one of .*, got 'lion'"),
])  # fmt: skip
def test_what_cannot_be_tried_is_refused_in_a_sentence(schema, tmp_path, over, said):
    with pytest.raises(UsageError, match=said):
        swept(schema, tmp_path / "run", over=over)
    assert not (tmp_path / "run").exists()


def test_another_sweep_in_the_same_folder_is_refused_by_the_field(schema, tmp_path):
    swept(schema, tmp_path / "run", 1)
    with pytest.raises(UsageError, match=r"over.*must be as in the run"):
        swept(schema, tmp_path / "run", 1, over={"rate": (1e-3, 0.1)})


def test_data_without_a_schema_is_refused(schema, tmp_path):
    with pytest.raises(UsageError, match=r"data must be a schema, got .*t\.csv"):
        swept(tmp_path / "t.csv", tmp_path / "run")


def test_later_trials_lie_where_the_loss_was_small():
    """Against random search on a bowl, mean of ten: far nearer, within the bounds."""
    base = recipes.recipe_of(recipes.own("nets:sweep", make)).settings
    space = axes(base, {"rate": (1e-5, 1.0), "batch": (1, 64), "optimizer": ["sgd", "adamw"]})

    def loss(values):
        right = values["optimizer"] == "adamw"
        return (torch.tensor(values["rate"]).log10() + 2).item() ** 2 + (0 if right else 4)

    late = []
    for seed in range(5):
        tried = [({"rate": 5.0, "batch": 8, "optimizer": "sgd"}, 0.1)]  # outside: not heard
        for _ in range(30):
            values = next_values(space, tried, seed)
            assert values == next_values(space, tried, seed)
            assert 1e-5 <= values["rate"] <= 1
            assert values["batch"] in range(1, 65)
            tried.append((values, None if values["rate"] > 0.5 else loss(values)))
        late += [loss(values) for values, _ in tried[-10:]]
    assert sum(late) / len(late) < 2.5  # of random values: 2.3 (rate) + 2 (optimizer)


def test_its_record_is_shown_again(schema, tmp_path):
    swept(schema, tmp_path / "run", trials=1)
    record = read_record(tmp_path / "run")
    assert record.kind == "sweep"
    assert json.dumps(record.result["lines"][0]).startswith('"Best: trial 1 of 1, loss')
