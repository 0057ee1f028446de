"""What long work says of itself: off by default, counted, and without a trace on what is made."""

import threading

import pytest
import torch
from torch import nn

import nakami
from nakami import sampling
from nakami.results import duration
from nakami.spectra import Gram, LinearOperator
from nakami.theory import phase, plateau


def symmetric(n=40):
    q = torch.linalg.qr(
        torch.randn(n, n, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    )[0]
    return (q * torch.linspace(1, 5, n, dtype=torch.float64)) @ q.T


class Counted(LinearOperator):
    """A matrix by its products, which counts the columns itself."""

    route = "counted"

    def __init__(self, matrix):
        self.matrix, self.columns = matrix, 0
        self.shape, self.dtype, self.device = tuple(matrix.shape), matrix.dtype, matrix.device

    def _matmat(self, block):
        self.columns += block.shape[1]
        return self.matrix @ block

    def _rmatmat(self, block):
        self.columns += block.shape[1]
        return self.matrix.T @ block


def heard(work, **options):
    lines = []
    with nakami.progress(lines.append, every=0, **options):
        work()
    return lines


def test_silent_without_a_listener(capsys):
    nakami.eigh(Counted(symmetric()), 1)
    assert capsys.readouterr() == ("", "")


def test_products_are_those_that_were_made():
    op = Counted(symmetric(300))
    lines = heard(lambda: nakami.eigh(op, 1, method="krylov"))
    assert f"eigh, {op.columns} products" in lines[-1]
    counts = [int(line.split(" product")[0].split()[-1]) for line in lines if "product" in line]
    assert counts == sorted(counts)
    assert counts[0] < 4


def test_the_residual_is_that_of_the_values_wanted():
    op = Counted(symmetric(300))
    lines = heard(lambda: nakami.eigh(op, 3, method="krylov"))
    shown = [float(line.split("residual ")[1].split()[0]) for line in lines if "residual" in line]
    found = nakami.eigh(op, 3, method="krylov")
    last = float((found.residuals / found.values.abs()).max())
    assert shown[0] > 10 * shown[-1]
    assert shown[-1] == pytest.approx(last, rel=0.06)


def test_a_product_made_of_products_is_one():
    op = Gram(Counted(symmetric()))
    lines = heard(lambda: [op @ torch.ones(40, 2) for _ in range(3)])
    assert [line.split(" (")[0] for line in lines] == ["2 products", "4 products", "6 products"]


@pytest.mark.parametrize(
    ("reading", "words"),
    [
        (nakami.learning_rate, ["trial step 1, "]),
        (nakami.rate_limit, ["eigh, ", "limit of batch 2 of 2: "]),
        (
            nakami.geometry.learning_rate_report,
            ["trial step 1, ", "now the limit: 2 of 7; eigh, ", "limit of batch 2 of 2: "],
        ),
    ],
)
def test_readings_of_rates_say_where_they_are_and_compute_the_same(reading, words):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(20, 4, generator=generator, dtype=torch.float64)
    y = (x.sum(1) > 0).long()
    given = nn.Linear(4, 2).double(), [(x[:10], y[:10]), (x[10:], y[10:])], "cross_entropy", "sgd"
    state, found = torch.random.get_rng_state(), []
    lines = heard(lambda: found.append(reading(*given)))
    assert torch.equal(state, torch.random.get_rng_state())
    assert found == [reading(*given)]
    for each in words:
        assert any(each in line for line in lines), each


def test_the_innermost_block_hears_and_nothing_stays_after_an_error():
    op, outer, inner = Counted(symmetric()), [], []
    with nakami.progress(outer.append, every=0):
        with nakami.progress(inner.append, every=0):
            _ = op @ torch.ones(40)
        with pytest.raises(nakami.results.UsageError, match="k must be a whole number from 1"):
            nakami.eigh(op, 0)
        assert (len(outer), len(inner)) == (0, 1)
        _ = op @ torch.ones(40)
    _ = op @ torch.ones(40)
    assert [line.split(" (")[0] for line in outer] == ["1 product"]
    assert len(inner) == 1


def test_other_threads_are_not_heard():
    op, lines = Counted(symmetric()), []
    with nakami.progress(lines.append, every=0):
        thread = threading.Thread(target=lambda: op @ torch.ones(40))
        thread.start()
        thread.join()
    assert lines == []


def test_lines_come_no_sooner_than_asked(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("nakami.results._listening.time.monotonic", lambda: now[0])
    op, lines = Counted(symmetric()), []
    with nakami.progress(lines.append, every=5):
        for second in range(1, 13):
            now[0] = float(second)
            _ = op @ torch.ones(40)
    assert lines == ["5 products (5 s)", "10 products (10 s)"]


def test_standard_error_is_the_default(capsys):
    with nakami.progress(every=0):
        _ = Counted(symmetric()) @ torch.ones(40)
    assert capsys.readouterr() == ("", "1 product (0 s)\n")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"tell": 3}, "tell must be a function, called as tell(line), got 3"),
        ({"every": -1}, "every must be seconds, from 0 on, got -1; use 5.0."),
        ({"every": float("nan")}, "every must be seconds, from 0 on, got nan"),
        ({"every": True}, "every must be seconds, from 0 on, got True"),
    ],
)
def test_wrong_use(options, text):
    with pytest.raises(nakami.results.UsageError) as error:
        nakami.progress(**options).__enter__()
    assert str(error.value).startswith(text)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "0 s"), (59, "59 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")]
)
def test_duration(seconds, text):
    assert duration(seconds) == text


def theory_calls():
    teachers = plateau.random_readouts(2, count=2, seed=0)
    start = plateau.random_start(teachers, outputs=2, seed=0)
    one = plateau.best_one_unit([[1.0, 0.0], [0.0, 1.0]])
    j, w = torch.randn(4, 10, generator=torch.Generator().manual_seed(0)).split(2)
    weights = (j.numpy(), w.numpy(), [[1.0], [0.5]], [[1.0], [-1.0]])
    instance = phase.draw_instance(0.5, 0.5, 3, 40)
    return {
        "trajectory": lambda: plateau.trajectory(start, 0.2, t_end=3),
        "escape; trajectory": lambda: plateau.escape(one, 0.5, limit=1, count=1),
        "simulate": lambda: plateau.simulate(*weights, t_end=30),
        "descend, 1 step": lambda: plateau.descend(*weights, max_steps=3),
        "pre-training; gamp, 1 step, error": lambda: phase.pretrain_then_finetune(instance),
        "fine-tuning; gamp, 1 step": lambda: phase.pretrain_then_finetune(instance),
        "state_evolution, 1 step": lambda: phase.state_evolution(0.5, 0.1, 1),
        "mismatched_evolution, 1 step": lambda: phase.mismatched_evolution(0.5, 0.5, 0.1, 1),
    }


def sampling_calls():
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(3, 4, generator=generator)
    machine = sampling.Machine(weight, torch.zeros(4), torch.zeros(3))
    start = torch.zeros(2, 2, 3)
    data = torch.ones(2, 4)

    def langevin():
        sampling.UnadjustedLangevin(lambda x: x.square().sum(1), start=start, step=0.1).sweep(5)

    return {
        "sweeps: 2 of 5": lambda: sampling.Chains(machine).sweep(5),
        "record, sweeps: 2 of 5": lambda: sampling.Chains(machine).record(lambda v: v, 5),
        "sweeps: 3 of 5": lambda: sampling.ParallelTempering(machine).sweep(5),
        "burn_in, round 2 of 2; sweeps: 1 of 4": lambda: sampling.ParallelTempering(
            machine
        ).burn_in(6, rounds=2),
        "log_likelihood; annealed_importance_sampling; runs from 1 of 4; temperatures: 2 of 9": (
            lambda: sampling.log_likelihood(machine, data, temperatures=9, runs=4)
        ),
        "sweeps: 4 of 5": langevin,
    }


@pytest.mark.parametrize("calls", [theory_calls, sampling_calls])
def test_theory_and_sampling_say_how_far_they_are(calls):
    for said, call in calls().items():
        lines = heard(call)
        assert any(said in line for line in lines), (said, lines[:5])
        with nakami.progress(lines.append, every=0):
            before = len(lines)
            nakami.eigh(symmetric(), 1)
        assert not any(said in line for line in lines[before:])  # no name stays behind
