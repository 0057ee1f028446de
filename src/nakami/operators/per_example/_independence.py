"""Whether the rows of a batch are examples on their own, tried on all of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ...results import wrong
from ..model._checks import FAILURES
from ..model._example import Example
from ..model._functional_model import FunctionalModel
from ..model._parameters import as_real
from ._examples import Examples, slices

Run = tuple[Tensor, dict[str, Tensor]]  # outputs, and a number for each row of modules' inputs


def independent(network: FunctionalModel, example: Example, z: Tensor, width: int) -> bool:
    """Whether each row of ``z`` is a function of that row of the batch alone, see ``apart``."""
    return apart(network, example, (z, {}), width) is not None


def apart(
    network: FunctionalModel, example: Example, before: Run, width: int
) -> frozenset[str] | None:
    """The modules whose rows belong to the examples; None where rows of outputs see others.

    All rows are run again, in random order and ``width`` at a time, which is another number than
    they were run by ``before``. So a row that sees others, their order or their number comes out
    otherwise.

    Cost: a forward pass.
    """
    outputs, marks = before
    count = len(outputs)
    order = torch.randperm(count, generator=torch.Generator().manual_seed(0))
    good = set(marks)
    for here in slices(count, width):
        some = order[here].to(outputs.device)
        try:
            z, inside = _run(network, example.pick(some, count), set(marks))
        except (*FAILURES, ValueError, IndexError):  # it takes no other number of rows
            return None
        if not _same(_by_row(z, len(some)), outputs[some], outputs):
            return None
        good &= {k for k in good & set(inside) if _same(inside[k], marks[k][some], marks[k])}
    return frozenset(good)


@contextmanager
def marked(
    network: FunctionalModel, modules: Collection[str], count: int
) -> Iterator[dict[str, Tensor]]:
    """Within it the network is run once; afterwards a number for each of ``count`` rows is there.

    Of the input of each module that was run once and has so many rows.
    """
    marks: dict[str, Tensor] = {}
    calls: list[str] = []

    def hook(name: str) -> Callable[..., None]:
        def seen(module: nn.Module, args: Any, kwargs: Any) -> None:
            calls.append(name)
            x = args[0] if args else kwargs.get("input")
            if isinstance(module, nn.RNNBase) and not module.batch_first:
                x = x.transpose(0, 1) if isinstance(x, Tensor) and x.ndim == 3 else x
            if isinstance(x, Tensor) and x.ndim and len(x) == count:
                marks[name] = _mark(x.detach())

        return seen

    named = network.model.named_modules()
    hooks = [
        m.register_forward_pre_hook(hook(s), with_kwargs=True) for s, m in named if s in modules
    ]
    try:
        yield marks
    finally:
        for each in hooks:
            each.remove()
    for name in {name for name in marks if calls.count(name) > 1}:
        del marks[name]


def one_input(network: FunctionalModel, x: Any) -> Example:
    """``x`` as one input: an example with its batch axis, or whole where its rows mix.

    A sequence with time along axis 0, or a graph with its nodes there, is one input. Rows of which
    each alone gives a row of the output, or as many rows as the others, are a batch.

    Raises:
        UsageError: A batch of examples, or no sound ``x``.

    Cost: of more rows than one, two forward passes.
    """
    example = network.example(x, batch=True)
    rows = separate_rows(network, example)
    if rows is not None:
        got = f"shape {tuple(rows.shape)}{example.which(rows)}"
        raise wrong("x", "hold one example, batch axis included", got, "pass x[i:i+1]")
    return example


def separate_rows(network: FunctionalModel, example: Example) -> Tensor | None:
    """The first tensor whose rows are examples on their own; None where there is one input.

    The output has as many rows, or as many for each of them (tokens of sequences, flattened).
    """
    if all(len(leaf) == 1 for leaf in example.leaves if leaf.ndim):
        return None
    with torch.no_grad(), network.explained(example):
        z = network.run(example.tree).detach()
    counts = {len(leaf) for leaf in example.leaves if leaf.ndim}
    n = len(z) if z.ndim else 1
    n = n if n in counts or len(counts) > 1 else counts.pop()
    common = [leaf for leaf in example.leaves if leaf.ndim and len(leaf) == n]
    z = _by_row(z, n)
    alone = n > 1 and common and len(z) == n and independent(network, example, z, -(-n // 2))
    return common[0] if alone else None


def rows_of(examples: Examples, modules: Collection[str]) -> frozenset[str] | None:
    """The modules at whose input row ``i`` belongs to example ``i``; None where examples mix.

    A network may sort a batch and put the outputs back: outputs are then examples on their own,
    and the rows inside are not. Modules that are not run are left out.

    Cost: two forward passes; one where the first run was seen, none where it is known from how
    the batch was cut.
    """
    network, example = examples.at.network, examples.example
    if not examples.separable:
        return None
    if examples.own is not None:
        return examples.own & frozenset(modules)
    if examples.marks is None:
        found = _run(network, example, modules)
    else:
        seen = examples.marks
        found = examples.z, {name: seen[name] for name in modules if name in seen}
    if example.count == 1:
        return frozenset(found[1])
    return apart(network, example, found, -(-example.count // 2))


def _by_row(z: Tensor, count: int) -> Tensor:
    """Outputs with a row for each of ``count`` where each has as many; else as they are."""
    several = z.ndim and len(z) > count and len(z) % count == 0
    return z.reshape(count, -1) if several else z


def _same(found: Tensor, wanted: Tensor, whole: Tensor) -> bool:
    if found.shape != wanted.shape:
        return False
    near = torch.finfo(whole.dtype).eps ** 0.5 * float(whole.abs().max())
    return float((found - wanted).abs().max()) <= near


def _run(network: FunctionalModel, example: Example, modules: Collection[str]) -> Run:
    """Outputs, and of each module run once with a row for each example, a number for each row."""
    with marked(network, modules, example.count) as marks, torch.no_grad():
        z = network.run(example.tree).detach()
    return z, marks


def _mark(x: Tensor) -> Tensor:
    """A weighted sum of each row, ``(n,)``, in at least float32."""
    flat = as_real(x).reshape(len(x), -1)
    flat = flat.to(torch.promote_types(flat.dtype, torch.float32))
    return flat @ torch.linspace(1, 2, flat.shape[1], dtype=flat.dtype, device=flat.device).cos()
