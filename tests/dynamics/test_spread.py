"""Several processes give the bits of one, also where workers are lost."""

import logging
import os
import pickle
import signal
import threading
import warnings
from pathlib import Path

import cloudpickle
import joblib
import numpy as np
import pytest
import torch
from joblib.externals.loky.process_executor import BrokenProcessPool, TerminatedWorkerError
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

import nakami
from checks import bytes_of_run
from nakami.dynamics import _spread, _worker
from nakami.results import NakamiWarning, RunError, UsageError, versions


class Fragile(nn.Module):
    """Ends every other process that runs it, as long as there is a file to take away."""

    def __init__(self, folder: Path):
        super().__init__()
        self.folder, self.home = str(folder), os.getpid()

    def forward(self, x):
        lives = list(Path(self.folder).glob("life*"))
        if lives and os.getpid() != self.home:
            lives[0].unlink(missing_ok=True)
            os.kill(os.getpid(), signal.SIGKILL)
        return x


class Detached(nn.Module):
    def forward(self, x):
        return x * x.detach()


class Joined(nn.Module):
    """Two inputs, joined in one vector by an x-ray, and weights that torch refuses to pickle."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b = weight_norm(nn.Linear(8, 6)), nn.Linear(5, 6)

    def forward(self, x, y):
        return torch.tanh(self.a(x) + self.b(y))


def net(*more):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 10), nn.Tanh(), nn.Linear(10, 6), *more)


def examples(n=5):
    return torch.randn(n, 8, generator=torch.Generator().manual_seed(5))


@pytest.fixture(scope="module", autouse=True)
def by_value():
    """What is defined here cannot be imported where no test runs."""
    cloudpickle.register_pickle_by_value(__import__("sys").modules[__name__])


def two():
    return joblib.parallel_config("loky", n_jobs=2)


def sent(measure):
    return np.frombuffer(cloudpickle.dumps(_worker.Sent(measure)), dtype=np.uint8)


def test_two_processes_give_the_bits_of_one(tmp_path):
    run = nakami.xray(net(), examples(), out=tmp_path / "one", layers=True)
    nakami.dynamics.perturbation(net(), examples(), run)
    with two():
        run = nakami.xray(net(), examples(), out=tmp_path / "two", layers=True)
        nakami.dynamics.perturbation(net(), examples(), run)
        other = nakami.xray(net(), examples() + 1, out=tmp_path / "other", layers=True)
    assert bytes_of_run(tmp_path / "one") == bytes_of_run(tmp_path / "two")
    assert bytes_of_run(tmp_path / "one") != bytes_of_run(other.folder)


def test_several_inputs_and_parametrised_weights_give_the_same_bits():
    # the second input lies where a run that copies its input, or does not, rounds otherwise
    x, y = examples(), torch.randn(5, 5, generator=torch.Generator().manual_seed(6))
    run = nakami.xray(Joined(), (x, y))
    one = nakami.dynamics.perturbation(Joined(), (x, y), run)
    with two():
        other = nakami.xray(Joined(), (x, y))
        many = nakami.dynamics.perturbation(Joined(), (x, y), other)
    for mine, theirs in zip(run.spectra, other.spectra, strict=True):
        assert mine.values.tobytes() == theirs.values.tobytes()
    for name, array in one.arrays.items():
        assert array.tobytes() == many.arrays[name].tobytes(), name


@pytest.mark.slow  # workers are started anew
def test_a_lost_worker_costs_only_what_it_had_in_hand(tmp_path):
    whole = nakami.xray(net(Fragile(tmp_path)), examples(), stages="3")
    for life in range(2):
        (tmp_path / f"life{life}").touch()
    with two():
        run = nakami.xray(net(Fragile(tmp_path)), examples(), stages="3", out=tmp_path / "run")
    assert not list(tmp_path.glob("life*"))
    for mine, other in zip(whole.spectra, run.spectra, strict=True):
        assert mine.values.tobytes() == other.values.tobytes()


@pytest.mark.slow
def test_workers_that_are_always_lost_end_in_a_sentence(tmp_path, monkeypatch):
    for life in range(30):
        (tmp_path / f"life{life}").touch()
    monkeypatch.setattr(_spread, "TRIES", 1)
    with two(), pytest.raises(RunError, match=r"workers were lost .* the same call continues it"):
        nakami.xray(net(Fragile(tmp_path)), examples(), stages="3")


@pytest.mark.slow
@pytest.mark.parametrize("lives", [1, 30])
def test_workers_of_dask_that_are_given_up_end_no_run_and_hang_none(tmp_path, lives):
    distributed = pytest.importorskip("distributed")
    for life in range(lives):
        (tmp_path / f"life{life}").touch()
    here = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with (
        pytest.importorskip("dask").config.set({"distributed.scheduler.allowed-failures": 0}),
        distributed.Client(**here, silence_logs=logging.CRITICAL),
        joblib.parallel_config("dask"),
    ):
        if lives > 1:
            with pytest.raises(RunError, match=r"workers were lost .* the same call continues it"):
                nakami.xray(net(Fragile(tmp_path)), examples(), stages="3")
        else:
            assert len(nakami.xray(net(Fragile(tmp_path)), examples(), stages="3").spectra) == 5


def test_a_warning_of_several_workers_comes_once():
    with two(), pytest.warns(NakamiWarning, match="J is no derivative") as seen:
        nakami.xray(net(Detached()), examples(), stages="3")
    assert [w.filename for w in seen if isinstance(w.message, NakamiWarning)] == [__file__]


def test_a_model_that_cannot_be_pickled_is_refused():
    model = net()
    model.lock = threading.Lock()
    with two(), pytest.raises(UsageError, match=r"model must be picklable, .*lock.*one process"):
        nakami.xray(model, examples())


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"n_jobs": 0}, "n_jobs must be a number of processes, got 0"),
        ({"n_jobs": "two"}, "n_jobs must be a number of processes, got 'two'"),
        ({"backend": "threading", "n_jobs": 2}, "backend must start processes .* 'threading'"),
    ],
)
def test_what_joblib_was_told_wrong_is_refused(given, match):
    with joblib.parallel_config(**given), pytest.raises(UsageError, match=match):
        nakami.xray(net(), examples())


def test_one_job_starts_no_process():
    with joblib.parallel_config(n_jobs=1):
        assert _spread.workers() == 0
    assert _spread.workers() == 0
    with two():
        assert _spread.workers() == 2


def test_a_worker_computes_with_what_the_run_has_and_puts_it_back():
    def state(_):
        return torch.get_num_threads(), torch.get_default_dtype()

    here = state(0)
    torch.set_default_dtype(torch.float64)
    try:
        packed = sent(state)
    finally:
        torch.set_default_dtype(here[1])
    done = _worker.outcome(packed, "state", 3, None)
    assert (done.task, pickle.loads(done.value)) == (3, (here[0], torch.float64))
    assert state(0) == here


def test_what_a_task_raises_and_warns_comes_back():
    class Odd(Exception):
        def __init__(self, one, two):
            super().__init__(one)

    def measure(task):
        warnings.warn("mind", stacklevel=1)
        raise Odd(1, 2)

    done = _worker.outcome(sent(measure), "odd", 0, None)
    assert isinstance(done.error, RunError)
    assert "Odd" in str(done.error)
    assert [str(w.message) for w in done.warned] == ["mind"]


def test_a_result_that_cannot_be_sent_is_the_fault_of_its_task():
    done = _worker.outcome(sent(lambda _: threading.Lock()), "lock", 0, None)
    assert isinstance(done.error, TypeError)
    assert "lock" in str(done.error)


class Failing(joblib._parallel_backends.ThreadingBackend):
    """Tries nothing, and raises what it was given."""

    tries, error = 0, None

    def submit(self, func, callback=None):
        type(self).tries += 1
        raise self.error


def killed(base, name):
    return type(name, (base,), {})("a worker is gone\nand more")


@pytest.mark.parametrize(
    ("error", "match", "tries"),
    [
        (ValueError("no room for a pool"), "^no room for a pool$", 1),
        (PermissionError("no right to fork"), "^no right to fork$", 1),
        (pickle.PicklingError("cannot pickle it"), "^cannot pickle it$", 1),
        (BrokenProcessPool("a result has failed to un-serialize"), "^a result has failed", 1),
        (killed(Exception, "Py4JJavaError"), "workers were lost 3 times .*; what is", 3),
        (killed(Exception, "KilledWorker"), "KilledWorker: a worker is gone", 3),
        (killed(type(killed(Exception, "RayActorError")), "ActorDiedError"), "ActorDied", 3),
        (TerminatedWorkerError("gone"), "TerminatedWorkerError: gone", 3),
    ],
    ids=lambda given: type(given).__name__ if isinstance(given, Exception) else "",
)
def test_what_is_no_lost_worker_comes_out_at_once(error, match, tries, monkeypatch):
    monkeypatch.setattr(_spread, "PAUSE", 0)
    joblib.register_parallel_backend("failing", Failing)
    Failing.tries, Failing.error = 0, error
    with joblib.parallel_config("failing", n_jobs=2), pytest.raises(Exception, match=match) as seen:
        nakami.xray(net(), examples())
    assert Failing.tries == tries
    assert (seen.value is error) == (tries == 1)


def test_workers_do_not_hear_ctrl_c_and_this_process_does():
    def blocked(_):
        return signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, [])

    with two():
        assert [deaf for _, deaf in _spread.spread(blocked, range(3))] == [True] * 3
    assert not blocked(0)


def test_a_worker_of_another_version_is_refused(monkeypatch):
    packed = sent(abs)
    monkeypatch.setattr(_worker, "versions", lambda: {**versions(), "torch": "1.0"})
    done = _worker.outcome(packed, "old", 0, -1)
    assert "workers must have the versions of this process, got torch 1.0" in str(done.error)
