"""The Jacobian lens: the mean Jacobian between two stages of any network, with its errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from ..operators import FunctionalModel, View
from ..results import Lens, check_at_least, check_budget, check_fraction, told, wrong, wrong_type
from ..spectra import without_autocast
from ._lens_reading import AUTO, Reading
from ._prompts import prompts


@dataclass(frozen=True)
class LensOptions:
    """How prompts are read; each as the argument of that name of ``nakami.lens``."""

    n: int | None = None
    error: float | None = None
    positions: slice | None = None
    mask: Any = None
    axis: int = -1
    memory_budget: int | None = None

    def __post_init__(self) -> None:
        if self.n is not None:
            check_at_least("n", self.n, 1, "None reads all")
        if self.error is not None:
            check_fraction("error", self.error, "0.05 asks for 5 % of the norm")
        if self.positions is not None and not isinstance(self.positions, slice):
            raise wrong_type("positions", "be a slice", repr(self.positions), "pass slice(16, -1)")


@told
@without_autocast
def lens(
    model: nn.Module | View,
    data: Any,
    stage: str | Sequence[str],
    to: str | None = None,
    *,
    n: int | None = None,
    error: float | None = None,
    positions: slice | None = None,
    mask: Any = None,
    axis: int = -1,
    memory_budget: int | None = None,
) -> Lens | dict[str, Lens]:
    """The averaged Jacobian ``J = E[d to / d stage]`` of a network (a Jacobian lens), with errors.

    ``J[i, j] = mean over prompts of mean over t of sum over t' of d to[t', i] / d stage[t, j]``:
    how a change of the state at one position changes the states at all positions of ``to`` (of a
    causal network those at or behind it). Exact at each prompt, by reverse products; what is
    estimated is the mean over prompts, taken as independent draws. This is the estimator of
    Anthropic's jacobian-lens and of TransformerLens 4.3, which count positions ``slice(16, -1)``.

    Args:
        model: Any module, or a ``View`` of one; read in evaluation mode and left as it was.
        data: Prompts along axis 0, as the inputs of ``nakami.xray``: token ids ``(N, length)``,
            states, pictures, a dict of such. Or a list of token ids of different lengths,
            ``(length,)`` each. Or an iterable of batches (a ``DataLoader``, a generator).
        stage: Where J starts, ``(positions, d)``; a cut (``nakami.stages`` lists names). Several
            names, or a pattern with ``*``, share all passes; they need equally many positions.
            ``"auto"``: all blocks but the last (``layers.0`` to ``layers.10`` of 12).
        to: Where it ends. Default: the last block of the list that the stage is in
            (``layers.11`` for ``layers.3``), else the last stage of the same width.
        n: Prompts read at most; default all.
        error: Relative standard error of J in the Frobenius norm at which reading ends, after 8
            prompts at least; default: read all.
        positions: Which of the positions count, both as t and as t'; default all.
        mask: True where a position counts, ``(N, positions)``, or its name in a dict; default
            ``attention_mask`` where the data has one. Padding is left out, then ``positions`` is
            taken of the rest. Prompts of which nothing is left are passed over.
        axis: Axis of the d entries in a state without the batch axis; 0 for channels first.
        memory_budget: Bytes for one block of products and for the jackknife's groups; 1 GiB.

    Returns:
        A ``Lens``; of several stages, a pattern or ``"auto"`` a dict of them by name. Where the
        state has no position axis each prompt has one position.

    Raises:
        UsageError: Unknown stage, one that is no cut or not before ``to``, nothing to read.

    Errors come from the jackknife over prompts, delete one at a time; above 64 prompts over 32 to
    64 groups of neighbours. Prompts cut from one text are correlated, and errors then too small.

    Cost: for each prompt two forward passes and a reverse pass for each entry of ``to``; at the end
    an SVD of a d x d matrix for each group.
    Source: Gurnee et al., Verbalizable Representations Form a Global Workspace in Language Models,
    Transformer Circuits Thread, 2026.
    """
    several = not isinstance(stage, str) or stage == AUTO or bool({*stage} & {*"*?"})
    options = LensOptions(n, error, positions, mask, axis, memory_budget)
    reading = reading_of(model, stage, to, options)
    for prompt in prompts(reading.network, data, mask):
        reading.add(prompt)
        if reading.within or reading.count == n:
            break
    found = reading.lenses()
    return found if several else found[reading.names[0]]


def reading_of(
    model: nn.Module | View, stage: str | Sequence[str], to: str | None, options: LensOptions
) -> Reading:
    """The reading of a network, before its first prompt."""
    names, budget = _names(stage), check_budget(options.memory_budget)
    network = FunctionalModel(model)
    if network.positions != "all":
        got = f"a View with positions={network.positions!r}"
        raise wrong("model", "be read at all positions", got, "choose some with {positions}=")
    here = options.positions or slice(None)
    return Reading(network, names, to, here, options.axis, budget, options.error)


def _names(stage: object) -> tuple[str, ...]:
    names = (stage,) if isinstance(stage, str) else stage
    if not isinstance(names, Sequence) or not names or not all(isinstance(s, str) for s in names):
        rule, way_out = "be the name of a stage, or several", "print nakami.stages(model, x)"
        raise wrong_type("stage", rule, repr(stage), way_out)
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise wrong("stage", "name each stage once", f"{twice[0]!r} again", "leave it out")
    return tuple(names)
