"""What each of two gloo ranks measures for operators/test_distributed.py."""

import torch
import torch.distributed as dist
from torch import nn

import nakami
from curvatures import case

READ = (
    ("classes", "fisher"),
    ("classes", "empirical_fisher"),
    ("classes", "hessian"),
    ("sum", "ggn"),
    ("squared", "ggn"),
    ("tokens", "ggn"),
)


class Centred(nn.Module):
    """Examples that mix: the mean over the batch is subtracted."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        out = self.inner(x)
        return out - out.mean(0)


def shards(x, y):
    """Two batches on rank 0, one of more examples on rank 1."""
    return [[(x[:1], y[:1]), (x[1:4], y[1:4])], [(x[4:], y[4:])]]


def matrix(name, kind, rank):
    model, x, y, loss = case(name)
    op = getattr(nakami, kind)(model, shards(x, y)[rank], loss, group="world")
    trace = nakami.trace(op)
    return {
        "dense": op.dense(),
        "values": nakami.eigh(op, 3).values,
        "trace": trace.value,
        "reason": trace.reason,
        "loss": op.value,
        "n_samples": op.n_samples,
        "gradient": op.gradient(),
        "no": (op.root, op.kernel),
        "route": op.route,
    }


def others(rank):
    model, x, y, loss = case("classes")
    mine = shards(x, y)[rank]
    group = dist.new_group([0, 1])
    op = nakami.ggn(model, mine, loss, group=group)
    point = torch.cat([p.detach().reshape(-1) for p in model.parameters()])
    drawn = nakami.fisher(model, mine, loss, samples=2, seed=3, group=group)
    many = nakami.fisher(model, mine, loss, samples=40, group=group)
    wrapped = nn.parallel.DistributedDataParallel(model)
    found = {
        "ddp": nakami.ggn(wrapped, mine, loss, group=group).dense(),
        "by_parameter": op.trace_by_parameter(),
        "layer": op.layer("2.*").dense(),
        "moved": op.moved(1.5 * point).dense(),
        "loss_and_gradient": op.loss_and_gradient(1.5 * point),
        "first": op.first(1).value,
        "second": op.second_moment().value,
        "drawn": drawn.dense(),
        "drawn_alone": nakami.fisher(model, mine, loss, samples=2, seed=op.ranks.seed(3)).dense(),
        "many": (nakami.trace(many, 0.2), many.dense().trace()),
        "seed": op.ranks.seed(3),
        "sampling_error": drawn.sampling_error(),
    }
    with torch.no_grad():
        model[0].bias += 1
    found["present"] = op.at_current_weights().dense()
    return found


def refused(act):
    try:
        act()
    except (ValueError, RuntimeError, MemoryError) as error:
        return f"{type(error).__name__}: {error}"
    return "nothing"


def fail(block):
    raise MemoryError("out of memory")


def errors(rank):
    model, x, y, loss = case("classes")
    ok = (x, y)

    def make(second, **more):
        def act():
            name = more.pop("kind", "fisher")
            getattr(nakami, name)(model, second if rank else ok, loss, group="world", **more)

        return refused(act)

    def broken():
        op = nakami.fisher(model, ok, loss, group="world")
        if rank:
            op.parts[0].product = fail
        return op @ torch.ones(op.shape[1])

    found = {
        "empty": make([]),
        "no examples": make((x[:0], y[:0])),
        "labels": make((x, y + 3)),
        "kind": make(ok, kind="ggn" if rank else "fisher"),
        "seed": make(ok, samples=1, seed=rank),
        "params": make(ok, params="0.*" if rank else "*"),
        "product": refused(broken),
    }
    op = nakami.fisher(model, ok, loss, group="world")
    found["by_batch"] = refused(op.by_batch)
    only = dist.new_group([0])
    found["member"] = refused(lambda: nakami.fisher(model, ok, loss, group=only))
    with torch.no_grad():
        model[2].bias[0] *= 1 + rank * 2**-52
    found["weights"] = make(ok)
    found["present"] = refused(op.at_current_weights)
    return found


def mixing(rank):
    """One example alone mixes with none: the ranks must agree on what they do."""
    model, x, y, loss = case("squared")
    mine = [(x[:1], y[:1])] if rank == 0 else [(x[1:], y[1:])]
    op = nakami.fisher(Centred(model), mine, loss, group="world")
    return {
        "trace": nakami.trace(op).value,
        "dense": op.dense(),
        "refused": refused(op.trace_by_parameter),
    }


def measured(rank):
    found = {"others": others(rank), "errors": errors(rank), "mixing": mixing(rank)}
    return found | {read: matrix(*read, rank) for read in READ}
