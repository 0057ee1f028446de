"""One training by processes that Spark starts: a stand-in here, Spark itself where it is there."""

import json
import os
import pickle
import shutil
import subprocess
import sys
import types
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import nakami
import on_spark
import shared_training
from nakami import data, recipes, training
from nakami.results import RunError, UsageError, read_record
from nakami.training import _spark

SETTINGS = {"epochs": 3, "rate": 0.01, "batch": 16}


@pytest.fixture
def stand_in(monkeypatch):
    """Modules in the place of pyspark: one process, this one, behind pickles as Spark's are."""
    cloudpickle = pytest.importorskip("cloudpickle")
    started = []

    class TorchDistributor:
        def __init__(self, processes, local_mode, use_gpu):
            started.append((processes, local_mode, use_gpu))

        def run(self, function, *args):
            path, here = [*sys.path], Path.cwd()
            try:
                sent = pickle.loads(cloudpickle.dumps((function, args)))
                return pickle.loads(cloudpickle.dumps(sent[0](*sent[1])))
            finally:
                sys.path[:] = path
                os.chdir(here)

    master = types.SimpleNamespace(conf={"spark.master": "local[2]"})
    session = types.SimpleNamespace(getActiveSession=lambda: master)
    modules = {"pyspark": {"cloudpickle": cloudpickle}, "pyspark.sql": {"SparkSession": session},
               "pyspark.ml": {}, "pyspark.ml.torch": {},
               "pyspark.ml.torch.distributor": {"TorchDistributor": TorchDistributor}}  # fmt: skip
    for name, held in modules.items():
        module = types.ModuleType(name)
        module.__spec__ = types.SimpleNamespace(name=name)
        vars(module).update(held)
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(_spark, "find_spec", lambda name: name)
    monkeypatch.setenv("PYSPARK_PYTHON", "as it was")
    return types.SimpleNamespace(started=started, master=master)


@pytest.fixture
def schema(tmp_path):
    """Parts as Spark writes them, and a schema beside."""
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    x, y = shared_training.data()
    (tmp_path / "table").mkdir()
    rows = [{"a": a, "b": b, "c": c, "kind": "in" if k else "out"}
            for (a, b, c), k in zip(x.tolist(), y.tolist(), strict=True)]  # fmt: skip
    for i in range(2):
        table = pa.Table.from_pylist(rows[i::2])
        parquet.write_table(table, tmp_path / "table" / f"part-0000{i}-c000.snappy.parquet")
    return data.inspect(tmp_path / "table").save(tmp_path / "table.toml")


def test_it_is_trained_once_and_then_read_without_spark(stand_in, schema, tmp_path):
    make = shared_training.small
    subject = recipes.train_on_spark(make, tmp_path / "run", data=schema, settings=SETTINGS)
    assert subject.name == "shared_training:small"
    again = recipes.train_on_spark(make, tmp_path / "run", data=schema, settings=SETTINGS)
    assert stand_in.started == [(2, False, False)]
    values = recipes.with_values(recipes.recipe_of(subject.name).settings, SETTINGS)
    whole = recipes.prepare(subject.name, tmp_path / "here", data=schema, settings=values)
    nets = [each.networks[0].model.state_dict() for each in (subject, again, whole)]
    assert all(torch.equal(nets[0][key], net[key]) for net in nets for key in nets[0])
    held = load_file(tmp_path / "run" / "networks" / "trained.safetensors")
    assert all(torch.equal(held[key], nets[0][key]) for key in held)


def test_what_is_refused_in_a_process_comes_back_as_it_is(stand_in, schema, tmp_path):
    with pytest.raises(UsageError, match=r"model must give 2 numbers for each row, \(N, 2\), got"):
        recipes.train_on_spark(shared_training.narrow, tmp_path / "run", data=schema)
    with pytest.raises(UsageError, match="setting epochs must be a whole number from 0 on, got -1"):
        recipes.train_on_spark(
            shared_training.small, tmp_path / "run", data=schema, settings={"epochs": -1}
        )


def test_a_folder_that_a_process_does_not_see_is_refused(stand_in, tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    looks = iter([[("part-0.parquet", 10)], None])
    monkeypatch.setattr(_spark, "_look", lambda path: next(looks))
    said = r"path must be seen by every process of Spark as by this one, got .*data, which process"
    with pytest.raises(UsageError, match=said + " 0 finds otherwise or not at all; use a folder"):
        training.on_spark(lambda: 1, seen=[tmp_path / "data"])


def test_other_versions_are_refused(stand_in, monkeypatch):
    found = iter([{"torch": "2.13.0"}, *[{"torch": "2.11.0"}] * 2])
    monkeypatch.setattr(_spark, "versions", lambda: next(found))
    with pytest.raises(RunError, match=r"process 0 of Spark has \{'torch': '2.11.0'\}, this one"):
        training.on_spark(lambda: 1)


def test_a_barrier_stage_needs_a_slot_for_each_process(stand_in, monkeypatch):
    said = "processes must be at most 2, the slots of Spark, got 3; start Spark with master local"
    with pytest.raises(UsageError, match=said):
        training.on_spark(lambda: 1, 3)
    assert training.on_spark(lambda: 5, 3, local=True) == 5
    for master, slots in (("local", 1), ("local[3,2]", 3), ("spark://host:7077", 9)):
        stand_in.master.conf["spark.master"] = master
        assert training.on_spark(lambda: 5, slots) == 5


def test_a_process_that_ends_too_early_is_told(stand_in):
    def broken():
        raise ZeroDivisionError("division by zero")

    said = r"a process of this training came to an end before its work \(.*division by zero\); call"
    with pytest.raises(RunError, match=said):
        training.on_spark(broken)


def test_what_is_missing_is_named_before_anything_starts(monkeypatch):
    monkeypatch.setattr(_spark, "find_spec", {"pyspark": 1}.get)
    with pytest.raises(RunError, match=r"needs pandas and pyarrow; pip install 'nakami\[spark\]'"):
        training.on_spark(lambda: 1)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What trainings on Spark have left, and what they raised."""
    pytest.importorskip("pyspark")
    pytest.importorskip("pyarrow")
    if not (shutil.which("java") or os.environ.get("JAVA_HOME")):
        pytest.skip("Spark needs Java")
    folder, tests = tmp_path_factory.mktemp("spark"), Path(__file__).parents[1]
    paths = [str(Path(nakami.__file__).parents[1]), str(tests), os.environ.get("PYTHONPATH", "")]
    about = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    command = [sys.executable, str(tests / "on_spark.py"), str(folder)]
    ran = subprocess.run(command, env=about, capture_output=True, text=True, timeout=580)
    assert ran.returncode == 0, ran.stderr[-3000:]
    return folder, json.loads((folder / "found.json").read_text())


def left(folder):
    record = read_record(folder)
    return record.result["phases"]["trained"]["losses"], record.piece("trained").arrays


@pytest.mark.slow
def test_losses_and_weights_on_spark_are_those_of_one_process(found, tmp_path):
    folder, said = found
    assert said["local"] == ""
    name = recipes.own("on_spark:make", lambda seed: seeded(on_spark.make, seed))
    values = recipes.with_values(recipes.recipe_of(name).settings, on_spark.SETTINGS)
    recipes.prepare(name, tmp_path / "alone", data=folder / "table.toml", settings=values)
    (losses, weights), (others, arrays) = left(tmp_path / "alone"), left(folder / "local")
    assert others == pytest.approx(losses, rel=1e-5)
    for key, array in weights.items():
        torch.testing.assert_close(*map(torch.tensor, (arrays[key], array)), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_after_a_kill_in_a_barrier_stage_the_same_call_goes_on_to_the_same_bits(found):
    """Spark does not try such a stage again, even where it may try a task four times."""
    folder, said = found
    assert said["killed"].startswith("RunError: a process of this training came to an end before")
    assert said["epochs kept"] != []
    assert said["again"] == ""
    (losses, weights), (others, arrays) = left(folder / "local"), left(folder / "barrier")
    assert losses == others
    assert all((weights[key] == arrays[key]).all() for key in weights)


@pytest.mark.slow
def test_what_all_processes_refuse_is_the_sentence_that_one_process_says(found):
    said = found[1]["refused"]
    assert said.startswith("UsageError: model must normalise no batch where several processes")


def seeded(make, seed):
    torch.manual_seed(seed)
    return make()
