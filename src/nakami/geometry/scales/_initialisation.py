"""Whether signals and gradients survive the depth of a network, and a scale with which they do."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch import Tensor, nn

from ...operators import (
    FunctionalModel,
    LayerGraph,
    View,
    as_tensors,
    as_view,
    is_recurrent,
)
from ...results import (
    Outcome,
    Progress,
    RunError,
    Shown,
    UsageError,
    check_callable,
    counted,
    named_as,
    share,
    told,
    wrong,
)
from ...spectra import check_at_least, check_choice, check_seed, without_autocast
from ...theory import meanfield
from .._outcomes import ProposalEnding, TheoryEnding
from ._plans import PREFIX, Choice, critical, on_data
from ._propagation import LayerReading, Passage, Propagation, propagation
from ._proposal import Plan, Proposal, root_mean_square

METHODS = ("auto", "critical", "data")
BIASES = ("zero", "keep")
DIRECTIONS = ("kept", "orthogonal")
FEW = 2  # examples that show which layers enter which


@dataclass(frozen=True, eq=False)
class Theory:
    """What mean-field theory says of a fully connected network with its measured variances.

    Attributes:
        second_moment, chi, gradient: Of each layer, as in ``LayerReading``, ``(L,)``.
        end_to_end: Mean squared singular value from the input to the output.
        criticality: Where equal layers with the mean hidden variances lead; None with several
            activations, or hidden weights that are 0.
        doubts: What speaks against the theory here.
    """

    second_moment: np.ndarray
    chi: np.ndarray
    gradient: np.ndarray
    end_to_end: float
    criticality: meanfield.Criticality | None
    doubts: tuple[str, ...]


@dataclass(frozen=True, repr=False, eq=False)
class Initialisation(Shown):
    """How signals and gradients pass through a network; made by ``nakami.initialisation``.

    Attributes:
        measured: The readings.
        theory: What mean-field theory predicts; None where it does not cover the network.
        theory_outcome: Whether it does, and why not: a ``TheoryEnding``.
        proposal: Scales that let signals and gradients pass; ``proposal.apply(model)`` writes them.
            Without any scales where those tried read worse than what is there.
        n_examples: How many. probes: Random probes of each estimate. seed: Of all that is drawn.
        dtype: Arithmetic of the readings.
        batch_normalisation: By which statistics batch normalisation was read; empty without any.
    """

    measured: Propagation
    theory: Theory | None
    theory_outcome: Outcome
    proposal: Proposal
    n_examples: int
    probes: int
    seed: int
    dtype: str
    batch_normalisation: str = ""

    @property
    def uncovered(self) -> str:
        """Why theory does not cover the network, in words; empty where it does."""
        return self.theory_outcome.reason

    @property
    def layers(self) -> tuple[LayerReading, ...]:
        """The layers as measured, in the order they run."""
        return self.measured.layers

    @property
    def signal(self) -> Passage:
        """What becomes of the differences between inputs."""
        return self.measured.signal

    @property
    def gradient(self) -> Passage:
        """What becomes of the gradient on its way back."""
        return self.measured.gradient

    def rows(self) -> list[dict[str, Any]]:
        """One flat dict for each layer, as measured."""
        return [dict(vars(layer)) for layer in self.layers]

    def __repr__(self) -> str:
        return (
            f"Initialisation({counted(len(self.layers), 'layer')}; {self.signal}; {self.gradient}; "
            f"proposal: {self.proposal.plan.rule})"
        )


@told
@without_autocast
def initialisation(
    model: nn.Module | View,
    data: Any,
    *,
    method: str = "auto",
    biases: str = "zero",
    directions: str = "kept",
    activation: Any = None,
    probes: int = 16,
    seed: int = 0,
    progress: Progress | None = None,
) -> Initialisation:
    """Whether signals and gradients survive the depth of a network, and a scale with which they do.

    For each layer with a weight matrix, in the order they run: the mean square of its output, how
    much of it tells inputs apart, the mean squared singular value ``chi = |J|_F^2 / m`` of the
    step into it from the layer before, and the gradient that comes back to it; ``chi`` from end to
    end. Where every ``chi`` is 1 a gradient keeps its size. Nothing is changed: the proposed scales
    are written by ``found.proposal.apply(model)`` alone.

    Args:
        model: Any module without recurrence, or a ``View`` of one; read in evaluation mode, left
            as it was. ``View(model, batch_statistics=True)``: batch normalisation by the batch, as
            in training; by running statistics it does nothing in a fresh network.
            ``dtype=torch.float64`` sees signals that float32 loses in rounding.
        data: A batch of inputs, ``(N, ...)`` with N at least 2, as the model takes it: a tensor, or
            a tuple, list or dict of tensors. 64 examples are plenty.
        method: ``"critical"``: the critical point of the theory, for fully connected networks with
            one activation; it holds the mean square at 0.1 where the activation is not scale-free.
            ``"data"``: layer by layer, ``chi = 1`` on the data, for any network; the end of a
            residual branch gets one over their number; a matrix whose output is normalised by what
            follows gets none, for a factor cancels there. ``"auto"``: the first where it applies.
        biases: ``"zero"`` (with ``"critical"``: those of the critical point), or ``"keep"``.
        directions: ``"kept"``: each matrix is multiplied by a number; ``"orthogonal"``: drawn anew
            with orthogonal rows or columns, then scaled. Frozen weights stay either way.
        activation: Where the model applies it as a function in ``forward``: the theory's name of
            it, see ``theory.meanfield.describe``.
        probes: Random probes of each estimate, at least 2: the standard errors are over them.
        seed: Seed of the probes and of what is drawn; the global random state is not touched.
        progress: ``progress(done, total, seconds_left, what)``, called after each layer, as it is
            and as proposed.

    Returns:
        An ``Initialisation``. Mean squares are in units of the states; ``chi`` and gradients are
        squares, not sizes.

    Raises:
        UsageError: Recurrent layers, no weight matrix, data that are not finite or all alike, a
            method that does not cover the network, an unknown ``activation``.
        RunError: States that are not finite.

    Cost: about 5 ``probes`` backward passes and some forward passes over the data, in the memory of
    a training step.
    Source: Schoenholz et al. 2017 (arXiv 1611.01232), critical points and depth scales;
    Pennington et al. 2017 (arXiv 1711.04735), singular values; Mishkin & Matas 2016 (arXiv
    1511.06422), rescaling in the order of the layers, there to output variance 1, here to ``chi``.
    """
    check_choice("method", method, METHODS, "use 'auto'")
    check_choice("biases", biases, BIASES, "use 'zero'")
    check_choice("directions", directions, DIRECTIONS, "use 'kept'")
    check_callable("progress", progress, "progress(done, total, seconds_left, what)")
    seed, probes = check_seed(seed), check_at_least("probes", probes, 2, "16 is the default")
    given = None if activation is None else meanfield.activation(activation)
    view, data = as_view(model), as_tensors(data, "data")
    network = FunctionalModel(view)
    _check_model(view.model)
    with named_as("x", "data"):
        tree, few, n, beside = _check_data(network, data)
    measured = propagation(network, tree, beside, probes, seed, share(progress, 0, 2, "as it is"))
    if all(layer.spread == 0 for layer in measured.layers):
        rule = f"hold examples that differ behind {measured.layers[0].name!r}"
        raise wrong("data", rule, "none that do", "pass a batch of different inputs")
    found, covered = _described(view, data, given)
    theory = None if found is None else _theory(found)
    choice, plan, why_not = Choice(biases, directions, seed), None, ""
    if found is not None and method != "data":
        try:
            plan = critical(view.model, found, choice)
        except UsageError as error:
            why_not = str(error).rstrip(".")
    if plan is None and method == "critical":
        got = f"'critical' ({why_not or covered.reason})"
        raise wrong("method", "be one that covers the network", got, "use 'data'")
    outcome = Outcome(ProposalEnding.CRITICAL)
    if plan is None:
        training = view.batch_statistics is None
        plan = on_data(network, tree, few, probes, choice, training)
        outcome = Outcome(ProposalEnding.DATA)
        if why_not:
            outcome = Outcome(ProposalEnding.NO_CRITICAL_POINT, {"why": why_not})
            plan = replace(plan, notes=(outcome.reason, *plan.notes))
    then = share(progress, 1, 2, "as proposed")
    proposal = _proposal(network, tree, beside, probes, plan, outcome, then)
    if not _better(measured, proposal.after, plan.cancels):
        proposal = _none(network, measured, proposal)
    dtype = str(network.dtype).removeprefix("torch.")
    read_by = network.batch_normalisation
    return Initialisation(measured, theory, covered, proposal, n, probes, seed, dtype, read_by)


def _check_model(model: nn.Module) -> None:
    for name, module in model.named_modules():
        if is_recurrent(module):
            rule = (
                "be without recurrent layers (they use one matrix at every step, so a scale for "
                "each layer does not describe signals through time)"
            )
            got = f"{type(module).__name__} at {name or 'its top'!r}"
            raise wrong("model", rule, got, "pass the part of the model without them")


def _check_data(network: FunctionalModel, data: Any) -> tuple[Any, Any, int, list[tuple[int, ...]]]:
    """The batch, two examples of it, how many there are, and which layers stand side by side."""
    example = network.example(data, batch=True)
    n = len(example.leaves[0])
    if n < 2:
        raise wrong("data", "hold at least two examples", n, "pass 64 examples")
    few = example.rows(0, FEW).tree
    try:
        beside = LayerGraph(network, few, cut=True).beside()  # names what explodes
    except (RunError, UsageError):
        raise
    except Exception:
        network.stages(few, FEW)  # refuses a model that fails by itself, in one sentence
        raise
    network.stages(few, FEW)
    return example.tree, few, n, beside


def _described(
    view: View, data: Any, activation: meanfield.Activation | None
) -> tuple[meanfield.Description | None, Outcome]:
    """The network as the theory sees it, or why it does not cover it."""
    if view.forward is not None or view.select is not None:
        return None, Outcome(TheoryEnding.VIEW)
    if not isinstance(data, Tensor):
        return None, Outcome(TheoryEnding.INPUTS)
    try:
        found = meanfield.describe(view.model, data, activation=activation)
    except UsageError as error:
        return None, Outcome(TheoryEnding.NETWORK, {"why": str(error).rstrip(".")})
    return found, Outcome(TheoryEnding.COVERED)


def _theory(found: meanfield.Description) -> Theory:
    order = found.order
    behind = zip(order.activations, order.q1[:-1], strict=True)
    slopes = [float(f.derivative_moment(q)) for f, q in behind]  # E[phi'^2] behind each layer
    chi = order.weight_variance * np.append(1.0, slopes)
    hidden = slice(1, -1) if len(found.layers) > 2 else slice(0, 1)
    w, b = float(order.weight_variance[hidden].mean()), float(order.bias_variance[hidden].mean())
    point = None
    if len(set(found.activations)) == 1 and w > 0:
        point = meanfield.criticality(order.activations[0], w, b, start=float(order.q1[0]))
    return Theory(order.q1, chi, order.q_tilde1, order.end_to_end_gain, point, found.doubts)


def _proposal(
    network: FunctionalModel,
    tree: Any,
    beside: list[tuple[int, ...]],
    probes: int,
    plan: Plan,
    outcome: Outcome,
    progress: Progress | None = None,
) -> Proposal:
    """The plan, with what the network reads once it has been followed."""
    present = {name.removeprefix(PREFIX): w for name, w in network.weights.items()}
    moved = network.with_weights({PREFIX + n: w for n, w in plan.weights(present).items()})
    factors = {n: scale / root_mean_square(n, present[n]) for n, scale in plan.scales.items()}
    left = tuple(name for name in _matrices(network) if name not in plan.scales)
    after = propagation(moved, tree, beside, probes, plan.seed, progress)
    return Proposal(plan, factors, left, after, outcome)


def _matrices(network: FunctionalModel) -> tuple[str, ...]:
    return tuple([name for name, p in network.model.named_parameters() if p.ndim >= 2])


def _better(before: Propagation, after: Propagation, cancels: Mapping[str, float]) -> bool:
    """Whether signal and gradient survive, or what changes most changes no more than it did.

    Scales that cancel are taken to be those of the data, whatever they are.
    """
    passages = (after.signal, after.gradient)
    if all(passage.verdict in ("survives", "unknown") for passage in passages):
        return True
    return _farthest(after, cancels) <= _farthest(before, cancels)


def _farthest(read: Propagation, cancels: Mapping[str, float]) -> float:
    """Decades of the signal or the gradient, whichever are more; unknown ones apart."""
    weights = (read.layers[i].weight for i in read.ends)
    first, last = (2 * math.log10(cancels.get(weight, 1.0)) for weight in weights)
    decades = (abs(passage.decades + last - first) for passage in (read.signal, read.gradient))
    return max((d for d in decades if not math.isnan(d)), default=0.0)


def _none(network: FunctionalModel, measured: Propagation, tried: Proposal) -> Proposal:
    """No proposal, since what was tried reads worse than what is there."""
    cancels = tried.plan.cancels
    numbers = {"after": _farthest(tried.after, cancels), "before": _farthest(measured, cancels)}
    outcome = Outcome(ProposalEnding.NONE, numbers)
    plan = Plan(outcome.reason, {}, {}, "kept", tried.plan.seed, tried.plan.notes, cancels)
    return Proposal(plan, {}, _matrices(network), measured, outcome)
