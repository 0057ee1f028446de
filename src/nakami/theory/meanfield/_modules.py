"""A torch network read by duck typing: which linear layers and activations it runs, in order."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special

from ...results import UsageError, wrong, wrong_type
from ._activations import Activation, Array, real_array
from ._named import activation
from ._smooth import Smooth

SKIPPED = ("Flatten", "Identity", "Dropout", "AlphaDropout")
ACTIVATION_OF: dict[str, Callable[[Any], Activation]] = {
    "ReLU": lambda m: activation("relu"),
    "LeakyReLU": lambda m: activation("leaky_relu", slope=float(m.negative_slope)),
    "Tanh": lambda m: activation("tanh"),
    "Sigmoid": lambda m: activation("sigmoid"),
    "SiLU": lambda m: activation("silu"),
    "GELU": lambda m: activation("gelu" if m.approximate == "none" else "gelu-tanh"),
    "Softplus": lambda m: activation("softplus") if m.beta == 1 else _scaled_softplus(m.beta),
}
REASONS = {  # part of a class name: what the theory lacks
    "Conv": "convolutions share weights over positions",
    "Norm": "normalisation couples units or samples (behind the last layer: describe the network "
    "without it, then batch_normalised)",
    "Softmax": "the output must be linear (describe the network up to its logits, then "
    "cross_entropy_bounds)",
    "RNN": "recurrence uses one matrix many times",
    "LSTM": "recurrence uses one matrix many times",
    "GRU": "recurrence uses one matrix many times",
    "Attention": "attention multiplies states with each other",
    "Transformer": "attention multiplies states with each other",
    "Embedding": "tokens are no Gaussian-like inputs",
    "Pool": "pooling couples units",
}


@dataclass(frozen=True)
class Layer:
    """A linear layer and what follows it.

    Attributes:
        name: Its qualified name.
        weight: ``(out, in)`` float64. bias: ``(out,)`` float64; zeros where it has none.
        has_bias: Whether it has one.
        activation: What follows; None behind the last.
    """

    name: str
    weight: Array
    bias: Array
    has_bias: bool
    activation: Activation | None


@dataclass(frozen=True)
class Trace:
    """One run of the model.

    Attributes:
        steps: Names and modules of its leaves, in the order they ran.
        entered: What the first linear layer saw, ``(N, d)``. output: ``(N, C)``.
        tolerance: Relative error that the arithmetic of the weights explains.
    """

    steps: tuple[tuple[str, Any], ...]
    entered: Array
    output: Array
    tolerance: float


def read_layers(model: Any, inputs: Array, given: Activation | None) -> tuple[Layer, ...]:
    """The layers of ``model``, checked against its own output on ``inputs``.

    Raises:
        UsageError: The model has or does what the theory does not cover.
    """
    names = _leaves(model)
    trace = _run(model, names, inputs)
    layers = _pair_up(trace.steps, given)
    _check_parameters(model, [module for _, module in trace.steps])
    flat = inputs.reshape(len(inputs), -1)
    if trace.entered.shape != flat.shape or not _close(trace.entered, flat, trace.tolerance):
        rule = f"hand its input unchanged to {layers[0].name!r}"
        way_out = "pass the part behind that step, and what it sees as inputs"
        raise wrong("model", rule, "another one", way_out)
    fits = all(len(a.weight) == b.weight.shape[1] for a, b in itertools.pairwise(layers))
    mine = run_layers(layers, flat)[-1] if fits else np.empty(0)
    if mine.shape != trace.output.shape or not _close(trace.output, mine, trace.tolerance):
        rule = (
            "be its linear layers and activations one after the other (sums over a bypass, "
            "scalings and functions in forward are not covered)"
        )
        got = f"other outputs than {', '.join(layer.name for layer in layers)} give"
        way_out = "for functions between the linear layers pass {activation}"
        raise wrong("model", rule, got, way_out)
    return layers


def run_layers(layers: tuple[Layer, ...], x: Array) -> list[Array]:
    """``h^0, h^1, ..., f`` in float64, each ``(N, M_l)``."""
    states = [x]
    for layer in layers:
        u = states[-1] @ layer.weight.T + layer.bias
        states.append(layer.activation(u) if layer.activation else u)
    return states


def _leaves(model: Any) -> dict[int, tuple[str, Any]]:
    """Modules that hold no others, by identity, after a look at whether the theory covers each."""
    if not (hasattr(model, "named_modules") and callable(model)):
        raise wrong_type(
            "model", "be a torch module", type(model).__name__, "pass the torch.nn.Module"
        )
    known = {"Linear", *SKIPPED, *ACTIVATION_OF}
    leaves = {}
    for name, module in model.named_modules():
        kind = type(module).__name__
        if kind in known:
            leaves[id(module)] = (name or kind, module)
            continue
        reason = next((text for part, text in REASONS.items() if part in kind), "")
        if reason or not any(True for _ in module.children()):
            got = f"{kind} at {repr(name) if name else 'its top'}"
            way_out = reason or "its activations are " + ", ".join(ACTIVATION_OF)
            raise wrong("model", "be a fully connected network", got, way_out)
    return leaves


def _run(model: Any, names: dict[int, tuple[str, Any]], inputs: Array) -> Trace:
    """Run the model once in evaluation mode with hooks on its leaves; modes are put back."""
    weights = next(iter(model.parameters()), None)
    if weights is None:
        raise wrong("model", "have weights", "none", "pass a network with linear layers")
    steps: list[tuple[str, Any]] = []
    entered: list[Array] = []

    def note(module: Any, args: Any, options: Any, output: Any) -> None:
        name, _ = names[id(module)]
        steps.append((name, module))
        if type(module).__name__ == "Linear":
            x = args[0] if args else options["input"]
            if x.ndim != 2:
                rule = "use each linear layer once an example"
                got = f"{name!r} at an input of shape {tuple(x.shape)}"
                raise wrong("model", rule, got, "pass a network that shares no weights")
            if not entered:
                entered.append(real_array("model", x))

    modes = [(module, module.training) for module in model.modules()]
    buffers = [(buffer, buffer._version, buffer.detach().clone()) for buffer in model.buffers()]
    handles = [module.register_forward_hook(note, with_kwargs=True) for _, module in names.values()]
    try:
        model.eval()
        output = real_array("model", model(weights.detach().new_tensor(inputs)))
    except UsageError:
        raise
    except Exception as error:
        got = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
        rule, way_out = (
            f"run on data of shape {inputs.shape}",
            "pass inputs as the model takes them",
        )
        raise wrong("model", rule, got, way_out) from error
    finally:
        for handle in handles:
            handle.remove()
        for module, mode in modes:
            module.training = mode
        for buffer, version, value in buffers:
            if buffer._version != version:
                buffer.detach().copy_(value)
    if not np.isfinite(output).all():
        raise wrong("model", "give finite outputs", "NaN or inf", "look at its weights")
    if not entered:
        raise wrong("model", "run a linear layer", "none", "pass a fully connected one")
    digits = 0.03 if "16" in str(weights.dtype) else 1e-3
    return Trace(tuple(steps), entered[0], output.reshape(len(output), -1), digits)


def _pair_up(steps: tuple[tuple[str, Any], ...], given: Activation | None) -> tuple[Layer, ...]:
    """Linear layers with the activation behind each, or a refusal."""
    pairs: list[tuple[str, Any, Activation | None]] = []
    seen: set[int] = set()
    for name, module in steps:
        kind = type(module).__name__
        if kind == "Linear":
            if id(module) in seen:
                raise wrong("model", f"run {name!r} once", "twice", "give each layer its weights")
            seen.add(id(module))
            pairs.append((name, module, None))
        elif kind in ACTIVATION_OF:
            if not pairs or pairs[-1][2] is not None:
                where = (
                    f"where {pairs[-1][0]!r} has one" if pairs else "before the first linear layer"
                )
                rule = "have one activation behind each hidden layer"
                way_out = "pass a plain fully connected network"
                raise wrong("model", rule, f"{name!r} {where}", way_out)
            pairs[-1] = (pairs[-1][0], pairs[-1][1], ACTIVATION_OF[kind](module))
    if len(pairs) < 2:
        way_out = "pass a network of two linear layers or more"
        raise wrong("model", "have a hidden layer", "one linear layer", way_out)
    if pairs[-1][2] is not None:
        got = f"{pairs[-1][2].name} behind {pairs[-1][0]!r}"
        raise wrong("model", "end with a linear layer", got, "pass the network without it")
    default = given or activation("linear")
    return tuple(
        _layer(name, module, (f or default) if i < len(pairs) - 1 else None)
        for i, (name, module, f) in enumerate(pairs)
    )


def _layer(name: str, module: Any, f: Activation | None) -> Layer:
    weight = real_array("model", module.weight)
    bias = np.zeros(len(weight)) if module.bias is None else real_array("model", module.bias)
    return Layer(name, weight, bias, module.bias is not None, f)


def _check_parameters(model: Any, used: list[Any]) -> None:
    known = {id(p) for m in used if type(m).__name__ == "Linear" for p in m.parameters()}
    for name, parameter in model.named_parameters():
        if id(parameter) not in known:
            rule, way_out = "have its parameters in linear layers that it runs", "pass that part"
            raise wrong("model", rule, f"{name!r} outside", way_out)


def _close(theirs: Array, mine: Array, tolerance: float) -> bool:
    """Whether nothing differs by more than a share of the largest value."""
    return bool(np.abs(theirs - mine).max() <= tolerance * max(np.abs(mine).max(), 1e-30))


def _scaled_softplus(beta: float) -> Activation:
    return Smooth(
        lambda x: np.logaddexp(0, beta * x) / beta,
        lambda x: np.asarray(special.expit(beta * x)),
        f"softplus({beta:g})",
    )
