"""When processes are started that nobody asked for."""

import numpy as np
import pytest
import torch

from nakami.cli import _spread
from nakami.cli._groups_spread import SpreadOptions

GIB = 1 << 30


@pytest.fixture
def machine(monkeypatch):
    """Four cores without load, 64 GiB, one thread."""
    pytest.importorskip("joblib")
    pytest.importorskip("cloudpickle")

    def set_to(cores=4, load=1.0, memory=64 * GIB, threads=1):
        monkeypatch.setattr("joblib.cpu_count", lambda: cores)
        monkeypatch.setattr(_spread, "_load", lambda: load)
        monkeypatch.setattr(_spread, "_memory", lambda: memory)
        monkeypatch.setattr(torch, "get_num_threads", lambda: threads)

    set_to()
    return set_to


def test_free_cores_are_used_for_long_work(machine, capsys):
    assert _spread.unasked(SpreadOptions(), 60.0, None).jobs == 4
    assert (
        "note: in 4 processes, as many cores are free (--jobs 1: in one)."
        in capsys.readouterr().err
    )
    machine(load=2.9)
    assert _spread.unasked(SpreadOptions(), 60.0, None).jobs == 2
    machine(cores=8, threads=3)
    assert _spread.unasked(SpreadOptions(), 60.0, None).jobs == 2


@pytest.mark.parametrize(
    "given",
    [{"load": 4.0}, {"threads": 4}, {"cores": 1}, {"memory": 7 * GIB}, {"load": float("inf")}],
)
def test_one_process_where_cores_or_memory_are_taken(machine, given, capsys):
    machine(**given)
    assert _spread.unasked(SpreadOptions(), 60.0, None) == SpreadOptions()
    assert not capsys.readouterr().err


def test_memory_of_the_spectra_counts(machine):
    machine(memory=16 * GIB)
    assert _spread.unasked(SpreadOptions(), 60.0, GIB).jobs == 4
    assert _spread.unasked(SpreadOptions(), 60.0, 3 * GIB).jobs == 2
    assert _spread.unasked(SpreadOptions(), 60.0, 4 * GIB).jobs is None


def test_short_work_and_what_was_asked_stay_as_they_are(machine):
    assert _spread.unasked(SpreadOptions(), 5.0, None).jobs is None
    for asked in (SpreadOptions(jobs=1), SpreadOptions(jobs=3), SpreadOptions(backend="dask")):
        assert _spread.unasked(asked, 60.0, None) is asked


def test_without_the_extra_one_process_does_it(machine, monkeypatch):
    monkeypatch.setattr(_spread, "find_spec", lambda name: None)
    assert _spread.unasked(SpreadOptions(), 60.0, None).jobs is None


def test_the_system_is_read():
    assert _spread._load() >= 0
    assert _spread._memory() == 0 or _spread._memory() > 1 << 20


@pytest.fixture
def asked(monkeypatch):
    """The expected seconds with which free cores were asked for."""
    seen = []

    def unasked(spread, seconds, budget):
        seen.append(seconds)
        return spread

    monkeypatch.setattr(_spread, "unasked", unasked)
    return seen


def test_a_network_whose_code_workers_may_lack_stays_in_one_process(nakami, here, asked):
    given = ("--model", "small_net.py:make", "--data", "x.npy", "--top", "2")
    done = nakami("xray", *given, "--no-page")
    assert done.code == 0, done.err
    assert asked == []


def test_a_network_of_the_zoo_may_be_spread(nakami, here, asked):
    np.save("x.npy", np.zeros((1, 784), dtype=np.float32))
    done = nakami("xray", "--model", "mlp", "--data", "x.npy", "--top", "2", "--no-page")
    assert done.code == 0, done.err
    assert len(asked) == 1
    assert asked[0] > 0
