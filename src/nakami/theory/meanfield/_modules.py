"""A torch network read by duck typing: which linear layers and activations it runs, in order."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
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
        weight: ``(out, in)`` float64. bias: ``(out,)`` float64, or None where it has none.
        activation: What follows; None behind the last.
    """

    name: str
    weight: Array
    bias: Array | None
    activation: Activation | None = None


def read_layers(model: Any, inputs: Array, given: Activation | None) -> tuple[Layer, ...]:
    """The layers of ``model``, checked against its own output on ``inputs``.

    Raises:
        UsageError: The model has or does what the theory does not cover.
    """
    reader = _Reader(model)
    output, digits = _run(model, reader, inputs)
    layers = reader.finished(given or activation("linear"))
    flat = inputs.reshape(len(inputs), -1)
    if reader.entered.shape != flat.shape or not _close(reader.entered, flat, digits):
        rule = f"hand its input unchanged to {layers[0].name!r}"
        way_out = "pass the part behind that step, and what it sees as inputs"
        raise wrong("model", rule, "another one", way_out)
    fits = all(len(a.weight) == b.weight.shape[1] for a, b in itertools.pairwise(layers))
    mine = run_layers(layers, flat)[-1] if fits else np.empty(0)
    if mine.shape != output.shape or not _close(output, mine, digits):
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
        u = states[-1] @ layer.weight.T + (0.0 if layer.bias is None else layer.bias)
        states.append(layer.activation(u) if layer.activation else u)
    return states


class _Reader:
    """Reads the layers of a model as they run; a hook on each of its leaves.

    Attributes:
        leaves: Names and modules that hold no others, by identity.
        layers: Those that ran. entered: what the first one saw, ``(N, d)``.
    """

    def __init__(self, model: Any):
        if not (hasattr(model, "named_modules") and callable(model)):
            got = type(model).__name__
            raise wrong_type("model", "be a torch module", got, "pass the torch.nn.Module")
        self.model, self.leaves = model, dict[int, tuple[str, Any]]()
        self.seen = dict[int, tuple[str, int]]()  # by weight: the layer, and its place
        self.layers: list[Layer] = []
        self.entered: Array = np.empty(0)
        for name, module in model.named_modules():
            kind = type(module).__name__
            reason = next((text for part, text in REASONS.items() if part in kind), "")
            if kind in ("Linear", *SKIPPED, *ACTIVATION_OF):
                self.leaves[id(module)] = (name or kind, module)
            elif reason or not any(True for _ in module.children()):
                got = f"{kind} at {repr(name) if name else 'its top'}"
                way_out = reason or "its activations are " + ", ".join(ACTIVATION_OF)
                raise wrong("model", "be a fully connected network", got, way_out)

    def __call__(self, module: Any, args: Any, options: Any, output: Any) -> None:
        """A leaf has run."""
        (name, _), kind = self.leaves[id(module)], type(module).__name__
        if kind == "Linear":
            x = args[0] if args else options["input"]
            if x.ndim != 2:
                rule = "use each linear layer once an example"
                got = f"{name!r} at an input of shape {tuple(x.shape)}"
                raise wrong("model", rule, got, "pass a network that shares no weights")
            first = self.seen.setdefault(id(module.weight), (name, len(self.layers)))
            if first != (name, len(self.layers)):
                got = "twice" if first[0] == name else f"its weights again in {name!r}"
                raise wrong("model", f"run {first[0]!r} once", got, "give each layer its weights")
            if not self.layers:
                self.entered = real_array("model", x)
            bias = None if module.bias is None else real_array("model", module.bias)
            self.layers.append(Layer(name, real_array("model", module.weight), bias))
        elif kind in ACTIVATION_OF:
            if not self.layers or self.layers[-1].activation is not None:
                where = f"where {self.layers[-1].name!r} has one" if self.layers else ""
                got = f"{name!r} {where or 'before the first linear layer'}"
                way_out = "pass a plain fully connected network"
                raise wrong("model", "have one activation behind each hidden layer", got, way_out)
            self.layers[-1] = replace(self.layers[-1], activation=ACTIVATION_OF[kind](module))

    def finished(self, default: Activation) -> tuple[Layer, ...]:
        """The layers, or a refusal; ``default`` stands behind hidden ones without activation."""
        if len(self.layers) < 2:
            got, way_out = "one linear layer", "pass a network of two linear layers or more"
            raise wrong("model", "have a hidden layer", got, way_out)
        *hidden, last = self.layers
        if last.activation is not None:
            got = f"{last.activation.name} behind {last.name!r}"
            raise wrong("model", "end with a linear layer", got, "pass the network without it")
        ran = {layer.name for layer in self.layers}
        used = [module for name, module in self.leaves.values() if name in ran]
        known = {id(p) for module in used for p in module.parameters()}
        for name, parameter in self.model.named_parameters():
            if id(parameter) not in known:
                rule = "have its parameters in linear layers that it runs"
                raise wrong("model", rule, f"{name!r} outside", "pass that part")
        return (*[replace(one, activation=one.activation or default) for one in hidden], last)


def _run(model: Any, reader: _Reader, inputs: Array) -> tuple[Array, float]:
    """Outputs ``(N, C)``, and the relative error that the arithmetic of the weights explains.

    In evaluation mode, with the hook on the leaves; modes and buffers are put back.
    """
    weights = next(iter(model.parameters()), None)
    if weights is None:
        raise wrong("model", "have weights", "none", "pass a network with linear layers")
    modes = [(module, module.training) for module in model.modules()]
    buffers = [(buffer, buffer._version, buffer.detach().clone()) for buffer in model.buffers()]
    leaves = [module for _, module in reader.leaves.values()]
    handles = [module.register_forward_hook(reader, with_kwargs=True) for module in leaves]
    try:
        model.eval()
        output = real_array("model", model(weights.detach().new_tensor(inputs)))
    except UsageError:
        raise
    except Exception as error:
        got = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
        way_out = "pass inputs as the model takes them"
        raise wrong("model", f"run on data of shape {inputs.shape}", got, way_out) from error
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
    if not reader.layers:
        raise wrong("model", "run a linear layer", "none", "pass a fully connected one")
    return output.reshape(len(output), -1), 0.03 if "16" in str(weights.dtype) else 1e-3


def _close(theirs: Array, mine: Array, tolerance: float) -> bool:
    """Whether nothing differs by more than a share of the largest value."""
    return bool(np.abs(theirs - mine).max() <= tolerance * max(np.abs(mine).max(), 1e-30))


def _scaled_softplus(beta: float) -> Activation:
    return Smooth(
        lambda x: np.logaddexp(0, beta * x) / beta,
        lambda x: np.asarray(special.expit(beta * x)),
        f"softplus({beta:g})",
    )
