"""Limits against dense eigenvalues and linear problems, and that nothing is touched."""

import copy

import pytest
import torch
from torch import nn
from torch.testing import assert_close

import nakami
from borders import fitted, frozen, limits
from curvatures import CASES, Dense, case
from nakami.geometry import LimitEnding, LimitOptions, learning_rate_report


def top(matrix):
    return float(torch.linalg.eigvalsh(matrix)[-1])


@pytest.mark.parametrize("name", CASES)
def test_plain_limit_against_dense(name):
    model, x, y, loss = case(name)
    dense = Dense(model, x, y, loss)
    wanted = top(dense.own(dense.fisher()))
    found = limits(model, (x, y), loss, "nesterov", tol=1e-9)
    assert found.lambda_max == found.sharpness == pytest.approx(wanted, rel=1e-8)
    assert found.limit == pytest.approx(3.8 / 2.8 / wanted, rel=1e-8)
    assert found.error <= 1e-8 * found.limit
    assert found.value == pytest.approx(float(loss(model(x), y).detach()))
    assert (found.n_samples, found.converged) == (len(dense.z), True)


def test_reductions_of_the_squared_error():
    model, x, y = fitted()
    mean = limits(model, (x, y), nn.MSELoss())
    total = limits(model, (x, y), nn.MSELoss(reduction="sum"))
    assert mean.limit / total.limit == pytest.approx(y.numel())


def test_soft_targets_do_not_count_for_cross_entropy():
    model, x, y, loss = case("classes")
    soft = torch.rand(12, 3, dtype=torch.float64).softmax(1)
    hard = limits(model, (x, y), loss)
    assert limits(model, (x, soft), loss).limit == pytest.approx(hard.limit)


def scaled_top(model, x, y, loss, rates, decay=0.0):
    """Largest eigenvalue of ``R^(1/2) (G + decay) R^(1/2)``, dense."""
    dense = Dense(model, x, y, loss)
    root = rates.sqrt()
    matrix = dense.own(dense.fisher()) + decay * torch.eye(len(rates)).double()
    return top(root[:, None] * matrix * root)


def spread(model, values):
    sizes = [p.numel() for p in model.parameters()]
    return torch.cat([torch.full((n,), v).double() for n, v in zip(sizes, values, strict=True)])


def test_groups_against_dense():
    model, x, y, loss = case("classes")
    groups = [
        {"params": [model[0].weight, model[0].bias], "lr": 0.3},
        {"params": [model[2].weight], "lr": 0.1},
    ]  # the last bias is in none: it stays
    optimizer = torch.optim.SGD(groups, weight_decay=0.05)
    found = limits(model, (x, y), loss, optimizer, tol=1e-9)
    rates = spread(model, [1, 1, 1 / 3, 0])
    wanted = scaled_top(model, x, y, loss, rates, 0.05)
    assert found.sharpness == pytest.approx(wanted, rel=1e-8)
    assert found.limits == pytest.approx((2 / wanted, 2 / 3 / wanted), rel=1e-8)
    plain = limits(model, (x, y), loss, tol=1e-9)
    assert found.lambda_max == pytest.approx(plain.lambda_max, rel=1e-8)


@pytest.mark.parametrize("rows", [1, 2, 7])
@pytest.mark.parametrize("name", ["groups", "adam"])
def test_batches_of_few_rows_against_dense(name, rows):
    """One output, so that a batch has as many rows as examples; the last batch has one alone."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 16), nn.Tanh(), nn.Linear(16, 1)).double()
    x = torch.randn(2 * rows + 1, 5, dtype=torch.float64)
    batches = [(x[i : i + rows], x[i : i + rows, :1].sin()) for i in (0, rows)]
    batches.append((x[-1:], x[-1:, :1].sin()))
    values, loss = [1.0, 1.0, 0.1, 0.1], nn.MSELoss()
    if name == "groups":
        own = [{"params": model[0].parameters()}, {"params": model[2].parameters(), "lr": 0.01}]
        optimizer = torch.optim.SGD(own, lr=0.1)
    else:
        own = {
            p: torch.full_like(p, 1 / v) for p, v in zip(model.parameters(), values, strict=True)
        }
        optimizer = frozen(torch.optim.Adam(model.parameters()), own)
    found = nakami.rate_limit(
        model, batches, loss, optimizer, fill_steps=8, options=LimitOptions(tol=1e-9)
    )
    wanted = [scaled_top(model, *pair, loss, spread(model, values)) for pair in batches]
    assert found.batch_sharpness == pytest.approx(wanted, rel=1e-8)
    assert found.limit > found.batch_limit > 0
    assert found.converged


@pytest.mark.parametrize("amsgrad", [False, True])
def test_adam_state_against_dense(amsgrad):
    model, x, y, loss = case("classes")
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01, amsgrad=amsgrad, eps=1e-3)
    for _ in range(5):
        optimizer.zero_grad()
        loss(model(x), y).backward()
        optimizer.step()
    key = "max_exp_avg_sq" if amsgrad else "exp_avg_sq"
    v = torch.cat([optimizer.state[p][key].reshape(-1) for p in model.parameters()])
    denominators = (v / (1 - 0.999**5)).sqrt() + 1e-3
    wanted = scaled_top(model, x, y, loss, 1 / denominators)
    found = limits(model, (x, y), loss, optimizer, tol=1e-9)
    assert found.limit == pytest.approx(38 / wanted, rel=1e-8)


def test_a_probe_is_what_training_does():
    model, x, y, loss = case("classes")
    batches = [(x[:6], y[:6]), (x[6:], y[6:])]
    found = limits(model, batches, loss, "adam", fill_steps=5, tol=1e-9)
    trained = copy.deepcopy(model)
    optimizer = torch.optim.Adam(trained.parameters(), lr=1e-3)
    for step in range(5):
        a, b = batches[step % 2]
        optimizer.zero_grad()
        loss(trained(a), b).backward()
        optimizer.step()
    wanted = limits(trained, batches, loss, optimizer, tol=1e-9)
    assert found.limit == pytest.approx(wanted.limit, rel=1e-6)
    assert found.value == pytest.approx(wanted.value)
    assert found.batch_sharpness == pytest.approx(wanted.batch_sharpness, rel=1e-6)
    assert "5 steps" in found.preconditioner
    assert wanted.preconditioner == "the optimizer's state"


OPTIMIZERS = {
    "sgd": lambda p, w: torch.optim.SGD(p, lr=1.0, weight_decay=w),
    "nesterov": lambda p, w: torch.optim.SGD(
        p, lr=1.0, momentum=0.9, nesterov=True, weight_decay=w
    ),
    "dampened": lambda p, w: torch.optim.SGD(
        p, lr=1.0, momentum=0.8, dampening=0.5, weight_decay=w
    ),
    "adam": lambda p, w: torch.optim.Adam(p, lr=1.0, betas=(0.8, 0.999), weight_decay=w),
    "adamw": lambda p, w: torch.optim.AdamW(p, lr=1.0, betas=(0.8, 0.999), weight_decay=w),
}


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_weight_decay_on_a_linear_problem(name, grouped):
    torch.manual_seed(0)
    model, x = nn.Linear(5, 2).double(), torch.randn(9, 5, dtype=torch.float64)
    y, loss = torch.randn(9, 2, dtype=torch.float64), nn.MSELoss()
    denominators = [torch.rand(2, 5).double() + 0.5, torch.rand(2).double() + 0.5]

    def make(net):
        parts = list(net.parameters())
        if grouped:  # no decay of biases, as is usual
            parts = [{"params": parts[:1]}, {"params": parts[1:], "weight_decay": 0.0, "lr": 0.7}]
        made = OPTIMIZERS[name](parts, 0.8)
        if name.startswith("adam"):
            frozen(made, dict(zip(net.parameters(), denominators, strict=True)))
        return made

    found = limits(model, (x, y), loss, make(model), tol=1e-10)
    for share, grows in ((0.98, False), (1.02, True)):
        net = copy.deepcopy(model)
        optimizer, moves, before = make(net), [], None
        for group, rate in zip(optimizer.param_groups, found.limits, strict=True):
            group["lr"] = share * rate
        for _ in range(600):
            optimizer.zero_grad()
            loss(net(x), y).backward()
            optimizer.step()
            now = torch.cat([p.detach().reshape(-1) for p in net.parameters()])
            if before is not None:
                moves.append(float((now - before).norm()))
            before = now
            if len(moves) > 1 and moves[-1] > 1e3 * moves[0]:
                break
        assert (len(moves) < 599) == grows
        assert (moves[-1] < moves[0]) == (not grows)


def test_each_batch_beside_all():
    model, x, y, loss = case("classes")
    batches = [(x[:4], y[:4]), (x[4:8], y[4:8]), (x[8:], y[8:])]
    found = limits(model, iter(batches), loss, "momentum", tol=1e-9)
    whole = limits(model, (x, y), loss, "momentum", tol=1e-9)
    each = [limits(model, b, loss, "momentum", tol=1e-9) for b in batches]
    assert found.limit == pytest.approx(whole.limit, rel=1e-8)
    assert found.batch_sharpness == pytest.approx([e.sharpness for e in each], rel=1e-8)
    assert found.batch_limit == pytest.approx(min(e.limit for e in each), rel=1e-8)
    assert found.batch_limit < found.limit
    assert (found.n_batches, whole.n_batches) == (3, 1)
    assert found.cost > whole.cost > 0
    only = limits(model, batches, loss, each_batch=False)
    assert only.batch_sharpness == (only.sharpness,)


def test_batches_of_a_sum_are_less_sharp_than_all():
    model, x, y, loss = case("sum")
    found = limits(model, [(x[:6], y[:6]), (x[6:], y[6:])], loss, tol=1e-9)
    halves = [limits(model, (x[h], y[h]), loss) for h in (slice(6), slice(6, 12))]
    assert found.batch_limit == pytest.approx(min(h.limit for h in halves), rel=1e-6)
    assert found.batch_limit > found.limit


def test_without_curvature_there_is_no_limit():
    model, x, y, _ = case("squared")
    dead = nn.Sequential(model, nn.Threshold(1e9, 0.0))
    found = limits(dead, (x, y), nn.MSELoss())
    assert (found.limit, found.sharpness) == (float("inf"), 0.0)


def test_nothing_is_touched():
    model, x, y, loss = case("classes")
    model = nn.Sequential(*model, nn.Dropout(0.5)).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    weights, settings = copy.deepcopy(model.state_dict()), copy.deepcopy(optimizer.state_dict())
    state = torch.get_rng_state()
    limits(model, (x, y), loss, optimizer, fill_steps=3)
    limits(model, (x, y), loss, "adamw", fill_steps=3)
    assert_close(model.state_dict(), weights, rtol=0, atol=0)
    assert optimizer.state_dict() == settings
    assert torch.equal(torch.get_rng_state(), state)
    assert model.training
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    assert not any(m._forward_hooks for m in model.modules())


def test_same_seed_same_figures():
    model, x, y, loss = case("cnn")
    one, two = (limits(model, (x, y), loss, "adam", seed=3) for _ in range(2))
    assert one == two
    assert "limit" in repr(one)


def test_a_loader_in_random_order():
    model, x, y, loss = case("classes")
    data = torch.utils.data.TensorDataset(x, y)
    loader = torch.utils.data.DataLoader(data, batch_size=4, shuffle=True)
    torch.manual_seed(5)
    wanted = list(loader)
    torch.manual_seed(5)
    found = limits(model, loader, loss, tol=1e-9)
    assert_close(list(loader), wanted, rtol=0, atol=0)  # the next epoch is as if none was read
    each = [limits(model, b, loss, tol=1e-9).sharpness for b in map(tuple, wanted)]
    assert found.batch_sharpness == pytest.approx(each, rel=1e-8)


def halves():
    model, x, y, loss = case("classes")
    return model, [(x[:6], y[:6]), (x[6:], y[6:])], loss


@pytest.mark.parametrize("optimizer", ["momentum", "adam"])
def test_progress_of_a_limit_counts_its_parts(optimizer):
    told = []
    found = nakami.rate_limit(*halves(), optimizer, progress=lambda *seen: told.append(seen))
    assert {total for _, total, _, _ in told} == {4}  # the first look is one
    done = [count for count, _, _, _ in told]
    assert done == sorted(done)
    assert done[-1] == 4
    assert not any(what.startswith("trial step") for _, _, _, what in told)
    assert f"limit of batch 2 of 2: {found.rule.limit(found.batch_sharpness[1]):.3g}" in told[-1][3]


@pytest.mark.parametrize("optimizer", ["momentum", "adam"])
def test_progress_of_advice_tells_each_trial_step(optimizer):
    told = []
    found = nakami.learning_rate(*halves(), optimizer, progress=lambda *seen: told.append(seen))
    steps = [seen for seen in told if seen[3].startswith("trial step")]
    assert len(steps) == sum(len(trial.losses) for trial in found.trials)
    assert {seen[:3] for seen in steps} == {(0, 1, None)}
    assert told[-1] == (1, 1, None, f"advised rate {found.advised:.3g}")


def test_progress_of_both_is_that_of_the_report():
    told = []
    model, batches, loss = halves()
    found = learning_rate_report(model, batches, loss, progress=lambda *seen: told.append(seen))
    assert {total for _, total, _, _ in told} == {7}  # with theory and eigenvalues
    done = [count for count, _, _, _ in told]
    assert done == sorted(done)
    assert done[-1] == 7
    assert any(f"advised rate {found.rate.advised:.3g}" in what for _, _, _, what in told)
    steps = [what for _, _, _, what in told if what.startswith("trial step")]
    assert len(steps) == sum(len(trial.losses) for trial in found.rate.trials)


@pytest.mark.parametrize("reading", [nakami.learning_rate, nakami.rate_limit])
def test_progress_is_a_function(reading):
    model, x, y, loss = case("classes")
    with pytest.raises(TypeError, match=r"progress must be.*progress\(done, total, seconds_left"):
        reading(model, (x, y), loss, progress=3)


def test_advice_takes_no_eigenvalue(monkeypatch):
    """It says nothing of the limit, and its cost is that of the trials."""

    def refuse(*_, **__):
        raise AssertionError("an eigenvalue was asked for")

    monkeypatch.setattr("nakami.geometry.rate._search.eigh", refuse)
    monkeypatch.setattr("nakami.geometry.rate._rate_limit.first_look", refuse)
    found = nakami.learning_rate(*halves(), "adam", progress=lambda *_: None)
    assert found.advised > 0
    assert (found.n_samples, found.n_batches, found.optimizer) == (12, 2, "Adam")
    assert found.converged is found.outcome.converged is True
    assert found.reason == found.outcome.reason
    assert found.advice.startswith(found.reason)
    assert not hasattr(found, "limit")
    with pytest.raises(AssertionError, match="an eigenvalue was asked for"):
        nakami.rate_limit(*halves(), "adam")


@pytest.mark.parametrize("optimizer", ["momentum", "adam"])
def test_a_report_holds_both_and_reads_the_limit_where_the_best_trial_ended(optimizer):
    model, batches, loss = halves()
    found = learning_rate_report(
        model, batches, loss, optimizer, spectrum=False, options=LimitOptions(tol=1e-9)
    )
    assert found.rate == nakami.learning_rate(model, batches, loss, optimizer)
    alone = limits(model, batches, loss, optimizer, tol=1e-9)
    if optimizer == "momentum":
        assert found.limit.limit == pytest.approx(alone.limit, rel=1e-8)
        assert found.limit.cost == pytest.approx(alone.cost - 2 / 3)  # the trials took the losses
        return
    best = min(found.rate.trials, key=lambda trial: trial.losses[-1])
    trained, stepping = copy.deepcopy(model), None
    stepping = torch.optim.Adam(trained.parameters(), lr=best.rate)
    for step in range(found.rate.steps):
        a, b = batches[step % 2]
        stepping.zero_grad()
        loss(trained(a), b).backward()
        stepping.step()
    wanted = limits(trained, batches, loss, stepping, tol=1e-9)
    assert found.limit.limit == pytest.approx(wanted.limit, rel=1e-5)
    assert found.limit.limit != pytest.approx(alone.limit, rel=0.1)
    assert f"at rate {best.rate:.3g}" in found.limit.preconditioner


def test_a_limit_where_the_trial_fitted_the_examples_says_so():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(20, 64), nn.Tanh(), nn.Linear(64, 3))
    x, y = torch.randn(4, 20), torch.tensor([0, 1, 2, 0])
    found = learning_rate_report(net, (x, y), "cross_entropy", "adam", spectrum=False).limit
    assert found.outcome.kind is LimitEnding.FITTED
    assert not found.converged
    assert "the trial fitted these examples" in found.reason
    plain = nakami.rate_limit(net, (x, y), "cross_entropy", "sgd")
    assert plain.outcome.kind is not LimitEnding.FITTED  # it is read at the start


@pytest.mark.parametrize(("loss", "steps"), [("cross_entropy", 20), ("mse", 80)])
def test_only_curvature_that_goes_with_the_loss_is_fitted_at_a_thousandth(loss, steps):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(20, 64), nn.Tanh(), nn.Linear(64, 3)).double()
    x, y = torch.randn(4, 20, dtype=torch.float64), torch.tensor([0, 1, 2, 0])
    y = y if loss == "cross_entropy" else nn.functional.one_hot(y, 3).double()
    start = float(getattr(nn.functional, {"mse": "mse_loss"}.get(loss, loss))(net(x), y).detach())
    adam = torch.optim.Adam(net.parameters(), lr=0.02)
    found = nakami.rate_limit(net, (x, y), loss, adam, fill_steps=steps)
    assert 1e-6 < found.value / start < 1e-3
    assert (found.outcome.kind is LimitEnding.FITTED) == (loss == "cross_entropy")
