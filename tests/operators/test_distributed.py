"""Curvature matrices of data that lie on two ranks, against dense ones of all data."""

import pytest
import torch
from torch.testing import assert_close

import nakami
from curvatures import Dense, case
from nakami.operators.curvature._distributed import Ranks, _bits
from nakami.results import UsageError
from ranks import measured_by
from two_ranks import READ, Centred


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    """What ranks 0 and 1 measured, each in a process of its own."""
    return measured_by("two_ranks:measured", 2, tmp_path_factory.mktemp("ranks"))


def wanted(name, kind):
    model, x, y, loss = case(name)
    dense = Dense(model, x, y, loss)
    return {
        "fisher": dense.fisher,
        "ggn": lambda: dense.own(dense.fisher()),
        "empirical_fisher": dense.empirical_fisher,
        "hessian": lambda: dense.hessian(y),
    }[kind]()


@pytest.mark.parametrize("read", READ, ids="-".join)
def test_the_matrix_of_all_data(ranks, read):
    matrix, (model, x, y, loss) = wanted(*read), case(read[0])
    value = loss(model(x), y)
    slopes = torch.autograd.grad(value, list(model.parameters()))
    for here in (found[read] for found in ranks):
        assert_close(here["dense"], matrix, rtol=1e-10, atol=1e-12)
        assert_close(here["values"], torch.linalg.eigvalsh(matrix).flip(0)[:3], rtol=1e-9, atol=0)
        assert here["trace"] == pytest.approx(float(matrix.trace()), rel=1e-10)
        assert ("norms of the root's rows" in here["reason"]) == (read[1] != "hessian")
        assert here["loss"] == pytest.approx(value.item(), rel=1e-12)
        assert here["n_samples"] == int((y != -100).sum() if read[0] == "tokens" else len(y))
        assert_close(here["gradient"], torch.cat([g.reshape(-1) for g in slopes]))
        assert here["no"] == (None, None)
        assert here["route"].endswith(", summed over 2 ranks")


def test_an_estimated_trace_is_that_of_all_data(ranks):
    (first, true), (second, _) = (found["others"]["many"] for found in ranks)
    assert first == second
    assert first.converged
    assert not first.exact
    assert 0 < abs(first.value - float(true)) < 4 * first.se


@pytest.mark.parametrize("read", READ, ids="-".join)
def test_ranks_get_the_same_bits(ranks, read):
    first, second = (found[read] for found in ranks)
    for key in ("dense", "values", "gradient"):
        assert torch.equal(first[key], second[key]), key
    assert (first["trace"], first["loss"]) == (second["trace"], second["loss"])


def test_what_is_derived_from_it(ranks):
    model, x, y, loss = case("classes")
    one = nakami.ggn(model, (x, y), loss)
    point = torch.cat([p.detach().reshape(-1) for p in model.parameters()])
    some = torch.cat([x[:1], x[4:]]), torch.cat([y[:1], y[4:]])
    shifted = torch.cat([p.detach().reshape(-1) + (n == "0.bias") for n, p in named(model)])
    for here in (found["others"] for found in ranks):
        assert here["by_parameter"] == pytest.approx(one.trace_by_parameter())
        assert_close(here["ddp"], one.dense())
        assert_close(here["layer"], one.layer("2.*").dense())
        assert_close(here["moved"], one.moved(1.5 * point).dense())
        assert_close(here["present"], one.moved(shifted).dense())
        value, gradient = one.loss_and_gradient(1.5 * point)
        assert here["loss_and_gradient"][0] == pytest.approx(value)
        assert_close(here["loss_and_gradient"][1], gradient)
        assert here["first"] == pytest.approx(loss(model(some[0]), some[1]).item())
        assert here["second"] == pytest.approx(float(one.dense().square().sum()))


def named(model):
    return model.named_parameters()


def test_draws_differ_by_rank(ranks):
    first, second = (found["others"] for found in ranks)
    both = (4 * first["drawn_alone"] + 8 * second["drawn_alone"]) / 12
    assert_close(first["drawn"], both)
    assert torch.equal(first["drawn"], second["drawn"])
    assert first["seed"] == 3 != second["seed"]
    assert first["sampling_error"] == second["sampling_error"] > 0


def test_ranks_that_see_different_data_go_the_same_way(ranks):
    model, x, y, loss = case("squared")
    parts = [(x[:1], y[:1]), (x[1:], y[1:])]
    matrix = nakami.fisher(Centred(model), parts, loss).dense()
    for here in (found["mixing"] for found in ranks):
        assert_close(here["dense"], matrix)
        assert here["trace"] == pytest.approx(float(matrix.trace()))
        assert "trace_by_parameter must have a root" in here["refused"]


def test_an_error_on_one_rank_ends_the_call_on_all(ranks):
    first, second = (found["errors"] for found in ranks)
    sound = "must be sound on all ranks, got an error on rank 1 of 2; its message is there."
    for key in ("empty", "no examples", "labels"):
        assert first[key] == f"UsageError: the arguments {sound}"
    assert "data must hold at least one batch" in second["empty"]
    assert "must hold at least one example" in second["no examples"]
    assert "must be classes from 0 to 2" in second["labels"]
    assert first["product"] == f"RunError: a product {sound}"
    assert second["product"] == "MemoryError: out of memory"


def test_ranks_that_disagree_are_refused(ranks):
    for rank, here in enumerate(found["errors"] for found in ranks):
        for key in ("kind", "seed", "params"):
            assert "ranks that call with the same arguments and the same network" in here[key]
        for key in ("weights", "present"):
            assert "equal weights and buffers on all ranks, got '2.bias' that differs" in here[key]
        assert "group must be left out for batches one by one, got 2 ranks" in here["by_batch"]
        only = "group must have this process as a member" if rank else "nothing"
        assert only in here["member"]


@pytest.mark.parametrize(
    ("group", "message"),
    [
        ("world", "group must be of processes that are joined, got 'world'; leave it out"),
        ("gloo", "group must be a process group of torch.distributed, or 'world', got 'gloo'"),
        (2, "group must be a process group of torch.distributed, or 'world', got 2"),
    ],
)
def test_no_group(group, message):
    model, x, y, loss = case("classes")
    with pytest.raises(UsageError, match=message):
        nakami.fisher(model, (x, y), loss, group=group)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.cfloat])
def test_every_bit_of_a_weight_counts(dtype):
    weight = torch.linspace(-1, 1, 12).reshape(3, 4).to(dtype)
    seen = {_bits(weight), _bits(weight.flip(0)), _bits(-weight), _bits(weight * (1 + 2**-7))}
    assert len(seen) == 4
    assert _bits(weight.T.contiguous().T) == _bits(weight)
    assert _bits(torch.tensor(True)) != _bits(torch.tensor(False))


def test_alone_nothing_is_summed():
    alone, v = Ranks(), torch.ones(3)
    assert alone.sum(v) is v
    assert alone.total(1.5, 2.0) == [1.5, 2.0]
    assert alone.seed(7) == 7
    assert alone.every(True)
    assert not alone.every(False)
    with pytest.raises(ZeroDivisionError, match="on purpose"), alone.together("nothing"):
        raise ZeroDivisionError("on purpose")
