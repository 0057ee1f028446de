"""Every optimizer runs the same checks; a new one is one entry of the list."""

import copy
import io
import pickle
import shutil

import numpy as np
import pytest
import torch
from torch import nn
from torch.testing import assert_close
from torch.utils._python_dispatch import TorchDispatchMode

from nakami.optim._arithmetic import PIECE
from optimizer_list import ENTRIES, descend

LR = 0.01
every = pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES)


def same(found, wanted):
    assert_close(found, wanted, rtol=0, atol=0, equal_nan=True)


def drawn(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def run(optimizer, weights, steps, seed=0, step=None):
    """Steps by random gradients, the same for equal seeds."""
    gen = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        for w in weights:
            w.grad = torch.randn(w.shape, generator=gen, dtype=w.dtype)
        (step or optimizer.step)()


def parameters(*shapes, dtype=torch.float32):
    return [nn.Parameter(drawn(*shape, seed=i, dtype=dtype)) for i, shape in enumerate(shapes)]


def settings_of(entry):
    decays = [{"weight_decay": 0.3}, {"weight_decay": 0.3, "maximize": True}]
    if entry.apart:
        decays.append({"weight_decay": 0.3, "decoupled_weight_decay": True})
    return [{}, *entry.settings, *decays]


@every
@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_a_quadratic_is_descended_as_the_recursion_in_numpy_does(entry, noise):
    sharp = np.array([0.1, 1.0, 30.0])
    noises = noise * drawn(60, 3, seed=1).numpy()
    for settings in settings_of(entry):
        shared = {k: v for k, v in settings.items() if k in ("weight_decay",)}
        own = {k: v for k, v in settings.items() if k in entry.reference.__code__.co_varnames}
        sign = -1.0 if settings.get("maximize") else 1.0
        wanted = descend(
            entry.reference(**own), np.ones(3), lambda w, t: sharp * w + noises[t], 60, LR,
            apart=settings.get("decoupled_weight_decay", False), sign=sign, **shared,
        )  # fmt: skip
        w = nn.Parameter(torch.ones(3, dtype=torch.float64))
        optimizer, path = entry.make([w], lr=LR, **settings), []
        for noises_now in noises:
            w.grad = torch.from_numpy(sharp) * w.detach() + torch.from_numpy(noises_now)
            optimizer.step()
            path.append(w.detach().clone())
        assert_close(torch.stack(path), torch.from_numpy(wanted), rtol=1e-11, atol=1e-13)
    with pytest.raises(AssertionError, match="not close"):
        assert_close(torch.stack(path), 1.0001 * torch.from_numpy(wanted), rtol=1e-11, atol=1e-13)


@every
def test_a_noisy_quadratic_ends_near_its_minimum(entry):
    w, least = nn.Parameter(torch.zeros(4)), torch.tensor([1.0, -2.0, 0.5, 3.0])
    optimizer, ends = entry.make([w], lr=2 * LR), []
    noises = drawn(1500, 4, dtype=torch.float32)
    for t, noise in enumerate(noises):
        w.grad = torch.tensor([0.5, 1.0, 2.0, 4.0]) * (w.detach() - least) + noise
        optimizer.step()
        if t >= 900:
            ends.append(w.detach().clone())
    assert_close(torch.stack(ends).mean(0), least, rtol=0, atol=0.15)


@every
def test_rosenbrock(entry):
    rate, steps, loss = entry.rosenbrock
    w = nn.Parameter(torch.tensor([-1.2, 1.0], dtype=torch.float64))
    optimizer = entry.make([w], lr=rate)

    def value():
        return (1 - w[0]) ** 2 + 100 * (w[1] - w[0] ** 2) ** 2

    for _ in range(steps):
        x, y = w.detach()
        w.grad = torch.stack([-2 * (1 - x) - 400 * x * (y - x * x), 200 * (y - x * x)])
        optimizer.step()
    assert float(value().detach()) < loss


@every
def test_steps_stay_bounded_under_a_steady_gradient(entry):
    steady = torch.tensor([1.0, -1.0, 1e-3, 1e4, 0.0])
    w = nn.Parameter(torch.zeros(5))
    optimizer, moves = entry.make([w], lr=1.0), []
    w.grad = steady
    for _ in range(5000):
        optimizer.step()
        moves.append(-w.detach().clone())
        w.data.zero_()
    moves = torch.stack(moves)
    assert bool(moves.isfinite().all())
    assert (moves[:, 4] == 0).all()
    assert float(moves.abs().max()) <= entry.most
    assert (moves * steady >= 0).all()  # downhill
    low, high = entry.last
    assert low <= float(moves[-1, 0]) <= high
    assert_close(moves[-1, 1], -moves[-1, 0])


@every
def test_a_state_that_is_saved_and_loaded_goes_on_to_the_same_bits(entry):
    weights = parameters((3, 4), (4,))
    optimizer = entry.make(weights, lr=LR)
    run(optimizer, weights, 5)
    file = io.BytesIO()
    torch.save(optimizer.state_dict(), file)
    file.seek(0)
    others = [copy.deepcopy(w) for w in weights]
    loaded = entry.make(others, lr=1.0)
    loaded.load_state_dict(torch.load(file))
    again = pickle.loads(pickle.dumps((optimizer, weights)))
    run(optimizer, weights, 5, seed=1)
    run(loaded, others, 5, seed=1)
    run(*again, 5, seed=1)
    same(others, weights)
    same(again[1], weights)
    same(loaded.state_dict()["state"], optimizer.state_dict()["state"])


@every
def test_groups_have_settings_of_their_own(entry):
    apart, together = parameters((3, 4), (4,), (2,)), parameters((3, 4), (4,), (2,))
    rates = (LR, 0.1, 0.5)
    single = [entry.make([w], lr=lr) for w, lr in zip(apart, rates, strict=True)]
    named = zip("abc", together, rates, strict=True)
    *first, last = [{"params": [(name, w)], "lr": lr} for name, w, lr in named]
    optimizer = entry.make(first, lr=9.0)
    optimizer.add_param_group(last)
    for one, w in zip(single, apart, strict=True):
        gen = torch.Generator().manual_seed(0)
        for _ in range(4):
            w.grad = drawn(*w.shape, seed=int(torch.randint(99, (), generator=gen))).float()
            one.step()
    gen = torch.Generator().manual_seed(0)
    for _ in range(4):
        seed = int(torch.randint(99, (), generator=gen))
        for w in together:
            w.grad = drawn(*w.shape, seed=seed).float()
        optimizer.step()
    same(together, apart)
    assert [group["param_names"] for group in optimizer.param_groups] == [["a"], ["b"], ["c"]]


@every
def test_a_wrong_group_is_refused_as_a_wrong_optimizer_is(entry):
    if entry.make.__module__.startswith("torch."):
        pytest.skip("torch checks the defaults alone")
    first, second = parameters((2,), (2,))
    optimizer = entry.make([first], lr=LR)
    for settings, message in entry.wrong:
        with pytest.raises(ValueError, match=message):
            optimizer.add_param_group({"params": [second], **settings})
    assert len(optimizer.param_groups) == 1
    with pytest.raises(TypeError, match="param_group must be a dict"):
        optimizer.add_param_group([second])


@every
def test_wrong_arguments_are_named(entry):
    for settings, message in entry.wrong:
        with pytest.raises(ValueError, match=message):
            entry.make(parameters((2,)), **settings)
    with pytest.raises(ValueError, match="empty parameter list"):
        entry.make([])


@every
def test_sparse_gradients_are_refused(entry):
    table = nn.Embedding(5, 2, sparse=True)
    before = table.weight.detach().clone()
    table(torch.tensor([1, 3])).sum().backward()
    with pytest.raises((ValueError, RuntimeError), match=entry.sparse):
        entry.make(table.parameters(), lr=LR).step()
    same(table.weight.detach(), before)


@every
def test_weights_without_a_gradient_stay_and_have_no_state(entry):
    weights = parameters((3,), (3,))
    before = weights[1].detach().clone()
    optimizer = entry.make(weights, lr=LR, weight_decay=0.1)
    run(optimizer, weights[:1], 2)
    same(weights[1].detach(), before)
    assert weights[1] not in optimizer.state
    run(optimizer, weights, 1)  # the two are at different steps
    (alone,) = parameters((3,), (3,))[1:]
    gen = torch.Generator().manual_seed(0)
    torch.randn(3, generator=gen)
    alone.grad = torch.randn(3, generator=gen)
    entry.make([alone], lr=LR, weight_decay=0.1).step()
    same(weights[1], alone)


@every
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_a_gradient_that_is_not_finite_spoils_its_own_number_alone(entry, bad):
    good, spoilt = parameters((6,))[0], parameters((6,))[0]
    first, second = entry.make([good], lr=LR), entry.make([spoilt], lr=LR)
    run(first, [good], 2)
    run(second, [spoilt], 2)
    good.grad, spoilt.grad = drawn(6).float(), drawn(6).float()
    spoilt.grad[2] = bad
    first.step()
    second.step()
    run(first, [good], 2, seed=3)
    run(second, [spoilt], 2, seed=3)
    assert spoilt[2].isnan()
    rest = [0, 1, 3, 4, 5]
    same(spoilt[rest], good[rest])


@every
def test_complex_weights_are_pairs_of_real_ones(entry):
    real = nn.Parameter(drawn(3, 4, 2))
    whole = nn.Parameter(torch.view_as_complex(drawn(3, 4, 2)))
    first, second = (entry.make([w], lr=LR, weight_decay=0.1) for w in (real, whole))
    for t in range(6):
        real.grad = drawn(3, 4, 2, seed=t)
        whole.grad = torch.view_as_complex(drawn(3, 4, 2, seed=t))
        first.step()
        second.step()
    same(torch.view_as_real(whole.detach()), real.detach())
    assert second.state[whole][entry.averages[0]].dtype == torch.complex128


def several():
    """Weights small, larger than a piece, of other types and strides, and empty."""
    weights = parameters((3, 4), (2 * PIECE + 7,), (5,), (400, 300), (), (0,))
    weights += parameters((4, 4), dtype=torch.float64)
    weights.append(nn.Parameter(drawn(2, 3, 4, 5).float().to(memory_format=torch.channels_last)))
    weights.append(nn.Parameter(drawn(300, 200).float().t()))
    return weights


@every
def test_together_one_by_one_and_in_pieces_are_the_same_bits(entry):
    runs = []
    for foreach in (True, False, None):
        weights = several()
        optimizer = entry.make(weights, lr=LR, weight_decay=0.1, foreach=foreach)
        run(optimizer, weights, 3)
        runs.append(weights)
    same(runs[1], runs[0])
    same(runs[2], runs[0])


@every
def test_a_rate_as_a_tensor_and_a_schedule_are_followed(entry):
    found = []
    for lr in (LR, torch.tensor(LR), torch.tensor([LR])):
        weights = parameters((3, 4), (4,), dtype=torch.float64)
        optimizer = entry.make(weights, lr=lr, weight_decay=0.1, foreach=False)
        schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
        for seed in range(4):
            run(optimizer, weights, 1, seed)
            schedule.step()
        found.append([w.detach() for w in weights])
    assert_close(found[1], found[0], rtol=1e-6, atol=1e-8)  # a float32 rate
    same(found[2], found[1])
    moved = [
        float((w - p).abs().max().detach())
        for w, p in zip(found[0], parameters((3, 4), (4,)), strict=True)
    ]
    assert max(moved) > LR


@every
def test_the_closure_is_called_with_gradients_on_and_its_loss_returned(entry):
    (w,) = parameters((3,))
    optimizer = entry.make([w], lr=LR)

    def closure():
        optimizer.zero_grad()
        loss = w.square().sum()
        loss.backward()
        return loss

    wanted, before = float(w.detach().square().sum()), w.detach().clone()
    assert float(optimizer.step(closure).detach()) == wanted
    assert not torch.equal(w.detach(), before)
    assert optimizer.step() is None


@every
def test_gradients_and_random_numbers_are_left_as_they_were(entry):
    weights = parameters((3, 4), (4,))
    optimizer = entry.make(weights, lr=LR, weight_decay=0.1, maximize=True)
    for w in weights:
        w.grad = drawn(*w.shape, seed=7).float()
    state = torch.get_rng_state()
    optimizer.step()
    same([w.grad for w in weights], [drawn(*w.shape, seed=7).float() for w in weights])
    same(torch.get_rng_state(), state)


@every
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_keeps_its_type_and_stays_finite(entry, dtype):
    w = nn.Parameter(torch.ones(50, dtype=dtype))
    optimizer = entry.make([w], lr=LR)
    for t in range(20):
        w.grad = drawn(50, seed=t).to(dtype)
        w.grad[:5] = 1e-3
        optimizer.step()
    assert bool(w[5:].isfinite().all())
    assert bool(w.isfinite().all()) == (entry.small or dtype == torch.bfloat16)
    assert optimizer.state[w][entry.averages[0]].dtype == dtype
    full = nn.Parameter(torch.ones(50))
    wanted = entry.make([full], lr=LR)
    for t in range(20):
        full.grad = drawn(50, seed=t).to(dtype).float()
        wanted.step()
    assert_close(w.detach()[5:].float(), full.detach()[5:], rtol=0, atol=0.05)


class Reads(TorchDispatchMode):
    """Counts numbers that are read from tensors."""

    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += func is torch.ops.aten._local_scalar_dense.default
        return func(*args, **(kwargs or {}))


@every
def test_a_capturable_step_reads_no_number_and_is_the_same(entry):
    if not entry.capturable_on_cpu:
        pytest.skip("torch's own are capturable on a GPU alone")
    plain, captured = (
        parameters((3, 4), (4,), dtype=torch.float64),
        parameters((3, 4), (4,), dtype=torch.float64),
    )
    first = entry.make(plain, lr=LR, weight_decay=0.1)
    second = entry.make(
        captured, lr=torch.tensor(LR, dtype=torch.float64), weight_decay=0.1, capturable=True
    )
    run(first, plain, 3)
    run(second, captured, 3)
    assert_close(captured, plain, rtol=1e-12, atol=1e-14)
    with Reads() as reads:
        second.step()
    assert reads.count == 0


COMPILER = shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
BACKENDS = [
    "aot_eager",
    pytest.param(
        "inductor",
        marks=[pytest.mark.slow, pytest.mark.skipif(not COMPILER, reason="no C++ compiler")],
    ),
]


@every
@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_compiled_step_is_the_step(entry, backend):
    plain, compiled = parameters((3, 4), (4,)), parameters((3, 4), (4,))
    first, second = (
        entry.make(weights, lr=torch.tensor(LR), weight_decay=0.1, foreach=False)
        for weights in (plain, compiled)
    )
    torch._dynamo.reset()
    step = torch.compile(second.step, backend=backend)
    for seed in range(3):
        run(first, plain, 1, seed)
        run(second, compiled, 1, seed, step=step)
        for optimizer in (first, second):  # a schedule
            optimizer.param_groups[0]["lr"].mul_(0.5)
    assert_close(compiled, plain, rtol=1e-5, atol=1e-7)


@every
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("capturable", [False, True])
def test_a_gpu_makes_the_same_steps(entry, capturable):
    weights = [several() for _ in range(3)]
    runs = []
    for device, own in zip(("cpu", "cuda", "cuda"), weights, strict=True):
        own = [nn.Parameter(w.detach().to(device)) for w in own]
        foreach, settings = len(runs) == 1, {"capturable": capturable and device == "cuda"}
        optimizer = entry.make(own, lr=LR, weight_decay=0.1, foreach=foreach, **settings)
        for seed in range(3):
            for w in own:
                w.grad = drawn(*w.shape, seed=seed).to(w)
            optimizer.step()
        runs.append([w.detach().cpu() for w in own])
    for found in runs[1:]:
        assert_close(found, runs[0], rtol=1e-5, atol=1e-7)
